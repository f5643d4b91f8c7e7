#!/bin/sh
# beside: yes
# minutes: 9
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# A node that has been: its keys lie in a Vault.
key_files BLS 1 2
key_files SECP256K1 1 1
start_all
both_sign "before"
same "the node" "$NODE_ID_1" "$(identity node_id)"
same "starts" 1 "$(starts)"
systemctl stop cryftgo-tee.service cryfttee-devsigner.service

# After a power cut the Vault is sealed: both processes come up, answer, and have nothing.
for name in BLS-1 BLS-2; do
    key_file "$name" BLS
done
key_file SECP256K1-1 SECP256K1
start_signer
within 10 signer_listens || fail "the signers do not listen"
same "what eth2 lists" "" "$(listed eth2)"
same "what eth1 lists" "" "$(listed eth1)"
systemctl start cryfttee.socket
{
    as_client cryftgo GET /v1/staking/status --patience 500 >/run/answer 2>&1 && : >/run/answered
} &
client=$!
began=$(now_ms)
within 10 is_state activating || fail "the client's connection has not started the verifier: $(property ActiveState)"
sleep 15
property StatusText
for url in :9000 :9001; do
    status_says "$url" || fail "STATUS does not say which signer is empty ($url): $(property StatusText)"
done
verifier=$(verifier_pid)
while [ $(($(now_ms) - began)) -lt 300000 ]; do
    sleep 5
    is_state activating || fail "after $((($(now_ms) - began) / 1000)) s the verifier is $(property ActiveState): $(property StatusText)"
done
same "the verifier after five minutes" "$verifier" "$(verifier_pid)"
[ ! -e /run/answered ] || fail "a client was answered while there was no key: $(cat /run/answer)"
same "keys that were made" 0 "$(made_keys)"

# Unsealed. Nobody asks Web3Signer to load its keys but the sidecar, once a minute.
key_file BLS-2 BLS 2
key_file BLS-1 BLS 1
key_file SECP256K1-1 SECP256K1 1
within 90 is_state active || fail "90 s after the unsealing the verifier is $(property ActiveState): $(property StatusText)"
echo "READY $((($(now_ms) - began) / 1000)) s after its start"
wait "$client"
[ -e /run/answered ] || fail "the client in the queue was not answered: $(cat /run/answer)"
has /run/answer '"ready":true' || fail "the client was answered: $(cat /run/answer)"
both_sign "after the unsealing"
same "the verifier that became READY" "$verifier" "$(verifier_pid)"
same "restarts" 0 "$(property NRestarts)"
# One before the power cut, and one after it.
same "starts" 2 "$(starts)"
same "the node" "$NODE_ID_1" "$(identity node_id)"
same "the BLS key" "$BLS_1" "$(identity bls_pubkey)"
same "keys that were made" 0 "$(made_keys)"

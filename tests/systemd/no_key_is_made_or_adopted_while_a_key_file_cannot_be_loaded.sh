#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# stands_still: for longer than a start takes, nothing is made, adopted or served.
stands_still() {
    sleep 6
    is_state activating || fail "$1: the verifier is $(property ActiveState): $(property StatusText)"
    same "$1: keys that were saved" "" "$(find /var/lib/cryftgo/staking -name '*_pubkey')"
    same "$1: keys that were made" 0 "$(made_keys)"
    echo "$1: $(property StatusText)"
    status_says ':9000' || fail "$1: STATUS does not say which signer: $(property StatusText)"
    status_says '1 key file' || fail "$1: STATUS does not say that a key file failed: $(property StatusText)"
}

# The first start of a node, with import and the key manager on, while the one key that there is cannot be loaded.
key_file BLS-1 BLS
key_files SECP256K1 1 1
start_signer
within 10 signer_listens || fail "the signers do not listen"
eth2 GET /healthcheck 2>/dev/null | grep -qF '"outcome":"DOWN"' || fail "eth2 with a key file that failed: $(eth2 GET /healthcheck)"
systemctl start --no-block cryftgo-tee.service
stands_still "an empty signer"
verifier=$(verifier_pid)

# Another key is there, and ours is not: it is not taken for ours.
key_files BLS 2 2
signer_reload eth2
same "what eth2 lists" "$BLS_2" "$(listed eth2)"
stands_still "another key"
same "the verifier" "$verifier" "$(verifier_pid)"

# Mended: the same start becomes READY, with the key that was there all along.
key_file BLS-1 BLS 1
signer_reload eth2
within 15 is_state active || fail "with the key loaded the verifier is $(property ActiveState): $(property StatusText)"
same "the BLS key" "$BLS_1" "$(identity bls_pubkey)"
same "the node" "$NODE_ID_1" "$(identity node_id)"
both_sign "with the key loaded"
same "the verifier that became READY" "$verifier" "$(verifier_pid)"
same "starts" 1 "$(starts)"
same "keys that were made" 0 "$(made_keys)"

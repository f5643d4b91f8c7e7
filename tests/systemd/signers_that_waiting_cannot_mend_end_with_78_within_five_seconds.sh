#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# ends_with_78 WHAT TEXT…: within 5 s, down, and with one line that has all of these texts.
ends_with_78() {
    what=$1
    shift
    systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
    since=$(date +%s.%N)
    start_ms=$(now_ms)
    systemctl start cryftgo-tee.service 2>/dev/null && fail "$what: it has started"
    within 10 is_state failed || fail "$what: the verifier is $(property ActiveState): $(property StatusText)"
    took_ms=$(($(now_ms) - start_ms))
    same "$what: the exit code" 78 "$(property ExecMainStatus)"
    [ "$took_ms" -le 5000 ] || fail "$what: it took $took_ms ms"
    journalctl --sync
    journalctl --no-pager --since "@$since" --output=cat --unit cryftgo-tee.service _COMM=cryftgo-tee | grep 'Refused at step' >/run/line ||
        fail "$what: no line says it"
    echo "$what: $took_ms ms: $(cat /run/line)"
    for text in "$@"; do
        has /run/line "$text" || fail "$what: the line does not have '$text': $(cat /run/line)"
    done
    same "$what: keys that were saved" "" "$(find /var/lib/cryftgo/staking -name '*_pubkey')"
    same "$what: keys that were made" 0 "$(made_keys)"
    within 5 is_down || fail "$what: it is not down: $(property ActiveState)"
}
key_files BLS 1 1
key_files SECP256K1 1 1
start_signer
within 10 signer_listens || fail "the signers do not listen"
# signers URL ETH1_URL
signers() {
    printf '[web3signer]\nurl = "%s"\neth1_url = "%s"\n' "$1" "$2" | configure
}

signers http://localhost:9001 http://localhost:9000
ends_with_78 "swapped URLs" web3signer.url web3signer.eth1_url :9000 :9001
signers http://localhost:9000 ''
ends_with_78 "one URL, of eth2" web3signer.eth1_url :9000
signers http://localhost:9001 ''
ends_with_78 "one URL, of eth1" web3signer.url :9001

# No key, no key manager: nobody can make one.
signers http://localhost:9000 http://localhost:9001
systemctl stop cryfttee-devsigner.service
rm "$SIGNER_KEYS/BLS-1.yaml"
dropin cryfttee-devsigner.service <<'END'
[Service]
ExecStart=
ExecStart=/usr/bin/cryfttee-devsigner --as eth2 --listen 127.0.0.1:9000 --keys ${STATE_DIRECTORY}/keys
END
start_signer
within 10 signer_listens || fail "the signers do not listen"
ends_with_78 "import without a key manager" --key-manager-api-enabled web3signer.key_generation :9000
# doctor says the same of it.
cryftgo-tee doctor >/run/doctor 2>&1 && fail "doctor finds nothing wrong: $(cat /run/doctor)"
has /run/doctor --key-manager-api-enabled || fail "doctor does not name the key manager: $(cat /run/doctor)"

# What may pass is waited for, and named: here eth1 has no key yet.
rm /run/systemd/system/cryfttee-devsigner.service.d/scenario.conf
systemctl daemon-reload
systemctl stop cryfttee-devsigner.service
rm "$SIGNER_KEYS/SECP256K1-1.yaml"
key_files BLS 1 1
# A directory without a secp256k1 key gets one at the start of the packaged eth1; not here.
dropin cryfttee-devsigner-eth1.service <<'END'
[Service]
ExecStartPre=
END
start_signer
within 10 signer_listens || fail "the signers do not listen"
systemctl reset-failed cryftgo-tee.service cryfttee.socket
systemctl start --no-block cryftgo-tee.service
within 8 status_says :9001 || fail "STATUS does not name the empty eth1: $(property StatusText)"
is_state activating || fail "with an empty eth1 the verifier is $(property ActiveState)"
key_files SECP256K1 1 1
signer_reload eth1
within 15 is_state active || fail "with its key the verifier is $(property ActiveState): $(property StatusText)"
both_sign "with the key of eth1"
same "the node" "$NODE_ID_1" "$(identity node_id)"

#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

configure <<'END'
[watch]
health_interval = "500ms"
END
key_files BLS 1 2
key_files SECP256K1 1 1
start_all
same "the BLS key" "$BLS_1" "$(identity bls_pubkey)"
both_sign "after the start"
verifier=$(verifier_pid)
sidecar=$(sidecar_pid)

# A reload reads the changed file again, and cannot load it: the other key is listed, ours is not.
key_file BLS-1 BLS
signer_reload eth2
same "what eth2 lists" "$BLS_2" "$(listed eth2)"
within 10 told degraded || fail "the key is gone, and that is not told: $(property StatusText)"
within 2 status_says degraded || fail "STATUS: $(property StatusText)"
cause=$(last_of degraded CRYFTTEE_REASON)
echo "$cause"
for text in :9000 "the BLS key $BLS_1" '1 key file failed' 'POST /reload'; do
    case "$cause" in
    *"$text"*) ;;
    *) fail "it does not say '$text': $cause" ;;
    esac
done
! sign_bls RANDAO_REVEAL "$(randao 364033)" || fail "signed with a key that is gone"
refused 503 signer_unavailable || fail "a key that is gone: $(cat /run/signed)"
sign_tls || fail "without the BLS key the TLS key does not sign: $(cat /run/signed)"
is_state active || fail "the verifier is $(property ActiveState)"

key_file BLS-1 BLS 1
signer_reload eth2
within 10 told recovered || fail "the key is back, and that is not told: $(property StatusText)"
both_sign "with the key back"
well() {
    ! status_says degraded
}
within 2 well || fail "STATUS with the key back: $(property StatusText)"
same "the verifier" "$verifier" "$(verifier_pid)"
same "the sidecar" "$sidecar" "$(sidecar_pid)"
same "restarts of the verifier" 0 "$(property NRestarts)"
same "restarts of the sidecar" 0 "$(count_of restarting)"
same "keys that were made" 0 "$(made_keys)"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a key that was gone locks the service"

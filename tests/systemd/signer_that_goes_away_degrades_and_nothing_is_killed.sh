#!/bin/sh
. /scenarios/support/lib.sh

configure <<END
[watch]
health_interval = "500ms"
health_failures = 3
END
start_all
verifier=$(verifier_pid)
sidecar=$(sidecar_pid)
same "degradations of a system that works" 0 "$(count_of degraded)"

start_ms=$(now_ms)
systemctl stop cryfttee-devsigner.service
within 10 told degraded || fail "the signer is away, and that is not told of: $(property StatusText)"
took_ms=$(($(now_ms) - start_ms))
echo "degraded after $took_ms ms"
# Three bad answers in a row, at 500 ms each; and a slack for a machine that does other things.
[ "$took_ms" -le 3000 ] || fail "it took $took_ms ms to say that the signer is away"
[ "$took_ms" -ge 900 ] || fail "the signer was given up after $took_ms ms, before three answers"
within 2 status_says degraded || fail "STATUS does not say it: $(property StatusText)"
case "$(last_of degraded CRYFTTEE_REASON)" in
*:9000*) ;;
*) fail "it does not say which signer: $(last_of degraded CRYFTTEE_REASON)" ;;
esac
# Long enough for every threshold there is.
sleep 4
same "how often it was told" 1 "$(count_of degraded)"
is_state active || fail "without a signer the verifier is $(property ActiveState)"
answer=$(as_client cryftgo GET /v1/staking/status) || fail "without a signer, nobody is told so"
case "$answer" in
*'"web3signer_connected":false'*) ;;
*) fail "without a signer, clients are told: $answer" ;;
esac

start_ms=$(now_ms)
start_signer
within 10 told recovered || fail "the signer is back, and that is not told of: $(property StatusText)"
echo "recovered after $(($(now_ms) - start_ms)) ms"
well() {
    ! status_says degraded
}
within 2 well || fail "STATUS with the signer back: $(property StatusText)"
same "the sidecar" "$sidecar" "$(sidecar_pid)"
same "the verifier" "$verifier" "$(verifier_pid)"
same "restarts of the sidecar" 0 "$(count_of restarting)"
same "restarts of the verifier" 0 "$(property NRestarts)"
same "how often recovery was told" 1 "$(count_of recovered)"

# One that takes connections and answers nothing: the sidecar waits for it, and must not be taken for one that hangs.
kill -STOP "$(property MainPID cryfttee-devsigner.service)"
within 30 told degraded 2 || fail "the signer stands still, and that is not told of: $(property StatusText)"
same "sidecars that were taken for hung" 0 "$(count_of sidecar-hung)"
kill -CONT "$(property MainPID cryfttee-devsigner.service)"
within 10 told recovered 2 || fail "the signer goes on, and that is not told of: $(property StatusText)"
same "the sidecar" "$sidecar" "$(sidecar_pid)"

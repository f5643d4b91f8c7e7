#!/bin/sh
. /scenarios/support/lib.sh

configure <<END
[watch]
health_interval = "300ms"
health_timeout = "300ms"
health_failures = 3
END
faulty hang-after-ready
systemctl start cryftgo-tee.service || fail "$(property Result)"
verifier=$(verifier_pid)
first=$(last_of ready CRYFTTEE_PID)
start_ms=$(now_ms)
within 5 told sidecar-hung || fail "a sidecar that hangs is not told of"
took_ms=$(($(now_ms) - start_ms))
echo "told after $took_ms ms"
# Three questions, each answered by nothing for as long as the next one is away.
[ "$took_ms" -le 4000 ] || fail "it took $took_ms ms"
within 5 told ready 2 || fail "no other sidecar became ready: $(property StatusText)"
is_gone "$first" || fail "the sidecar that hung still runs"
same "the verifier" "$verifier" "$(verifier_pid)"
same "restarts of the verifier" 0 "$(property NRestarts)"
is_state active || fail "the verifier is $(property ActiveState)"

# Each one hangs: the budget of restarts ends it, as a crash and not as tampering.
dead() {
    [ "$(property ExecMainStatus)" = 75 ]
}
within 30 dead || fail "sidecars that go on hanging: $(property ActiveState), exit code $(property ExecMainStatus)"
same "sidecars that hung" 6 "$(count_of sidecar-hung)"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a sidecar that hangs locks the service"

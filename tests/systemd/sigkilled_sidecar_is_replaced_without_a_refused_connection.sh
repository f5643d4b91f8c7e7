#!/bin/sh
# alone: yes
. /scenarios/support/lib.sh

clients=8
kills=100
requests=100000
configure <<END
[watch.restart]
max = 20
within = "300ms"
END
start_all
verifier=$(verifier_pid)
xtask test hammer --clients "$clients" --until /run/enough --at-least "$requests" >/run/report &
hammer=$!
sleep 0.5
killed=0
while [ "$killed" -lt "$kills" ]; do
    sidecar=$(sidecar_pid)
    kill -KILL "$sidecar"
    replaced() {
        new=$(sidecar_pid)
        [ -n "$new" ] && [ "$new" != "$sidecar" ]
    }
    within 20 replaced || fail "sidecar $sidecar was killed and not replaced"
    # Answered again before the next kill, so that each one hits a sidecar that is serving.
    api GET /v1/staking/status >/dev/null || fail "the replacement does not answer"
    killed=$((killed + 1))
    sleep 0.3
done
: >/run/enough
wait "$hammer"
cat /run/report

count() {
    sed -n "s/^$1 //p" /run/report
}
same "refused connections" 0 "$(count refused)"
same "connections that were never answered" 0 "$(count lost)"
same "answers other than 2xx" 0 "$(count not_ok)"
[ "$(count answered)" -ge "$requests" ] || fail "only $(count answered) requests were answered"
# What the killed sidecar had accepted dies with it; nobody could save that.
[ "$(count broken)" -le $((clients * kills)) ] || fail "$(count broken) connections broke"
same "the verifier after its sidecar was killed" "$verifier" "$(verifier_pid)"

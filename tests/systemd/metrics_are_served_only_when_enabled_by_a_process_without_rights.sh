#!/bin/sh
. /scenarios/support/lib.sh

hurry

scrape() {
    # Only bash can connect by itself.
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/9464 && printf "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" >&3 && cat <&3' \
        >/tmp/page || return 1
    has /tmp/page "HTTP/1.1 200 OK"
}
says() {
    scrape && has /tmp/page "$1"
}

start_all
is_state inactive cryftgo-tee-metrics.socket || fail "the metrics are served although nobody asked for them"
systemctl start cryftgo-tee-metrics.socket || fail "the socket cannot be had"
says "cryftgo_tee_ready 1" || fail "no metrics: $(cat /tmp/page) $(messages cryftgo-tee-metrics.service)"
says 'cryftgo_tee_state{state="ready"} 1' || fail "$(cat /tmp/page)"

# Requests of clients are counted; the verifier's own questions are not.
for _ in 1 2 3; do api GET /v1/staking/status >/dev/null || fail "a request"; done
within 15 says 'cryfttee_requests_total{kind="status",code="ok"} 3' || fail "not counted: $(cat /tmp/page)"

pid=$(property MainPID cryftgo-tee-metrics.service)
for set in CapPrm CapEff CapBnd CapAmb; do
    same "$set of the metrics' process" 0000000000000000 "$(field "$pid" "$set")"
done
same "NoNewPrivs of the metrics' process" 1 "$(field "$pid" NoNewPrivs)"
case "$(stat --format %U "/proc/$pid")" in
root | cryftgo-tee | cryfttee) fail "it runs as $(stat --format %U "/proc/$pid")" ;;
esac
same "restarts of the verifier by all that" 1 "$(starts)"

killed=$(verifier_pid)
kill -KILL "$killed"
is_another() {
    is_state active && [ "$(verifier_pid)" != "$killed" ]
}
within 10 is_another || fail "systemd did not start it again"
within 5 says "cryftgo_tee_ready 1" || fail "not ready again after systemd started it anew: $(cat /tmp/page)"
systemctl stop cryftgo-tee.service
says "cryftgo_tee_ready 0" || fail "ready after a stop: $(cat /tmp/page)"
says 'cryftgo_tee_state{state="stopped"} 1' || fail "$(cat /tmp/page)"

#!/bin/sh
. /scenarios/support/lib.sh

hurry

dropin cryftgo-tee.service <<END
[Service]
WatchdogSec=2
RestartSec=100ms
END
configure <<END
[watch]
interval = "500ms"
END
start_all

# Twice the watchdog's time without a restart: pings do come while checks pass.
sleep 4
same "restarts of a verifier that works" 0 "$(property NRestarts)"

verifier=$(verifier_pid)
sidecar=$(sidecar_pid)
kill -STOP "$verifier"
restarted() {
    [ "$(property NRestarts)" = 1 ] && is_state active
}
within 15 restarted || fail "15 s after SIGSTOP: $(property ActiveState), $(property NRestarts) restarts"
messages cryftgo-tee.service | grep -q 'Watchdog timeout' || fail "it was not the watchdog that restarted the verifier"
is_gone "$sidecar" || fail "the sidecar of the stopped verifier still runs"
api GET /v1/staking/status >/dev/null || fail "the restarted system does not answer"

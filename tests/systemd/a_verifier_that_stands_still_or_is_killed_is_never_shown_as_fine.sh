#!/bin/sh
. /scenarios/support/lib.sh

hurry

configure <<'END'
[watch]
interval = "1s"
END
# systemd would start it again before anybody could ask.
dropin cryftgo-tee.service <<'END'
[Service]
Restart=no
END
start_all
cryftgo-tee healthcheck || fail "not healthy after the start"
sleep 4
cryftgo-tee healthcheck || fail "not healthy although checks come"

kill -STOP "$(verifier_pid)"
is_ill() {
    ! cryftgo-tee healthcheck >/tmp/health
}
within 6 is_ill || fail "a verifier that stood still for six seconds is called well"
has /tmp/health "the last check is" || fail "$(cat /tmp/health)"
cryftgo-tee metrics --print >/tmp/metrics
has /tmp/metrics "cryftgo_tee_up 0" || fail "a frozen verifier is up: $(cat /tmp/metrics)"
kill -CONT "$(verifier_pid)"
within 5 cryftgo-tee healthcheck || fail "not well again after it went on"

killed=$(verifier_pid)
kill -KILL "$killed"
# Not for the unit's own state: systemd may take its time to see that the last process of it is gone.
within 5 is_gone "$killed" || fail "it lives on"
cryftgo-tee status >/tmp/status && fail "a killed verifier is called well"
has /tmp/status STALE || fail "$(cat /tmp/status)"
has /tmp/status "is gone" || fail "$(cat /tmp/status)"

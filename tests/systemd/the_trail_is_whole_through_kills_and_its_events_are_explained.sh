#!/bin/sh
. /scenarios/support/lib.sh

hurry

verify() {
    cryftgo-tee audit verify "$@" >/run/verdict 2>&1
}
start_all
verify || fail "after a start: $(cat /run/verdict)"
has /run/verdict "compared with the head on this host" || fail "$(cat /run/verdict)"
same "owner of the head" cryftgo-tee "$(stat --format=%U /var/lib/cryftgo-tee/audit/head)"

# Killed at any moment, and started again: no gap, and the next start says that the one before did not close the trail.
another_runs() {
    new=$(verifier_pid)
    [ "$new" -gt 1 ] && [ "$new" != "$old" ]
}
old=1
for pause in 0 0.004 0.008 0.012 0.016 0.02 0.03 0.04; do
    within 10 another_runs || fail "not started again"
    sleep "$pause"
    kill -KILL "$new"
    old=$new
done
within 10 another_runs || fail "not started again"
within 10 is_state active
same "how the run before ended" no "$(last_of trail-opened CRYFTTEE_CLEAN)"
systemctl stop cryftgo-tee.service
verify || fail "after kills: $(cat /run/verdict)"
cat /run/verdict
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service
same "how the run before ended" yes "$(last_of trail-opened CRYFTTEE_CLEAN)"

# Somebody else's entries count for nothing, and are told.
runuser -u nobody -- sh -c 'printf "SYSLOG_IDENTIFIER=cryftgo-tee\nMESSAGE=all is well\nCRYFTTEE_EVENT=ready\n" | logger --journald'
verify || fail "a forged entry breaks the verdict: $(cat /run/verdict)"
has /run/verdict "were sent by user id $(id -u nobody), and do not count" || fail "$(cat /run/verdict)"

# An operator's command adds to the same chain while the service runs, and leaves the state to its owner.
printf '{"at":1,"step":"watch","reason":"a scenario"}' >/var/lib/cryftgo-tee/tampered
cryftgo-tee unlock --reason "a scenario" >/dev/null || fail "unlock: $?"
same "user of the unlock" 0 "$(last_of unlocked _UID)"
systemctl restart cryftgo-tee.service
verify || fail "after an unlock: $(cat /run/verdict)"

# Each event is explained.
journalctl --no-pager --boot --catalog CRYFTTEE_EVENT=ready --lines=1 >/run/explained
has /run/explained "Subject: The node is ready" || fail "$(cat /run/explained)"
has /run/explained "serves clients and is watched from here on" || fail "$(cat /run/explained)"
cryftgo-tee audit show --since today | grep -q 'notice    Ready: NodeID-\|notice    \[9/9\] Ready: NodeID-' ||
    fail "$(cryftgo-tee audit show --since today | tail -n 3)"

# The end of the journal is gone: the head on disk knows better.
systemctl stop cryftgo-tee.service
journalctl --sync
journalctl --rotate
journalctl --vacuum-time=1us >/dev/null 2>&1 || journalctl --vacuum-files=1 >/dev/null 2>&1
# With a /proc of its own, as the service has it: nspawn's has another boot id, and another boot would explain it.
status=0
systemd-run --quiet --pipe --wait --property=ProtectProc=invisible cryftgo-tee audit verify >/run/verdict 2>&1 || status=$?
cat /run/verdict
same "the exit code where the journal is gone" 77 "$status"
has /run/verdict "it is missing" || fail "$(cat /run/verdict)"
# What comes after a rotation stands for itself.
systemctl start cryftgo-tee.service
verify || fail "after a rotation: $(cat /run/verdict)"
has /run/verdict "begins at entry" || fail "$(cat /run/verdict)"

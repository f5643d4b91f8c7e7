#!/bin/sh
. /scenarios/support/lib.sh

start_all
systemctl stop cryftgo-tee.service
# Events by the way of the service, with its user, some with text that wants to be an entry of its own.
setpriv --reuid=cryftgo-tee --regid=cryftgo-tee --clear-groups xtask test record 1200 ||
    fail "1200 events could not be recorded"
journalctl --sync
of_the_trail() {
    journalctl --no-pager --boot --output="$1" SYSLOG_IDENTIFIER=cryftgo-tee "_UID=$(id -u cryftgo-tee)"
}
of_the_trail export >/run/with-diagnostics
of_the_trail json >/run/trail.json
# The service's diagnostics are no part of the trail.
awk 'BEGIN { RS = ""; ORS = "\n\n" } /\nAUDIT_SEQ=/' /run/with-diagnostics >/run/trail.export
xtask test attack /run/trail.export || fail "see above"

# Each form says the same, and so does the journal itself, whose head is on this disk.
for form in export json; do
    of_the_trail $form | cryftgo-tee audit verify - --json >/run/verdict || fail "the untouched $form: $(cat /run/verdict)"
done
cryftgo-tee audit verify || fail "the untouched journal is not good: $?"
cryftgo-tee audit verify /run/trail.json /run/with-diagnostics | tail -n 1
# It stays in the folder that is shared, for whoever wants to look at a page of a real trail.
cryftgo-tee audit report --html /share/report.html /run/trail.export || fail "no page of the untouched export: $?"
# None of the texts became an entry, or a field of one.
for forged in MESSAGE=forged CRYFTTEE_EVENT=forged "MESSAGE=all is well"; do
    same "entries with $forged" "" "$(journalctl --no-pager --quiet "$forged")"
done
same "events ready" 1 "$(count_of ready)"
count=$(grep -c '^AUDIT_SEQ=' /run/trail.export)
[ "$count" -ge 1200 ] || fail "only $count entries"
same "entries that show prints" "$count" "$(cryftgo-tee audit show /run/trail.export | grep -c .)"
cryftgo-tee audit show /run/trail.json | LC_ALL=C grep -q '[[:cntrl:]]' && fail "a control byte comes out of audit show"

# One bad entry is named, and the exit code says so.
sed 's/^MESSAGE=\(.*\)Ready: NodeID/MESSAGE=\1ready: NodeID/' /run/trail.export >/run/changed
status=0
cryftgo-tee audit verify /run/changed >/run/verdict || status=$?
same "the exit code for a changed entry" 77 "$status"
grep -q '^WRONG  entry [0-9]* of chain .*: it was changed: AUDIT_HASH' /run/verdict || fail "$(cat /run/verdict)"
status=0
echo "Nov 25 19:12:01 host kernel: hello" | cryftgo-tee audit verify - 2>/run/error || status=$?
same "the exit code for what is no journal" 65 "$status"

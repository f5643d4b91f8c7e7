#!/bin/sh
. /scenarios/support/lib.sh

# check NAME OUTCOME
check() {
    tr '{' '\n' </tmp/doctor | grep -F "\"name\":\"$1\"" | grep -qF "\"outcome\":\"$2\""
}

start_all
cryftgo-tee doctor --json >/tmp/doctor || fail "something is wrong as shipped: $(cryftgo-tee doctor)"
for name in configuration memfd pidfd namespaces unit hardening users socket binary reference signer lock; do
    check "$name" ok || fail "$name is not ok: $(cryftgo-tee doctor)"
done

# A service keeps the watchdog that it was started with, and systemd says so: it is off from the next start.
dropin cryftgo-tee.service <<'END'
[Service]
WatchdogSec=0
END
systemctl restart cryftgo-tee.service
code=0
cryftgo-tee doctor --json >/tmp/doctor || code=$?
same "the exit code of doctor without a watchdog" 78 "$code"
has /tmp/doctor 'WatchdogSec= is off' || fail "WatchdogSec=0 is not named: $(cryftgo-tee doctor)"

dropin cryftgo-tee.service <<'END'
[Service]
RestrictNamespaces=no
NotifyAccess=all
KillMode=control-group
END
chmod 0666 /run/cryfttee.sock
chmod 0755 /var/lib/cryftgo
chmod 0777 /usr/bin/cryfttee
systemctl stop cryfttee-devsigner.service
code=0
cryftgo-tee doctor --json >/tmp/doctor || code=$?
same "the exit code of doctor" 78 "$code"
for name in namespaces hardening socket binary signer "state folder"; do
    check "$name" wrong || fail "$name is not found to be wrong: $(cryftgo-tee doctor)"
done
has /tmp/doctor NotifyAccess=all || fail "NotifyAccess= is not named"
has /tmp/doctor KillMode=control-group || fail "KillMode= is not named"
# It looks, and changes nothing.
same "the mode of the socket after doctor" 666 "$(stat --format %a /run/cryfttee.sock)"

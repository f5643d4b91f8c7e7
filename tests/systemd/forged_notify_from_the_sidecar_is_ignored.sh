#!/bin/sh
. /scenarios/support/lib.sh

start_all
verifier=$(verifier_pid)
text=$(property StatusText)

# A process in the sidecar's place: in the unit's control group, as the sidecar's user, and not the main process.
forge() {
    group=$(sed -n 's/^0:://p' "/proc/$verifier/cgroup")
    echo "$group" | grep -q 'cryftgo-tee.service$' || fail "the verifier is in the control group '$group'"
    sh -c '
        for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
            [ -e "$tree$1/cgroup.procs" ] && echo $$ >"$tree$1/cgroup.procs"
        done
        export NOTIFY_SOCKET=/run/systemd/notify
        exec setpriv --reuid=cryfttee --regid=cryfttee --clear-groups systemd-notify "$2"
    ' forge "$group" "$1" || :
}
# Refusals are warnings in systemd 252 and debug messages in 257.
systemctl log-level debug
for message in --status=forged --ready MAINPID=1 STOPPING=1 WATCHDOG=trigger; do
    forge "$message"
done
systemctl log-level info

refused=$(messages cryftgo-tee.service | grep -c 'reception only permitted for main PID' || :)
[ "$refused" -ge 5 ] || fail "systemd refused $refused of 5 forged messages, so the others were not even judged"
same "the STATUS" "$text" "$(property StatusText)"
same "the main process" "$verifier" "$(verifier_pid)"
same "the state" running "$(property SubState)"
same "restarts" 0 "$(property NRestarts)"

#!/bin/sh
. /scenarios/support/lib.sh

# The unit unsets the worst of these itself; here it does not, to see that the verifier does not rely on it.
dropin cryftgo-tee.service <<END
[Service]
UnsetEnvironment=
Environment=LD_PRELOAD=/nonexistent/preload.so LD_AUDIT=/nonexistent/audit.so LD_LIBRARY_PATH=/nonexistent
Environment=GLIBC_TUNABLES=glibc.malloc.check=0 LISTEN_PIDFDID=7 SCENARIO_SECRET=1
END
start_all
names_of() {
    tr '\0' '\n' <"/proc/$1/environ" | cut -d = -f 1 | sort
}
dirty=$(names_of "$(verifier_pid)")
clean=$(names_of "$(sidecar_pid)")
for name in LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH GLIBC_TUNABLES SCENARIO_SECRET NOTIFY_SOCKET WATCHDOG_USEC INVOCATION_ID; do
    # What the verifier did not have either, it did not take out.
    echo "$dirty" | grep -qx "$name" || fail "$name did not reach the verifier, so nothing is shown"
done
echo "the sidecar has: $(echo "$clean" | tr "\n" " ")"
for name in $clean; do
    case "$name" in
    CRYFTTEE_* | LISTEN_PID | LISTEN_FDS | LISTEN_FDNAMES | PATH | LANG | TZ) ;;
    *) fail "$name reached the sidecar" ;;
    esac
done
value_of() {
    tr '\0' '\n' <"/proc/$(sidecar_pid)/environ" | sed -n "s/^$1=//p"
}
same "the sidecar's LISTEN_PID" "$(sidecar_pid)" "$(value_of LISTEN_PID)"
same "the sidecar's LISTEN_FDS" 2 "$(value_of LISTEN_FDS)"
same "the sidecar's LISTEN_FDNAMES" api:control "$(value_of LISTEN_FDNAMES)"
same "the verified hash" "sha256:$(sha256sum /usr/bin/cryfttee | cut -d ' ' -f 1)" "$(value_of CRYFTTEE_VERIFIED_BINARY_HASH)"

# And the other half: as shipped, the loader's variables do not reach the verifier either.
rm /run/systemd/system/cryftgo-tee.service.d/scenario.conf
dropin cryftgo-tee.service <<END
[Service]
Environment=LD_PRELOAD=/nonexistent/preload.so GLIBC_TUNABLES=glibc.malloc.check=0 SCENARIO_SECRET=1
END
systemctl restart cryftgo-tee.service
names=$(names_of "$(verifier_pid)")
echo "$names" | grep -qx SCENARIO_SECRET || fail "the drop-in is not in force"
! echo "$names" | grep -Eqx 'LD_PRELOAD|GLIBC_TUNABLES' || fail "the loader's variables reach the verifier"

#!/bin/sh
. /scenarios/support/lib.sh

hurry

configure <<END
[watch]
interval = "300ms"
END
start_all
verifier=$(verifier_pid)
sidecar=$(sidecar_pid)

# A limit for the verifier alone, in a control group of its own: that of the unit would also hold the sidecar. Removed at
# the end, because the group is the host's.
tree=/run/memory
group=$tree/cryftgo-tee-test-$$
mkdir $tree
mount -t cgroup -o memory cgroup $tree 2>/dev/null ||
    skip "this container may not mount the control groups for memory (version 1), where a process can be moved alone"
mkdir "$group" || skip "this container may not make control groups"
removed() {
    rmdir "$group" 2>/dev/null
}
clean_up() {
    is_gone "$verifier" || kill -KILL "$verifier"
    within 5 removed || echo "the control group $group stays"
    umount $tree
}
trap clean_up EXIT
echo 0 >"$group/memory.limit_in_bytes"
echo "$verifier" >"$group/cgroup.procs" || skip "this container may not move processes"

# It gets no page more: the next check is its last.
within 15 is_gone "$verifier" || fail "a verifier that gets no memory goes on: $(property StatusText)"
start_ms=$(now_ms)
within 1 is_gone "$sidecar" || fail "the sidecar still runs 1 s after its verifier"
echo "the sidecar was gone $(($(now_ms) - start_ms)) ms after its verifier"
restarted() {
    [ "$(property NRestarts)" = 1 ] && is_state active
}
within 15 restarted || fail "the verifier is $(property ActiveState), after $(property NRestarts) restarts"
messages cryftgo-tee.service | grep -Eq 'status=9/KILL|killed by the OOM' || fail "it was not killed"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a host without memory locks the service"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "the restarted system does not answer"

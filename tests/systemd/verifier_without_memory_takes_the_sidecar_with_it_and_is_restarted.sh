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

# No more memory from here on: not for a thread's stack, not for a buffer. What it has, it keeps.
# As the verifier's own user: root of a container may lack the right.
setpriv --reuid=cryftgo-tee --regid=cryftgo-tee --clear-groups prlimit --pid "$verifier" --as=4096 --data=4096
within 5 is_gone "$verifier" || fail "a verifier that gets no memory goes on: $(property StatusText)"
start_ms=$(now_ms)
within 1 is_gone "$sidecar" || fail "the sidecar still runs 1 s after its verifier"
echo "the sidecar was gone $(($(now_ms) - start_ms)) ms after its verifier"
restarted() {
    [ "$(property NRestarts)" = 1 ] && is_state active
}
within 15 restarted || fail "the verifier is $(property ActiveState), after $(property NRestarts) restarts"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a host without memory locks the service"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "the restarted system does not answer"

#!/bin/sh
. /scenarios/support/lib.sh

hurry

kill_verifier() {
    verifier=$(verifier_pid)
    sidecar=$(sidecar_pid)
    start_ms=$(now_ms)
    kill -KILL "$verifier"
    within 1 is_gone "$sidecar" || fail "the sidecar still runs 1 s after its verifier was killed"
    echo "the sidecar was gone after $(($(now_ms) - start_ms)) ms"
    [ -S /run/cryfttee.sock ] || fail "the socket is gone"
}

# First with nobody connected, so that it is systemd that starts it again and not a client.
start_all
kill_verifier
restarted() {
    [ "$(property NRestarts)" = 1 ] && is_state active
}
within 15 restarted || fail "15 s later the verifier is $(property ActiveState), after $(property NRestarts) restarts"
[ "$(verifier_pid)" != "$verifier" ] || fail "the verifier was not restarted"

# A client that comes in between waits for the restart.
kill_verifier
answer=$(as_client cryftgo GET /v1/staking/status) || fail "a client that came during the restart is not answered"
case "$answer" in
*'"ready":true'*) ;;
*) fail "a client that came during the restart is told: $answer" ;;
esac
within 15 is_state active || fail "15 s later the verifier is $(property ActiveState)"
is_state active cryfttee.socket || fail "the socket is $(property ActiveState cryfttee.socket)"

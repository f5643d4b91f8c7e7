#!/bin/sh
. /scenarios/support/lib.sh

start_all
start_ms=$(now_ms)
systemctl stop cryftgo-tee.service
took_ms=$(($(now_ms) - start_ms))

is_state inactive || fail "the verifier is $(property ActiveState) after stop"
same "the result of the stop" success "$(property Result)"
same "the verifier's exit code" 0 "$(property ExecMainStatus)"
same "processes of the verifier" "" "$(processes_of cryftgo-tee)"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
# The folder stays, for the settings of this boot, and a word on how the service ended; no socket does, nor who the node is.
same "what is left in /run/cryftgo-tee" "state.json" "$(ls -A /run/cryftgo-tee)"
! cryftgo-tee healthcheck || fail "a service that was stopped is healthy"
# An idle sidecar has nothing to drain, so the grace period (5 s) is not used up.
[ "$took_ms" -lt 3000 ] || fail "the stop of an idle system took $took_ms ms"
# The socket is another unit: it stays, and the next client starts everything again.
is_state active cryfttee.socket || fail "the socket is gone"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "a client after the stop is not answered"

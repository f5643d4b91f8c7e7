#!/bin/sh
. /scenarios/support/lib.sh

start_signer
systemctl start cryfttee.socket
is_state inactive || fail "the verifier is $(property ActiveState) before anybody connected"
same "processes of the sidecar before anybody connected" "" "$(processes_of cryfttee)"

answer=$(as_client cryftgo GET /v1/staking/status) || fail "the first client is not answered"
case "$answer" in
*'"ready":true'*) ;;
*) fail "the first client is told: $answer" ;;
esac
within 5 is_state active || fail "a client was answered, and the verifier is $(property ActiveState)"

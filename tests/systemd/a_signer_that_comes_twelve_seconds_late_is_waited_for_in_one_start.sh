#!/bin/sh
. /scenarios/support/lib.sh

systemctl start --no-block cryftgo-tee.service
sleep 12
is_state activating || fail "without a signer the verifier is $(property ActiveState)"
verifier=$(verifier_pid)
[ "$(events waiting-for-signer | grep -c . || :)" = 1 ] || fail "it does not say once that it waits: $(events waiting-for-signer)"
start_signer
within 5 is_state active || fail "5 s after the signer came the verifier is $(property ActiveState)"
same "the verifier that became READY" "$verifier" "$(verifier_pid)"
same "restarts" 0 "$(property NRestarts)"
same "starts" 1 "$(starts)"

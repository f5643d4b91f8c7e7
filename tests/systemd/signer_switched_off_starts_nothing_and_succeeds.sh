#!/bin/sh
. /scenarios/support/lib.sh

configure <<END
[cryfttee]
signer = false
END
systemctl start cryftgo-tee.service || fail "systemctl start with the signer off: $(property Result)"
same "the result" success "$(property Result)"
same "the exit code" 0 "$(property ExecMainStatus)"
within 5 is_state inactive || fail "with the signer off the verifier is $(property ActiveState)"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
same "the STATUS" "signer disabled" "$(property StatusText)"
[ ! -e /var/lib/cryftgo/staking/node_id ] || fail "keys were made with the signer off"

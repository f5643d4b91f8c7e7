#!/bin/sh
. /scenarios/support/lib.sh

start_signer
dropin cryftgo-tee.service <<END
[Service]
AmbientCapabilities=
AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL
CapabilityBoundingSet=
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL
Restart=no
END
systemctl start cryftgo-tee.service && fail "without CAP_SYS_PTRACE it became READY"
is_state failed || fail "the verifier is $(property ActiveState)"
same "events 'ready'" 0 "$(count_of ready)"
same "refusals" 1 "$(count_of refused)"
refusal=$(events refused)
echo "$refusal"
# What was tried, and what is missing.
case "$refusal" in
*"step launch"*CAP_SYS_PTRACE*/proc/*) ;;
*) fail "the refusal does not say what was tried and what is missing: $refusal" ;;
esac
same "processes of the sidecar" "" "$(processes_of cryfttee)"
[ ! -e /var/lib/cryftgo/staking/node_id ] || fail "a refused start got as far as the keys"
# An operator's slip, and no tampering.
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a missing right locks the service"

dropin cryftgo-tee.service <<END
END
systemctl reset-failed cryftgo-tee.service cryfttee.socket
systemctl start cryftgo-tee.service || fail "with its rights back it does not start: $(property Result)"

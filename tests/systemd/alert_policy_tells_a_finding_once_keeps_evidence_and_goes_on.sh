#!/bin/sh
. /scenarios/support/lib.sh

configure <<END
on_mismatch = "alert"
[watch]
interval = "300ms"
END
faulty patch-text
systemctl start cryftgo-tee.service || fail "$(property Result)"
sidecar=$(sidecar_pid)
within 5 told finding || fail "a finding is not told of"
within 5 status_says ALERT || fail "STATUS does not say it: $(property StatusText)"
# Ten checks later.
sleep 3
same "findings that were told" 1 "$(count_of finding)"
same "what was done" alert "$(last_of finding CRYFTTEE_ACTION)"
same "evidence that was kept" 1 "$(count_of quarantined)"
[ -f "$(last_of quarantined CRYFTTEE_PATH)/finding.json" ] || fail "there is no evidence at $(last_of quarantined CRYFTTEE_PATH)"
status_says ALERT || fail "STATUS does not say it any more: $(property StatusText)"
is_state active || fail "the verifier is $(property ActiveState)"
same "the sidecar" "$sidecar" "$(sidecar_pid)"
case "$(field "$sidecar" State)" in
T*) fail "the sidecar is left frozen" ;;
esac
same "restarts" 0 "$(property NRestarts)"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "an alert locks the service"
systemctl stop cryftgo-tee.service
same "the result of the stop" success "$(property Result)"

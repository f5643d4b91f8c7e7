#!/bin/sh
. /scenarios/support/lib.sh

start_all
old=$(sidecar_pid)
launches=$(count_of launched)
cp /usr/bin/cryfttee /var/tmp/good
next_version /var/tmp/unknown
rename_over /var/tmp/unknown
within 5 told tamper-pending || fail "a file on disk that no reference value names is not told of"
within 5 status_says "TAMPER PENDING" || fail "STATUS does not say so: $(property StatusText)"

if said=$(systemctl reload cryftgo-tee.service 2>&1); then
    fail "systemctl reload takes a file that no reference value names"
fi
echo "$said"
is_state active || fail "after a refused reload the verifier is $(property ActiveState)"
same "the sidecar after a refused reload" "$old" "$(sidecar_pid)"
same "launches" "$launches" "$(count_of launched)"
same "the step that refused" appraise "$(last_of reload-refused CRYFTTEE_STEP)"
# Whoever asked is told why, not only the trail.
messages cryftgo-tee.service | grep -q '^cryftgo-tee: Reload refused: at step appraise' ||
    fail "cryftgo-tee reload does not say why"
status_says "TAMPER PENDING" || fail "STATUS after a refused reload: $(property StatusText)"
status_says "reload refused at step appraise" || fail "STATUS does not say that the reload was refused: $(property StatusText)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "the old sidecar does not serve after a refused reload"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a refused reload locks a service that is in order"

rename_over /var/tmp/good
within 5 told verified-again || fail "the good file is back, and that is not told of"
same "the digest that is verified again" "sha256:$(hash_of /var/tmp/good)" "$(last_of verified-again CRYFTTEE_DIGEST)"
not_pending() {
    ! status_says "TAMPER PENDING"
}
within 5 not_pending || fail "STATUS with the good file back: $(property StatusText)"
systemctl reload cryftgo-tee.service || fail "a reload with the good file back: exit code $?"
same "the sidecar at the end" "$old" "$(sidecar_pid)"

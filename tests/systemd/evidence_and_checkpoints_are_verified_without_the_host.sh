#!/bin/sh
. /scenarios/support/lib.sh

configure <<'END'
[audit]
checkpoint_events = 10
[watch]
interval = "1s"
END
start_all
node_id=$(cat /var/lib/cryftgo/staking/node_id)
nonce=8f1c09a2d4e67b35
digest=sha256:$(hash_of /usr/bin/cryfttee)

# As somebody who has the document and nothing of this host.
elsewhere() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" cryftgo-tee "$@"
}

cryftgo-tee evidence --nonce "$nonce" --out /run/evidence.json || fail "no evidence: $?"
elsewhere evidence verify /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "$digest" >/run/verdict ||
    fail "the evidence does not hold: $(cat /run/verdict)"
# There is no TPM here, which is said.
has /run/verdict "?      tpm " || fail "it is not said that no TPM vouches for it: $(cat /run/verdict)"
! grep -v '^?      tpm ' /run/verdict | grep -q '^WRONG\|^?' || fail "$(cat /run/verdict)"
has /run/verdict "Not proven: that it is true" || fail "what is not proven is not said"
has /run/evidence.json "\"pid\":$(sidecar_pid)" || fail "the evidence is of another process"

# ends CODE WHAT…: as somebody elsewhere, this ends with this exit code.
ends() {
    expected=$1
    shift
    code=0
    elsewhere "$@" >/run/verdict 2>&1 || code=$?
    same "exit code of $*" "$expected" "$code"
}
refused() {
    ends 77 evidence verify "$@"
}
refused /run/evidence.json --nonce 8f1c09a2d4e67b36 --node-id "$node_id"
refused /run/evidence.json --nonce "$nonce" --node-id NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2
refused /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "sha256:$(hash_of /bin/sh)"
sleep 1.1
refused /run/evidence.json --nonce "$nonce" --node-id "$node_id" --max-age 0s
sed 's/"accepted":true/"accepted":false/' /run/evidence.json >/run/changed.json
! cmp -s /run/evidence.json /run/changed.json || fail "nothing was changed"
refused /run/changed.json --nonce "$nonce" --node-id "$node_id"
has /run/verdict "WRONG  signature" || fail "$(cat /run/verdict)"
ends 65 evidence verify /etc/passwd --nonce "$nonce" --node-id "$node_id"
# Whoever may not look at the sidecar cannot speak for it.
! elsewhere evidence --nonce "$nonce" >/run/none 2>&1 || fail "an ordinary user made evidence: $(cat /run/none)"

# Checkpoints: by number, and at the stop.
within 10 told checkpoint || fail "no checkpoint after ten events"
systemctl stop cryftgo-tee.service
told checkpoint 2 || fail "no checkpoint at the stop"
journalctl --sync
journalctl --no-pager --output=export SYSLOG_IDENTIFIER=cryftgo-tee >/run/trail
elsewhere audit verify /run/trail --node-id "$node_id" >/run/verdict || fail "the trail is not good: $(cat /run/verdict)"
grep -q ', signed up to entry [0-9]* at 20[0-9-]*T[0-9:.]*Z$' /run/verdict ||
    fail "no signature was verified: $(cat /run/verdict)"
ends 77 audit verify /run/trail --node-id NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2
# A signature over another head, or another time, does not pass.
for change in 's/^CRYFTTEE_SEQ=\(.*\)$/CRYFTTEE_SEQ=1\1/' 's/^CRYFTTEE_TIME=2/CRYFTTEE_TIME=3/'; do
    sed "$change" /run/trail >/run/changed
    ! cmp -s /run/trail /run/changed || fail "nothing was changed: $change"
    ends 77 audit verify /run/changed --node-id "$node_id"
    has /run/verdict "the checkpoint was changed" || fail "$change: $(cat /run/verdict)"
done
same "checkpoints that failed" 0 "$(count_of checkpoint-failed)"

# A signer that is away costs checkpoints, which is one event however many, and no time.
configure <<'END'
[audit]
checkpoint_events = 1
[watch]
interval = "1s"
health_interval = "1s"
END
start_all
systemctl stop cryfttee-devsigner.service
within 10 told checkpoint-failed || fail "nothing was said of a signer that is away"
within 10 told degraded || fail "the signer is away, and that was not told"
# One more is due for that event, and one at the stop.
sleep 2.5
began=$(now_ms)
systemctl stop cryftgo-tee.service
[ $(($(now_ms) - began)) -lt 3000 ] || fail "the stop took $(($(now_ms) - began)) ms"
same "how it ended" success "$(property Result)"
same "events of checkpoints that failed" 1 "$(count_of checkpoint-failed)"

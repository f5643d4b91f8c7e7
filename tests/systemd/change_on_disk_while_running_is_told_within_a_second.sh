#!/bin/sh
# alone: yes
. /scenarios/support/lib.sh

# Whatever is found in time was found by what happened on disk: no timed check comes near.
configure <<END
[watch]
interval = "10m"
END
dropin cryftgo-tee.service <<END
[Service]
WatchdogSec=30min
END
start_all
sidecar=$(sidecar_pid)
cp /usr/bin/cryfttee /var/tmp/good
next_version /var/tmp/next

# told_of WHAT EVENT COMMAND…: the command changes something, and within a second there is one more such event.
told_of() {
    what=$1
    event=$2
    shift 2
    seen=$(count_of "$event")
    start_ms=$(now_ms)
    "$@"
    within 1 told "$event" $((seen + 1)) || fail "$what: no event '$event' within a second; STATUS: $(property StatusText)"
    echo "$what: '$event' was seen after $(($(now_ms) - start_ms)) ms"
    same "the sidecar after $what" "$sidecar" "$(sidecar_pid)"
}

told_of "an unknown file renamed over the binary" tamper-pending rename_over /var/tmp/next
told_of "the good file renamed back" verified-again rename_over /var/tmp/good
told_of "a bit flipped in place" tamper-pending flip_a_bit /usr/bin/cryfttee
told_of "the bit flipped back" verified-again flip_a_bit /usr/bin/cryfttee
told_of "a binary that is gone" disk-unusable rm /usr/bin/cryfttee
told_of "a binary that is back" verified-again rename_over /var/tmp/good
pin_too /var/tmp/next
told_of "an accepted file renamed over the binary" upgrade-staged rename_over /var/tmp/next
# The reference values are watched as well.
told_of "the reference value of that file taken back" tamper-pending rm /etc/cryftgo-tee/pins.d/scenario

[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a change on disk locks a service whose sidecar is in order"
is_state active || fail "at the end the verifier is $(property ActiveState)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "at the end no client is answered"

#!/bin/sh
# alone: yes
. /scenarios/support/lib.sh

configure <<END
[launch]
stop_grace = "2s"
END
faulty ignore-sigterm
systemctl start cryftgo-tee.service || fail "$(property Result)"
sidecar=$(sidecar_pid)
# Bit 15 of the ignored signals, counted from 1: SIGTERM.
[ $((0x$(field "$sidecar" SigIgn) & 0x4000)) -ne 0 ] || fail "the sidecar does not ignore SIGTERM, so nothing is shown"

start_ms=$(now_ms)
systemctl stop --no-block cryftgo-tee.service
within 10 is_gone "$sidecar" || fail "10 s after the stop the sidecar still runs"
took_ms=$(($(now_ms) - start_ms))
echo "it was gone after $took_ms ms"
[ "$took_ms" -ge 1900 ] || fail "it was given only $took_ms ms of its 2 s"
[ "$took_ms" -le 3000 ] || fail "it was gone only after $took_ms ms"
within 2 is_state inactive || fail "after the stop the verifier is $(property ActiveState)"
same "the result of the stop" success "$(property Result)"
same "how it ended" "signal SIGKILL" "$(last_of stopped CRYFTTEE_HOW)"

# And of one that is replaced by a reload.
systemctl start cryftgo-tee.service || fail "$(property Result)"
sidecar=$(sidecar_pid)
next_version /var/tmp/next
pin_too /var/tmp/next
rename_over /var/tmp/next
start_ms=$(now_ms)
systemctl reload cryftgo-tee.service || fail "reload: exit code $?"
new=$(sidecar_pid | grep -vx "$sidecar")
[ -n "$new" ] || fail "there is no new sidecar"
within 10 is_gone "$sidecar" || fail "10 s after the reload the old sidecar still runs"
took_ms=$(($(now_ms) - start_ms))
echo "after a reload it was gone after $took_ms ms"
# The new one took a moment to start, before the old one was told to stop.
[ "$took_ms" -le 4000 ] || fail "after a reload it was gone only after $took_ms ms"
within 2 told drained || fail "the end of the replaced sidecar is not told of"
same "how the replaced one ended" "signal SIGKILL" "$(last_of drained CRYFTTEE_HOW)"
same "the sidecar" "$new" "$(sidecar_pid)"

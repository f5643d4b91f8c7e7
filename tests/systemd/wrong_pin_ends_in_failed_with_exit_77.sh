#!/bin/sh
. /scenarios/support/lib.sh

start_signer
pin() {
    printf '%s  /usr/bin/cryfttee\n' "$1" >/usr/lib/cryftgo-tee/pins.d/cryfttee
}
hash_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}
traces() {
    messages cryftgo-tee.service | grep -c "uid=$(id -u cryfttee)" || :
}

# A sidecar that leaves a trace where it runs: `id` prints who it is, into the journal of the unit. First with its own
# hash as the pin, to see that the trace would be found.
cp /usr/bin/cryfttee /root/cryfttee
cp /usr/bin/id /usr/bin/cryfttee
pin "$(hash_of /usr/bin/cryfttee)"
systemctl start cryftgo-tee.service && fail "a sidecar that exits at once became READY"
systemctl stop cryftgo-tee.service
[ "$(traces)" -gt 0 ] || fail "a pinned sidecar that runs leaves no trace, so the next step would show nothing"
[ "$(property ExecMainStatus)" != 77 ] || fail "a pinned sidecar is refused"

# The same sidecar with the pin of another one.
seen=$(traces)
pin "$(hash_of /root/cryfttee)"
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service && fail "a sidecar with another hash than the pinned one became READY"
is_state failed || fail "after a wrong pin the verifier is $(property ActiveState)"
same "the exit code" 77 "$(property ExecMainStatus)"
same "traces of the sidecar" "$seen" "$(traces)"

# One bit of the real one.
cp /root/cryfttee /usr/bin/cryfttee
byte=$(dd if=/usr/bin/cryfttee bs=1 skip=4096 count=1 status=none | od -An -tu1)
# shellcheck disable=SC2059
printf "\\$(printf %o $((byte ^ 1)))" | dd of=/usr/bin/cryfttee bs=1 seek=4096 conv=notrunc status=none
[ "$(hash_of /usr/bin/cryfttee)" != "$(hash_of /root/cryfttee)" ] || fail "no bit was flipped"
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service && fail "a sidecar with one bit flipped became READY"
is_state failed || fail "after a flipped bit the verifier is $(property ActiveState)"
same "the exit code" 77 "$(property ExecMainStatus)"

# Down means down: systemd does not try again what would be refused again.
sleep 3
is_state failed || fail "systemd started it again after exit 77"
same "restarts" 0 "$(property NRestarts)"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
[ ! -e /var/lib/cryftgo/staking/node_id ] || fail "a refused sidecar got as far as the keys"

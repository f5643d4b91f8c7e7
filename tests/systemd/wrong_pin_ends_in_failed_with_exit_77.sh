#!/bin/sh
. /scenarios/support/lib.sh

start_signer
traces() {
    # By name: of a process that was gone before journald looked, it does not know the unit.
    journalctl --sync
    journalctl --no-pager --boot --output=cat SYSLOG_IDENTIFIER=cryfttee | grep -c "uid=$(id -u cryfttee)" || :
}

# A sidecar that leaves a trace where it runs: `id` prints who it is, into the journal of the unit. First with its own
# hash as the pin, to see that the trace would be found.
cp /usr/bin/cryfttee /var/tmp/cryfttee
cp /usr/bin/id /usr/bin/cryfttee
pin /usr/bin/cryfttee
systemctl start cryftgo-tee.service && fail "a sidecar that exits at once became READY"
systemctl stop cryftgo-tee.service
[ "$(traces)" -gt 0 ] || fail "a pinned sidecar that runs leaves no trace, so the next step would show nothing"
[ "$(property ExecMainStatus)" != 77 ] || fail "a pinned sidecar is refused"

# The same sidecar with the pin of another one, and a client that waits.
seen=$(traces)
pin /var/tmp/cryfttee
systemctl reset-failed cryftgo-tee.service
systemctl restart cryfttee.socket
before=$(starts)
said=$(as_client cryftgo GET /v1/staking/status 2>&1) && fail "a client is answered by a sidecar that was not pinned: $said"
within 5 is_down || fail "after a wrong pin the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
same "the exit code" 77 "$(property ExecMainStatus)"
same "traces of the sidecar" "$seen" "$(traces)"
# The client's connection started it once. A second start would find what the first one found.
same "starts for one waiting client" 1 "$(($(starts) - before))"
said=$(as_client cryftgo GET /v1/staking/status 2>&1) && fail "a client is answered while all is down: $said"
case "$said" in
*Refused*"No such file"*) ;;
*) fail "a client of a closed socket is told: $said" ;;
esac

# One bit of the real one.
cryftgo-tee unlock --reason "the wrong pin was this test's own"
cp /var/tmp/cryfttee /usr/bin/cryfttee
flip_a_bit /usr/bin/cryfttee
[ "$(hash_of /usr/bin/cryfttee)" != "$(hash_of /var/tmp/cryfttee)" ] || fail "no bit was flipped"
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service && fail "a sidecar with one bit flipped became READY"
within 5 is_state failed || fail "after a flipped bit the verifier is $(property ActiveState)"
same "the exit code" 77 "$(property ExecMainStatus)"
case "$(events refused | tail -n 1)" in
*"step appraise"*) ;;
*) fail "it was not the bit that was refused: $(events refused | tail -n 1)" ;;
esac

# Down means down: systemd does not try again what would be refused again.
before=$(starts)
sleep 3
within 5 is_down || fail "three seconds after exit 77 the verifier is $(property ActiveState)"
same "starts in three seconds of being down" 0 "$(($(starts) - before))"
same "restarts" 0 "$(property NRestarts)"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
[ ! -e /var/lib/cryftgo/staking/node_id ] || fail "a refused sidecar got as far as the keys"

# And the way back is the one that the log names.
cp /var/tmp/cryfttee /usr/bin/cryfttee
cryftgo-tee unlock --reason "the flipped bit was this test's own"
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service || fail "the right binary does not start after unlock: $(property Result)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "a client is not answered after unlock"

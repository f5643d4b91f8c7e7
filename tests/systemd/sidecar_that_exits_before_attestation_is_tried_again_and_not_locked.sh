#!/bin/sh
. /scenarios/support/lib.sh

start_signer
cp /usr/bin/cryfttee /var/tmp/good
dropin cryftgo-tee.service <<END
[Unit]
StartLimitBurst=4
END
faulty exit-early
systemctl start cryftgo-tee.service && fail "a sidecar that exits at once became READY"
same "the exit code" 69 "$(property ExecMainStatus)"
case "$(events refused | tail -n 1)" in
*"step launch"*"exit code 3"* | *"step attest"*"exit code 3"*) ;;
*) fail "the reason is '$(events refused | tail -n 1)'" ;;
esac
same "processes of the sidecar" "" "$(processes_of cryfttee)"
[ ! -e /var/lib/cryftgo/staking/node_id ] || fail "a refused sidecar got as far as the keys"

# systemd tries again, as often as the unit says and no more.
within 20 is_state failed || fail "20 s later the verifier is $(property ActiveState)"
same "starts" 4 "$(starts)"
sleep 2
same "starts two seconds later" 4 "$(starts)"
same "the exit code at the end" 69 "$(property ExecMainStatus)"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a sidecar that only crashed locks the service"
same "pieces of evidence" "" "$(ls /var/lib/cryftgo-tee/quarantine 2>/dev/null)"

# Nothing has to be unlocked, and a sidecar that is mended between two tries is taken by the next one.
systemctl reset-failed cryftgo-tee.service cryfttee.socket
systemctl start --no-block cryftgo-tee.service
before=$(starts)
another() {
    [ "$(starts)" -gt "$before" ]
}
within 10 another || fail "systemd does not try again"
# The reference value first: a start between the two would find a file that nobody knows, and lock.
pin_too /var/tmp/good
rename_over /var/tmp/good
within 10 is_state active || fail "a mended sidecar is not taken: $(property ActiveState)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "a mended sidecar does not serve"

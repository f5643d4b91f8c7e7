#!/bin/sh
. /scenarios/support/lib.sh

start_all
# Another service, which is in none of our groups.
stranger() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
}
identity=$(stranger cat /run/cryftgo-tee/identity.json) || fail "identity.json cannot be read by other services"
node_id=$(cat /var/lib/cryftgo/staking/node_id)
case "$identity" in
*"\"$node_id\""*) ;;
*) fail "identity.json does not name $node_id: $identity" ;;
esac
same "mode of identity.json" 644 "$(stat --format=%a /run/cryftgo-tee/identity.json)"
same "mode of the private socket" 600 "$(stat --format=%a /run/cryftgo-tee/control.sock)"
same "owner of the private socket" cryftgo-tee "$(stat --format=%U /run/cryftgo-tee/control.sock)"
refused=$(stranger xtask test call --socket /run/cryftgo-tee/control.sock GET /v1/staking/status 2>&1) &&
    fail "a stranger was answered on the private socket: $refused"
case "$refused" in
*"Permission denied"*) ;;
*) fail "the private socket refuses a stranger for another reason: $refused" ;;
esac
stranger sh -c 'echo x >/run/cryftgo-tee/mine' 2>/dev/null && fail "a stranger may write into the folder of the private socket"

# The operator's own commands say the same.
same "cryftgo-tee identity" "$node_id" "$(cryftgo-tee identity --json | sed -n 's/.*"node_id": *"\([^"]*\)".*/\1/p')"
cryftgo-tee attest >/dev/null || fail "cryftgo-tee attest: $?"
cryftgo-tee status >/dev/null || fail "cryftgo-tee status: $?"

systemctl stop cryftgo-tee.service
[ ! -e /run/cryftgo-tee/identity.json ] || fail "identity.json outlives the service"

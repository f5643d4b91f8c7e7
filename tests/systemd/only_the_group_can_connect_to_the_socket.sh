#!/bin/sh
. /scenarios/support/lib.sh

start_all
same "owner and mode of the socket" "root:cryftgo 660" "$(stat --format '%U:%G %a' /run/cryfttee.sock)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "a member of the group cryftgo is not answered"
if said=$(as_client nogroup GET /v1/staking/status 2>&1); then
    fail "a stranger is answered: $said"
fi
case "$said" in
*Refused*"Permission denied"*) ;;
*) fail "a stranger is kept out by something else than the socket's mode: $said" ;;
esac
for user in cryfttee cryftgo-tee; do
    if id -nG "$user" | tr ' ' '\n' | grep -qx cryftgo; then
        fail "$user can ask for signatures"
    fi
done

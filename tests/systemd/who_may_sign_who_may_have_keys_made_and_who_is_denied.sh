#!/bin/sh
. /scenarios/support/lib.sh

# Three users whom the socket's mode lets in, and who may not all do the same.
for user in signs registers stranger; do
    useradd --system --no-create-home --groups cryftgo $user
done
configure <<'END'
[cryfttee]
allow_users = ["signs"]
register_users = ["registers"]
[watch]
interval = "1s"
health_interval = "1s"
END
start_all
key=$(cat /var/lib/cryftgo/staking/tls_pubkey)

# as USER WANTED METHOD PATH [BODY]: asks as this user; WANTED is a status, or "answered".
as() {
    user=$1
    wanted=$2
    shift 2
    code=0
    setpriv --reuid="$user" --regid="$user" --init-groups xtask test call "$@" >/run/answer 2>&1 || code=$?
    case "$wanted" in
    answered) [ $code = 0 ] || fail "$user is denied $*: $(cat /run/answer)" ;;
    *) [ $code = 22 ] && has /run/answer forbidden || fail "$user is not denied $*: $code $(cat /run/answer)" ;;
    esac
}
sign="{\"pubkey\":\"$key\",\"data\":\"0x00\"}"
generate='{"action":"generate"}'
for user in signs registers; do
    as $user answered GET /v1/staking/status
    as $user answered POST /v1/staking/tls/sign "$sign"
done
sleep 2.5
same "denials before anybody was denied" 0 "$(count_of client-denied)"

as signs denied POST /v1/staking/bls/register "$generate"
within 5 told client-denied || fail "a denial is not in the audit trail"
same "who was denied" "$(id -u signs)" "$(last_of client-denied CRYFTTEE_UID)"
same "what was denied" bls_register "$(last_of client-denied CRYFTTEE_ASKED)"
same "how many" 1 "$(last_of client-denied CRYFTTEE_COUNT)"
as registers answered POST /v1/staking/bls/register "$generate"

# Who is denied on and on is told once a minute, and each time is counted.
for number in 1 2 3 4 5; do
    as stranger denied GET /v1/staking/status
    as stranger denied POST /v1/staking/tls/sign "$sign"
done
sleep 2.5
same "events of denials within a minute" 1 "$(count_of client-denied)"
messages cryftgo-tee.service | grep -q "denied on .*uid=$(id -u stranger)" || fail "the sidecar has no line about the stranger"
journalctl --no-pager --catalog CRYFTTEE_EVENT=client-denied | grep -q 'Clients were denied' || fail "it is not explained"
systemctl stop cryftgo-tee.service
cryftgo-tee audit verify || fail "the trail is not whole"

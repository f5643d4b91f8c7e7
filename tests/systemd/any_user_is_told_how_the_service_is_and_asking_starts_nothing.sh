#!/bin/sh
. /scenarios/support/lib.sh

stranger() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
}

# Nothing runs yet, and nothing does afterwards: the socket would start everything for whoever connects.
systemctl start cryfttee.socket
code=0
stranger cryftgo-tee status >/tmp/status || code=$?
same "the exit code of status before the first start" 69 "$code"
stranger cryftgo-tee healthcheck && fail "healthy before the first start"
cryftgo-tee status >/dev/null && fail "root is told that it is ready"
is_state inactive || fail "asking for the status started the service: $(property ActiveState)"

start_all
# Whoever waited for READY may ask at once.
stranger cryftgo-tee healthcheck || fail "not healthy right after READY"
stranger cryftgo-tee status >/tmp/status || fail "status: $? $(cat /tmp/status)"
node_id=$(cat /var/lib/cryftgo/staking/node_id)
for part in "ready to sign" "ready since" "$node_id" "sha256:$(hash_of /usr/bin/cryfttee)" pins.d/cryfttee "Not asked"; do
    has /tmp/status "$part" || fail "status for a stranger lacks '$part': $(cat /tmp/status)"
done
cryftgo-tee status >/tmp/status || fail "status for root: $? $(cat /tmp/status)"
has /tmp/status "It says: Web3Signer answers" || fail "the sidecar was not asked: $(cat /tmp/status)"
same "the mode of state.json" "644 cryftgo-tee" "$(stat --format '%a %U' /run/cryftgo-tee/state.json)"

systemctl stop cryftgo-tee.service
stranger cryftgo-tee status >/tmp/status && fail "ready after a stop"
has /tmp/status "it was stopped" || fail "after a stop: $(cat /tmp/status)"
is_state inactive || fail "asking started it again"

# A lock is told to everybody, root and stranger alike, with a code of its own.
flip_a_bit /usr/bin/cryfttee
systemctl start cryftgo-tee.service && fail "a changed binary was started"
within 10 is_down || fail "not down"
for who in stranger env; do
    code=0
    $who cryftgo-tee status >/tmp/status || code=$?
    same "the exit code of status for $who while it is locked" 77 "$code"
    has /tmp/status LOCKED || fail "$(cat /tmp/status)"
done
cryftgo-tee unlock --reason "the test is over" >/dev/null
code=0
cryftgo-tee status >/tmp/status || code=$?
same "the exit code of status after the unlock" 69 "$code"

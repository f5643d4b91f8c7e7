#!/bin/sh
. /scenarios/support/lib.sh

# A sidecar that ends at once, every time: a failure that may pass, so systemd tries again, until it does not.
start_signer
cp /usr/bin/id /usr/bin/cryfttee
pin /usr/bin/cryfttee
systemctl start cryfttee.socket
xtask test hammer --clients 8 --until /run/enough --patience 60 >/run/report &
hammer=$!
given_up() {
    is_state failed && [ ! -e /run/cryfttee.sock ]
}
within 60 given_up || fail "after $(starts) starts the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
same "the exit code" 69 "$(property ExecMainStatus)"
seen=$(starts)
# Temporary: it was tried again, and as often as the unit says.
same "starts" 20 "$seen"
sleep 3
given_up || fail "three seconds later the verifier is $(property ActiveState)"
same "starts in three seconds of being down" 0 "$(($(starts) - seen))"
: >/run/enough
wait "$hammer"
cat /run/report
same "answers" 0 "$(sed -n 's/^answered //p' /run/report)"
same "clients that were never told" 0 "$(sed -n 's/^lost //p' /run/report)"

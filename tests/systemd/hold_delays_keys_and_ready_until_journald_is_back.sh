#!/bin/sh
. /scenarios/support/lib.sh

configure <<'END'
[audit]
on_failure = "hold"
END
journald=$(property MainPID systemd-journald.service)
# Its queue takes no more. Not before the service runs: systemd itself starts no process then.
fill() {
    journald=$(property MainPID systemd-journald.service)
    kill -STOP "$journald"
    filled=0
    while printf 'MESSAGE=fill\n' | timeout 1 logger --journald; do filled=$((filled + 1)); done
    echo "full after $filled messages"
}
# The start stands at the signer while the queue is filled.
start_signer
signer=$(property MainPID cryfttee-devsigner.service)
kill -STOP "$signer"
systemctl start --no-block cryftgo-tee.service
at_the_signer() {
    status_says "Attested" || status_says "Waiting for Web3Signer"
}
within 10 at_the_signer || fail "STATUS says: $(property StatusText)"
fill
kill -CONT "$signer"
within 15 status_says "Held: journald does not take" || fail "STATUS says: $(property StatusText)"
is_state activating || fail "the verifier is $(property ActiveState) while journald takes nothing"
same "keys while journald takes nothing" "" "$(ls /var/lib/cryftgo/staking)"
timeout 1 xtask test call GET /v1/staking/status >/dev/null 2>&1 && fail "a client is answered while journald takes nothing"
kill -CONT "$journald"
within 10 is_state active || fail "not READY after SIGCONT: $(property StatusText)"
[ -s /var/lib/cryftgo/staking/bls_pubkey ] || fail "no key"
cryftgo-tee audit verify || fail "the trail is not whole: $?"

# It stays away: no deadlock, but a refusal with its reason, which the next start delivers.
systemctl stop cryftgo-tee.service
printf '[cryfttee]\nstartup_timeout = "4s"\n' >/etc/cryftgo-tee/conf.d/short.toml
systemctl start cryftgo-tee.service
fill
pid=$(sidecar_pid)
echo "killed $pid"
kill -KILL "$pid"
within 20 status_says "Refused at step audit" || fail "STATUS says: $(property StatusText)"
kill -CONT "$journald"
within 20 is_state active || fail "not started again after SIGCONT: $(property StatusText)"
within 5 told refused || fail "the refusal is not in the journal"
within 5 told events-delayed || fail "that events came late is not told"
cryftgo-tee audit verify || fail "the trail is not whole: $?"

#!/bin/sh
. /scenarios/support/lib.sh

journald=$(property MainPID systemd-journald.service)
# Its queue takes no more: a writer that waits hangs.
fill() {
    kill -STOP "$journald"
    filled=0
    while printf 'MESSAGE=fill\n' | timeout 0.3 logger --journald; do
        filled=$((filled + 1))
        [ "$filled" -lt 5000 ] || fail "journald's queue does not fill"
    done
    echo "journald's queue was full after $filled messages"
}

start_all
first=$(sidecar_pid)
fill
# The sidecar is replaced meanwhile, and clients are served.
kill -KILL "$first"
replaced() {
    new=$(sidecar_pid)
    [ -n "$new" ] && [ "$new" != "$first" ]
}
within 10 replaced || fail "with journald stopped, the killed sidecar is not replaced"
timeout 10 xtask test call GET /v1/staking/status >/dev/null || fail "with journald stopped, no client is answered"
checks() {
    property StatusText
}
status=$(checks)
another() {
    [ "$(checks)" != "$status" ]
}
within 25 another || fail "with journald stopped, the watch stands still at: $status"
kill -CONT "$journald"
# What waited arrives with the next event, all of it and in order.
kill -KILL "$new"
arrived() {
    [ "$(events ready | grep -c . || :)" -ge 3 ]
}
within 20 arrived || fail "after SIGCONT: $(events ready)"
journalctl --no-pager --boot --output=json --output-fields=CRYFTTEE_EVENT "_PID=$(verifier_pid)" |
    sed -n 's/.*"CRYFTTEE_EVENT":"\([^"]*\)".*/\1/p' | grep -E '^(sidecar-ended|restarting|launched|attested|ready)$' |
    tail -n 10 | tr '\n' ' ' >/run/order
once="sidecar-ended restarting launched attested ready "
same "the events after SIGCONT" "$once$once" "$(cat /run/order)"

# The stop is not held up either.
new=$(sidecar_pid)
verifier=$(verifier_pid)
fill
start_ms=$(now_ms)
timeout 30 systemctl stop cryftgo-tee.service || fail "systemctl stop hangs while journald is stopped"
took_ms=$(($(now_ms) - start_ms))
echo "the stop took $took_ms ms"
result=$(property Result)
is_gone "$verifier" || fail "the verifier still runs"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
kill -CONT "$journald"
same "the result of the stop" success "$result"
# The grace period, 5 s, and a last second for journald to take what waits.
[ "$took_ms" -lt 7000 ] || fail "with journald stopped, the stop took $took_ms ms"
# What could not be delivered waits on disk, the next start delivers it, and the chain has no gap.
systemctl start cryftgo-tee.service
within 5 told stopped || fail "the event 'stopped' is lost"
within 5 told events-delayed || fail "that events came late is not told"
cryftgo-tee audit verify || fail "the trail is not whole: $?"
told events-lost && fail "events are lost"
:

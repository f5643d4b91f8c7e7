#!/bin/sh
. /scenarios/support/lib.sh

# A sidecar that never answers: each start waits for it as long as it is told to. The shipped unit bounds twenty starts in
# an hour, whatever each takes; here fewer, so that the end can be waited for. (A signer that stays away is another matter:
# it is waited for without end.)
start_signer
faulty hang
configure <<END
[cryfttee]
startup_timeout = "1s"
END
dropin cryftgo-tee.service <<END
[Unit]
StartLimitBurst=4
END
systemctl start cryfttee.socket
start_ms=$(now_ms)
{
    as_client cryftgo GET /v1/staking/status >/run/answer 2>&1 && : >/run/answered
    now_ms >/run/done
} &
client=$!
given_up() {
    is_state failed && [ ! -e /run/cryfttee.sock ]
}
within 30 given_up || fail "after $(starts) starts the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
took_ms=$(($(now_ms) - start_ms))
echo "down after $took_ms ms"
# Slowly: else it would be the other scenario once more.
[ "$took_ms" -ge 4000 ] || fail "four starts that wait 1 s each took $took_ms ms"
same "the exit code" 69 "$(property ExecMainStatus)"
same "starts" 4 "$(starts)"
wait "$client"
[ ! -e /run/answered ] || fail "the client was answered: $(cat /run/answer)"
# Told when all was given up, and not only when its own patience was over.
[ $(($(cat /run/done) - start_ms)) -lt $((took_ms + 2000)) ] || fail "the client waited on: $(cat /run/answer)"
sleep 3
given_up || fail "three seconds later the verifier is $(property ActiveState)"
same "starts three seconds later" 4 "$(starts)"
same "processes of the sidecar" "" "$(processes_of cryfttee)"
[ ! -e /var/lib/cryftgo-tee/tampered ] || fail "a sidecar that hangs locks the service"

#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# An unsealing in the morning must not need `reset-failed`: more starts than the unit allows of any other kind.
printf '[web3signer]\nstartup_timeout = "1s"\n' | configure
dropin cryftgo-tee.service <<'END'
[Unit]
StartLimitBurst=3
END
systemctl start cryfttee.socket
{
    as_client cryftgo GET /v1/staking/status --patience 120 >/run/answer 2>&1 && : >/run/answered
} &
client=$!
started() {
    [ "$(starts)" -ge 6 ]
}
within 60 started || fail "after $(starts) starts the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
is_state active cryfttee.socket || fail "the socket is $(property ActiveState cryfttee.socket)"
start_signer
within 20 is_state active || fail "with the signer there the verifier is $(property ActiveState): $(property StatusText)"
wait "$client"
[ -e /run/answered ] || fail "the client in the queue was not answered: $(cat /run/answer)"
both_sign "with the signer there"

# A sidecar that fails is still given up.
systemctl stop cryftgo-tee.service cryfttee.socket
faulty hang
printf '[cryfttee]\nstartup_timeout = "1s"\n' | configure
systemctl start --no-block cryftgo-tee.service
within 60 is_state failed || fail "a sidecar that hangs is tried without end: $(starts) starts"

#!/bin/sh
. /scenarios/support/lib.sh

# The signer comes up three seconds late, and so does READY.
systemctl start cryfttee.socket
start_ms=$(now_ms)
for client in 1 2 3 4 5 6 7 8; do
    {
        as_client cryftgo GET /v1/staking/status >"/run/answer.$client" && now_ms >"/run/done.$client"
    } &
done
sleep 3
! is_state active || fail "READY without a signer"
for client in 1 2 3 4 5 6 7 8; do
    [ ! -s "/run/answer.$client" ] || fail "a client was answered before READY: $(cat "/run/answer.$client")"
done
start_signer
wait
for client in 1 2 3 4 5 6 7 8; do
    grep -q '"ready":true' "/run/answer.$client" || fail "client $client was told: $(cat "/run/answer.$client")"
    waited_ms=$(($(cat "/run/done.$client") - start_ms))
    [ "$waited_ms" -ge 3000 ] || fail "client $client was answered after $waited_ms ms, before there was a signer"
done
within 5 is_state active || fail "clients were served, and the verifier is $(property ActiveState)"

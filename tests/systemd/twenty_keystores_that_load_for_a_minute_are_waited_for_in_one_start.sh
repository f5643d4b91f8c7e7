#!/bin/sh
# beside: yes
# minutes: 5
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# Each is made by the sidecar and imported: one at the first start, the others by hand.
start_all
while [ "$(made_keys)" -lt 20 ]; do
    before=$(made_keys)
    api POST /v1/staking/bls/register '{"action":"generate"}' >/run/made 2>&1 || fail "key $((before + 1)): $(cat /run/made)"
    [ "$(made_keys)" -gt "$before" ] || fail "no keystore was made: $(cat /run/made)"
done
bls=$(identity bls_pubkey)
node=$(identity node_id)
systemctl stop cryftgo-tee.service cryfttee-devsigner.service

# They take 25 to 33 s on a busy machine, and a minute on one that is busier: until then nothing listens.
dropin cryfttee-devsigner.service <<'END'
[Service]
ExecStart=
ExecStart=/usr/bin/cryfttee-devsigner --as eth2 --listen 127.0.0.1:9000 --keys ${STATE_DIRECTORY}/keys \
    --key-manager-api-enabled true --load-delay 60s
END
waits=$(count_of waiting-for-signer)
start_signer
start_ms=$(now_ms)
systemctl start cryftgo-tee.service || fail "the start was given up: $(property Result) $(property StatusText)"
took_ms=$(($(now_ms) - start_ms))
echo "READY after $took_ms ms"
[ "$took_ms" -ge 55000 ] || fail "READY after $took_ms ms, before the keys were loaded"
same "restarts" 0 "$(property NRestarts)"
same "starts" 2 "$(starts)"
# Once, and once more where eth1 did not listen yet either: what it waits for was another thing then.
waits=$(($(count_of waiting-for-signer) - waits))
[ "$waits" = 1 ] || [ "$waits" = 2 ] || fail "it says $waits times that it waits: $(events waiting-for-signer)"
case "$(last_of waiting-for-signer CRYFTTEE_REASON)" in
*:9000*refused*) ;;
*) fail "it does not say for what it waits: $(events waiting-for-signer)" ;;
esac
same "how many keys there are" 20 "$(listed eth2 | grep -c .)"
same "the BLS key" "$bls" "$(identity bls_pubkey)"
same "the node" "$node" "$(identity node_id)"
both_sign "with twenty keys"

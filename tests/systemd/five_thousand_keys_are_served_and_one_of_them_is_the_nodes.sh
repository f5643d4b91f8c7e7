#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

key_files BLS 1 5000
key_files SECP256K1 1 1
start_signer
within 60 signer_listens || fail "the signers do not listen"
same "how many keys there are" 5000 "$(listed eth2 | grep -c .)"
start_ms=$(now_ms)
systemctl start cryftgo-tee.service || fail "start with 5,000 keys: $(property Result)"
took_ms=$(($(now_ms) - start_ms))
echo "READY after $took_ms ms"
[ "$took_ms" -le 10000 ] || fail "READY after $took_ms ms"
first=$(listed eth2 | sort | head -n 1)
same "the BLS key" "$first" "$(identity bls_pubkey)"
both_sign "with 5,000 keys"
answer=$(as_client cryftgo GET /v1/staking/status) || fail "the status of 5,000 keys is not told"
same "how many keys clients are told of" 5000 "$(echo "$answer" | tr , '\n' | grep -o '0x[0-9a-f]\{96\}' | sort -u | grep -c .)"
systemctl restart cryfttee-devsigner.service
within 60 signer_listens || fail "the signers do not listen"
systemctl restart cryftgo-tee.service || fail "restart with 5,000 keys: $(property Result)"
same "the BLS key after restarts of both" "$first" "$(identity bls_pubkey)"
both_sign "after restarts of both"
same "keys that were made" 0 "$(made_keys)"

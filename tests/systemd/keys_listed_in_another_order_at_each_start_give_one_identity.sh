#!/bin/sh
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh

# What decides is the keys' own bytes: the first in ascending order.
key_files BLS 1 10
key_files SECP256K1 1 3
for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    # Fresh: nothing saved, another order.
    systemctl stop cryftgo-tee.service
    rm -rf /var/lib/cryftgo/staking /var/lib/cryftgo/keys
    systemctl reset-failed cryftgo-tee.service cryfttee.socket cryfttee-devsigner.service cryfttee-devsigner-eth1.service 2>/dev/null || :
    systemctl restart cryfttee-devsigner.service
    within 10 signer_listens || fail "start $number: the signers do not listen"
    systemctl start cryftgo-tee.service || fail "start $number: $(property Result)"
    first=$(listed eth2 | sort | head -n 1)
    same "the BLS key of start $number" "$first" "$(identity bls_pubkey)"
    same "the node of start $number" "$NODE_ID_1" "$(identity node_id)"
    listed eth2 >/run/order
    same "how many BLS keys there are" 10 "$(grep -c . /run/order)"
    sha256sum </run/order >>/run/orders
done
# Else nothing is shown.
[ "$(sort -u /run/orders | grep -c .)" -gt 1 ] || fail "the signer lists its keys in one order"
case "$(messages cryftgo-tee.service)" in
*identity.bls_pubkey*) ;;
*) fail "several keys were there, and no line names identity.bls_pubkey" ;;
esac

# A saved identity stands through any order, and a key that is named in the settings is taken whatever comes before it.
systemctl restart cryfttee-devsigner.service
within 10 signer_listens || fail "the signers do not listen"
systemctl restart cryftgo-tee.service
same "the BLS key that was saved" "$first" "$(identity bls_pubkey)"
systemctl stop cryftgo-tee.service
rm -rf /var/lib/cryftgo/staking /var/lib/cryftgo/keys
configure <<END
[identity]
bls_pubkey = "$BLS_2"
tls_pubkey = "$TLS_1"
END
systemctl start cryftgo-tee.service || fail "start with the keys named: $(property Result)"
same "the BLS key that was named" "$BLS_2" "$(identity bls_pubkey)"
both_sign "with the keys named"
same "keys that were made" 0 "$(made_keys)"

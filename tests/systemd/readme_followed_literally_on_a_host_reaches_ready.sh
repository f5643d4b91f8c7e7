#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh
. /scenarios/support/signers.sh
. /scenarios/support/typed.sh

# What the README takes for granted: a Web3Signer, here one that knows no option but those of the README, and the packages
# where `cargo xtask dist` leaves them.
dpkg_install now cryfttee-devsigner
install -m 0755 /scenarios/support/web3signer /usr/local/bin/
for odd in --no-such-option --key-config-path=/k ''; do
    code=0
    web3signer $odd eth1 2>/dev/null || code=$?
    same "the exit code of web3signer $odd eth1" 64 "$code"
done
mkdir -p /clone/target
ln -s /packages/now /clone/target/dist

sed -n '/^## On a validator host/,/^## [^O]/p' /README.md | sed -n '/^```sh/,/^```/p' | sed '/^```/d' >/run/steps
[ -s /run/steps ] || fail "the README has no steps for a validator host"
cat /run/steps
(cd /clone && sh -eu /run/steps </dev/null) || fail "the README's steps: exit code $?"

is_state active || fail "after the README's steps the verifier is $(property ActiveState)"
status_says "$(identity node_id)" || fail "READY, and STATUS says: $(property StatusText)"
answer=$(as_client cryftgo GET /v1/staking/status)
case "$answer" in
*'"ready":true'*) ;;
*) fail "a member of cryftgo is answered: $answer" ;;
esac
same "the sidecar that runs" "$(cut -d ' ' -f 1 /usr/lib/cryftgo-tee/pins.d/cryfttee)" \
    "$(sha256sum <"/proc/$(sidecar_pid)/exe" | cut -d ' ' -f 1)"
same "the reference value" "$(hash_of /usr/bin/cryfttee)  /usr/bin/cryfttee" "$(cat /usr/lib/cryftgo-tee/pins.d/cryfttee)"
cryftgo-tee doctor >/run/doctor || fail "doctor finds something wrong: $(cat /run/doctor)"

# The BLS key was imported; the other is the one of the file.
same "what eth2 lists" "$(identity bls_pubkey)" "$(listed eth2)"
same "how many keys eth1 lists" 1 "$(listed eth1 | grep -c .)"
same "the owner of what was imported" web3signer "$(stat --format %U /var/lib/web3signer/*.json | sort -u)"

# All that a stock one signs, is signed.
every_type
sign_tls || fail "tls/sign: $(cat /run/signed)"
signed_as ATTESTATION "$(vote 364033 364034 b1)"
signed_as ATTESTATION "$(vote 364033 364034 b1)"
! sign_bls ATTESTATION "$(vote 364033 364034 b2)" || fail "a double vote is signed"
refused 412 slashing_protection || fail "a double vote: $(cat /run/signed)"
signed_as BLOCK_V2 "$(block 11649100 a1)"
! sign_bls BLOCK_V2 "$(block 11649100 a4)" || fail "a second block for one slot is signed"
refused 412 slashing_protection || fail "a second block for one slot: $(cat /run/signed)"
# What it refuses because of the request is told as such, and never as a broken signer.
for wrong in '"0x0123"' '{"type":"RANDAO_REVEAL","randao_reveal":{"epoch":"1"}}' '{"type":"RANDAO_REVEAL"}'; do
    ! sign_bls RANDAO_REVEAL "$wrong" || fail "$wrong is signed"
    refused 400 signer_refused || fail "$wrong: $(cat /run/signed)"
done

# A reload of either side costs nothing.
bls=$(identity bls_pubkey)
signer_reload eth2
signer_reload eth1
every_type
systemctl reload cryftgo-tee || fail "systemctl reload: exit code $?"
both_sign "after a reload"
systemctl restart web3signer-eth2 web3signer-eth1
within 10 signer_listens || fail "web3signer does not listen after a restart"
systemctl restart cryftgo-tee || fail "a restart: $(property Result)"
same "the BLS key after restarts of both" "$bls" "$(identity bls_pubkey)"
every_type
sign_tls || fail "tls/sign after restarts: $(cat /run/signed)"

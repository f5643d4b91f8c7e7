#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh

# What the README takes for granted: a Web3Signer, and the packages where `cargo xtask dist` leaves them.
dpkg_install now cryfttee-devsigner
start_signer
mkdir -p /clone/target
ln -s /packages/now /clone/target/dist

sed -n '/^## On a validator host/,/^## [^O]/p' /README.md | sed -n '/^```sh/,/^```/p' | sed '/^```/d' >/run/steps
[ -s /run/steps ] || fail "the README has no steps for a validator host"
cat /run/steps
(cd /clone && sh -eu /run/steps </dev/null) || fail "the README's steps: exit code $?"

is_state active || fail "after the README's steps the verifier is $(property ActiveState)"
status_says "$(cat /var/lib/cryftgo/staking/node_id)" || fail "READY, and STATUS says: $(property StatusText)"
answer=$(as_client cryftgo GET /v1/staking/status)
case "$answer" in
*'"ready":true'*) ;;
*) fail "a member of cryftgo is answered: $answer" ;;
esac
same "the sidecar that runs" "$(cut -d ' ' -f 1 /usr/lib/cryftgo-tee/pins.d/cryfttee)" \
    "$(sha256sum <"/proc/$(sidecar_pid)/exe" | cut -d ' ' -f 1)"
same "the reference value" "$(hash_of /usr/bin/cryfttee)  /usr/bin/cryfttee" "$(cat /usr/lib/cryftgo-tee/pins.d/cryfttee)"

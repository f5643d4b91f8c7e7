#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh

# Debian 12's rpm wants to be told that it is meant; Debian 13's does not know the word.
force=--force-debian
rpm $force --version >/dev/null 2>&1 || force=
# Its database does not know what dpkg has installed, hence --nodeps; the scriptlets run as they would elsewhere.
by_rpm() {
    rpm $force --nodeps "$@" </dev/null || fail "rpm $*: exit code $?"
}
version() {
    rpm $force --query --queryformat '%{VERSION}' "$1"
}

by_rpm --install /packages/now/*.rpm
for unit in cryfttee.socket cryftgo-tee.service cryfttee-devsigner.service cryfttee-devsigner-eth1.service; do
    same "$unit after an installation" inactive "$(property ActiveState "$unit")"
done
same "is the socket enabled" enabled "$(systemctl is-enabled cryfttee.socket)"
same "what rpm --verify says" "" "$(rpm $force --verify --nodeps cryftgo-tee cryfttee cryfttee-devsigner)"
same "the verifier's groups" "cryftgo-tee tss" "$(id -nG cryftgo-tee)"
start_all
node_id=$(cat /var/lib/cryftgo/staking/node_id)
verifier=$(verifier_pid)
old=$(sidecar_pid)
echo '# a line of the operator' >>/etc/cryftgo-tee/cryftgo-tee.toml

by_rpm --upgrade /packages/next/cryfttee-[0-9]*.rpm
same "the version of the sidecar" 9999 "$(version cryfttee)"
same "the verifier" "$verifier" "$(verifier_pid)"
same "reloads" 1 "$(count_of reloaded)"
within 10 is_gone "$old" || fail "the old sidecar still runs"
same "the sidecar that runs" "$(hash_of /usr/bin/cryfttee)" "$(sha256sum <"/proc/$(sidecar_pid)/exe" | cut -d ' ' -f 1)"
by_rpm --upgrade /packages/next/cryftgo-tee-[0-9]*.rpm
is_state active || fail "after its upgrade the verifier is $(property ActiveState)"
[ "$(verifier_pid)" != "$verifier" ] || fail "the verifier was not restarted"
has /etc/cryftgo-tee/cryftgo-tee.toml 'a line of the operator' || fail "an upgrade has changed the configuration"
same "the node ID after the upgrades" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"

by_rpm --erase cryftgo-tee cryfttee
[ ! -e /run/cryfttee.sock ] || fail "after a removal the socket is there"
[ -z "$(processes_of cryfttee)" ] || fail "after a removal the sidecar runs"
same "the node ID after a removal" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
by_rpm --install /packages/now/cryftgo-tee-[0-9]*.rpm /packages/now/cryfttee-[0-9]*.rpm
systemctl start cryftgo-tee.service || fail "start after a removal: $(property Result)"
same "the node ID" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"

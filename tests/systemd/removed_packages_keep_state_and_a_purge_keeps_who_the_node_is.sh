#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh

dpkg_install now cryftgo-tee cryfttee cryfttee-devsigner
start_all
systemctl --quiet enable cryftgo-tee.service
node_id=$(cat /var/lib/cryftgo/staking/node_id)
sidecar=$(sidecar_pid)
echo '# a line of the operator' >>/etc/cryftgo-tee/cryftgo-tee.toml

dpkg --remove cryftgo-tee cryfttee </dev/null || fail "dpkg --remove: exit code $?"
is_gone "$sidecar" || fail "after a removal the sidecar runs"
[ ! -e /run/cryfttee.sock ] || fail "after a removal the socket is there"
same "the node ID after a removal" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
has /etc/cryftgo-tee/cryftgo-tee.toml 'a line of the operator' || fail "a removal has changed the configuration"

# Installed again, it goes on where it was.
dpkg_install now cryftgo-tee cryfttee
is_state inactive || fail "an installation after a removal has started the verifier"
same "is the service enabled, as before" enabled "$(systemctl is-enabled cryftgo-tee.service)"
systemctl start cryftgo-tee.service || fail "start after a removal: $(property Result)"
same "the node ID" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
systemctl stop cryfttee.socket cryftgo-tee.service

# An installation that was damaged is whole after another one.
rm -rf /usr/bin/cryfttee /usr/lib/cryftgo-tee /usr/lib/systemd/system/cryfttee.socket /usr/lib/sysusers.d/cryftgo-tee.conf \
    /etc/cryftgo-tee/pins.d
sed -i '/^cryfttee:/d' /etc/passwd
dpkg_install now cryftgo-tee cryfttee
systemctl start cryftgo-tee.service || fail "start of what was damaged and installed again: $(property Result)"
same "the node ID of what was healed" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"

# Two instances, one of which may go whole, and a stranger's folder that is called alike.
mkdir -p /var/lib/cryftgo-node-a /var/lib/cryftgo-node-b /var/lib/cryftgo-tee-a /var/lib/cryftgo-tee-b /var/lib/cryftgo-tee-stranger
touch /etc/cryftgo-tee/instances/a.toml /etc/cryftgo-tee/instances/b.toml /var/lib/cryftgo-node-b/remove-on-purge

dpkg --purge cryftgo-tee cryfttee </dev/null || fail "dpkg --purge: exit code $?"
same "what is left of the instances" "/var/lib/cryftgo-node-a /var/lib/cryftgo-tee-stranger" "$(echo /var/lib/cryftgo-[nt]*-*)"
for gone in /etc/cryftgo-tee /var/lib/cryftgo-tee /run/cryftgo-tee /usr/lib/cryftgo-tee; do
    [ ! -e "$gone" ] || fail "after a purge there is $gone: $(ls -lR "$gone")"
done
same "links that enabled a unit" "" "$(find /etc/systemd/system -name 'cryft*')"
same "the node ID after a purge" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
[ -s /var/lib/cryftgo/keys/bls_key.json ] || fail "a purge has removed a public key"

# Told to, a purge removes that too.
dpkg_install now cryftgo-tee cryfttee
name_signers
systemctl start cryftgo-tee.service || fail "start after a purge: $(property Result)"
same "the node ID of the next life" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
touch /var/lib/cryftgo/remove-on-purge
dpkg --purge cryftgo-tee cryfttee </dev/null || fail "dpkg --purge: exit code $?"
[ ! -e /var/lib/cryftgo ] || fail "a purge that was told to has kept /var/lib/cryftgo"

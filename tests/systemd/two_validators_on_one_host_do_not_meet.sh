#!/bin/sh
. /scenarios/support/lib.sh

# Clean means silent.
for unit in cryfttee@a.socket cryftgo-tee@a.service cryftgo-tee-down@a.service; do
    said=$(systemd-analyze verify "$unit" 2>&1) || fail "$unit: $said"
    same "what systemd-analyze verify says about $unit" "" "$said"
done
systemd-analyze security --offline=true --threshold=20 --no-pager /usr/lib/systemd/system/cryftgo-tee@.service >/dev/null ||
    fail "the exposure of the template is over the goal"

# A signer, of two processes, and a sidecar's user for each.
signers() {
    sed -i -e "s|^#url = .*|url = \"http://localhost:$2\"|" -e "s|^#eth1_url = .*|eth1_url = \"http://localhost:$3\"|" \
        -e 's/^#key_generation = .*/key_generation = "import"/' "/etc/cryftgo-tee/instances/$1.toml"
}
for name in a b; do
    useradd --system --no-create-home "cryfttee-$name"
    sed -e "s/^user = .*/user = \"cryfttee-$name\"/" /etc/cryftgo-tee/cryftgo-tee.toml >"/etc/cryftgo-tee/instances/$name.toml"
done
signers a 9000 9001
signers b 9002 9003
for kind in '' -eth1; do
    sed -e 's/127.0.0.1:9000/127.0.0.1:9002/' -e 's/127.0.0.1:9001/127.0.0.1:9003/' \
        -e 's/cryfttee-devsigner\(-eth1\)\?.service/second-signer\1.service/' \
        -e 's/^\(StateDirectory\|User\)=.*/\1=second-signer/' \
        "/usr/lib/systemd/system/cryfttee-devsigner$kind.service" >"/run/systemd/system/second-signer$kind.service"
done
systemctl daemon-reload
start_signer
systemctl start second-signer.service

for name in a b; do
    systemctl start "cryftgo-tee@$name" || fail "start $name: $(property Result "cryftgo-tee@$name.service")"
done
both_run() {
    for name in a b; do
        is_state active "cryftgo-tee@$name.service" || fail "$1: $name is $(property ActiveState "cryftgo-tee@$name.service")"
        api_of "$name" | grep -q '"ready":true' || fail "$1: $name does not answer"
    done
}
api_of() {
    xtask test call --socket "/run/cryfttee-$1.sock" GET /v1/staking/status
}
node_id() {
    cat "/var/lib/cryftgo-node-$1/staking/node_id"
}
sidecar_of() {
    processes_of "cryfttee-$1" | tail -n 1
}
both_run "after the start"
[ "$(node_id a)" != "$(node_id b)" ] || fail "two validators have one node ID"
for name in a b; do
    same "who $name is" "$(node_id $name)" "$(sed -n 's/.*"node_id": *"\([^"]*\)".*/\1/p' "/run/cryftgo-tee-$name/identity.json")"
    cryftgo-tee identity --config "/etc/cryftgo-tee/instances/$name.toml" --cryfttee-socket "/run/cryfttee-$name.sock" \
        --identity-state-dir "/var/lib/cryftgo-node-$name" | grep -q "$(node_id $name)" || fail "cryftgo-tee identity of $name"
    cryftgo-tee healthcheck --state-file "/run/cryftgo-tee-$name/state.json" || fail "cryftgo-tee healthcheck of $name: exit code $?"
done
[ ! -e /run/cryfttee.sock ] || fail "the unit for one validator runs as well"

# Both take an upgrade; each by itself.
next_version /var/tmp/next
pin_too /var/tmp/next
rename_over /var/tmp/next
old=$(sidecar_of a)
systemctl reload cryftgo-tee@a || fail "reload a: exit code $?"
within 10 is_gone "$old" || fail "the old sidecar of a still runs"
same "the sidecar of a" "$(hash_of /usr/bin/cryfttee)" "$(sha256sum <"/proc/$(sidecar_of a)/exe" | cut -d ' ' -f 1)"
same "the sidecar of b" "$(hash_of /package/usr/bin/cryfttee)" "$(sha256sum <"/proc/$(sidecar_of b)/exe" | cut -d ' ' -f 1)"
both_run "after a reload of one"

# One that is tampered with is down and locked, and the other one goes on.
systemctl stop cryftgo-tee@a cryfttee@a.socket
flip_a_bit /usr/bin/cryfttee
! systemctl start cryftgo-tee@a 2>/dev/null || fail "a sidecar with a flipped bit has started"
closed() {
    ! is_state active cryfttee@a.socket
}
within 5 closed || fail "the socket of a is open after tampering"
[ -e /var/lib/cryftgo-tee-a/tampered ] || fail "a is not locked"
[ ! -e /var/lib/cryftgo-tee-b/tampered ] || fail "b is locked"
api_of b | grep -q '"ready":true' || fail "b does not answer after a was locked"

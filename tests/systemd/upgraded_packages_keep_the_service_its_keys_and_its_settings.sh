#!/bin/sh
BARE=yes
. /scenarios/support/lib.sh

dpkg_install now cryftgo-tee cryfttee cryfttee-devsigner
echo '# a line of the operator' >>/etc/cryftgo-tee/cryftgo-tee.toml
configure <<END
[watch]
interval = "5s"
END
start_all
verifier=$(verifier_pid)
old=$(sidecar_pid)
settings=$(find /etc/cryftgo-tee -type f -exec sha256sum {} + | sort)
state=$(sha256sum /var/lib/cryftgo/staking/* /var/lib/cryftgo/keys/*)

# The sidecar: measured, attested beside the old one, and put in its place.
xtask test hammer --clients 8 --until /run/enough >/run/report &
hammer=$!
sleep 0.5
dpkg_install next cryfttee
within 10 is_gone "$old" || fail "the old sidecar still runs"
sleep 0.3
: >/run/enough
wait "$hammer"
cat /run/report
for outcome in refused broken lost not_ok; do
    same "requests that were $outcome" 0 "$(sed -n "s/^$outcome //p" /run/report)"
done
[ "$(sed -n 's/^answered //p' /run/report)" -gt 200 ] || fail "too few requests were answered to say anything"
same "the verifier" "$verifier" "$(verifier_pid)"
same "reloads" 1 "$(count_of reloaded)"
same "the sidecar that runs" "$(hash_of /usr/bin/cryfttee)" "$(sha256sum <"/proc/$(sidecar_pid)/exe" | cut -d ' ' -f 1)"
[ "$(hash_of /usr/bin/cryfttee)" = "$(hash_of /package/usr/bin/cryfttee)" ] && fail "the next sidecar is the same one"

# The verifier: restarted, with its socket open all the while.
dpkg_install next cryftgo-tee
is_state active || fail "after its upgrade the verifier is $(property ActiveState)"
[ "$(verifier_pid)" != "$verifier" ] || fail "the verifier was not restarted"
same "the verifier that runs" "$(hash_of /usr/bin/cryftgo-tee)" "$(sha256sum <"/proc/$(verifier_pid)/exe" | cut -d ' ' -f 1)"
api GET /v1/staking/status | grep -q '"ready":true' || fail "after its upgrade the sidecar is not ready"

same "the settings" "$settings" "$(find /etc/cryftgo-tee -type f -exec sha256sum {} + | sort)"
same "the public keys and the node ID" "$state" "$(sha256sum /var/lib/cryftgo/staking/* /var/lib/cryftgo/keys/*)"

# What was stopped stays stopped.
systemctl stop cryfttee.socket cryftgo-tee.service
dpkg_install now cryfttee cryftgo-tee
is_state inactive || fail "an upgrade has started what was stopped: $(property ActiveState)"

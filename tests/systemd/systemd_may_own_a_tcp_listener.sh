#!/bin/sh
. /scenarios/support/lib.sh

start_signer
mkdir -p /run/systemd/system/cryfttee.socket.d
cp /usr/share/doc/cryftgo-tee/examples/tcp.conf /run/systemd/system/cryfttee.socket.d/tcp.conf
systemctl daemon-reload
configure <<END
[cryfttee]
transport = "http"
END
systemctl restart cryfttee.socket
systemctl start cryftgo-tee.service || fail "over TCP it does not start: $(property Result)"
case "$(systemctl show --value --property=Listen cryfttee.socket)" in
*127.0.0.1:8787*) ;;
*) fail "systemd does not own the address: $(systemctl show --property=Listen cryfttee.socket)" ;;
esac
cryftgo-tee status >/dev/null || fail "cryftgo-tee status over TCP: $?"
# Whose user nobody knows may have things signed there, and no keys made.
cryftgo-tee identity >/dev/null || fail "cryftgo-tee identity: $?"
printf data | cryftgo-tee sign tls | grep -q '^0x' || fail "cryftgo-tee sign tls over TCP: $?"

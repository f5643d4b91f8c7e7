#!/bin/sh
. /scenarios/support/lib.sh

# Clean means silent: what it warns about does not change its exit code.
for unit in cryfttee.socket cryftgo-tee.service cryftgo-tee-down.service cryftgo-tee-metrics.socket cryftgo-tee-metrics.service cryfttee-devsigner.service cryfttee-devsigner-eth1.service; do
    said=$(systemd-analyze verify "/usr/lib/systemd/system/$unit" 2>&1) || fail "$unit: $said"
    same "what systemd-analyze verify says about $unit" "" "$said"
done

# It does say something about a unit that has something wrong.
sed 's/^WatchdogSec=.*/WatchDogSec=60/' /usr/lib/systemd/system/cryftgo-tee.service >/run/cryftgo-tee.service
said=$(systemd-analyze verify /run/cryftgo-tee.service 2>&1 || :)
case "$said" in
*WatchDogSec*) ;;
*) fail "systemd-analyze verify finds nothing wrong with WatchDogSec=" ;;
esac

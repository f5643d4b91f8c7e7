#!/bin/sh
. /scenarios/support/lib.sh

# Tenths, as --threshold takes them: 2.0 is the goal of the fault matrix.
goal=20
for unit in cryftgo-tee.service cryftgo-tee-down.service; do
    rated=$(systemd-analyze security --offline=true --threshold="$goal" --no-pager "/usr/lib/systemd/system/$unit") ||
        fail "$unit: $(echo "$rated" | tail -n 1)"
    echo "$rated" | tail -n 1
    echo "$rated" | grep -q "Overall exposure level for $unit" || fail "there is no rating: $rated"
done

# A unit without its restrictions is over the goal.
sed '/^Protect\|^Private\|^Restrict\|^SystemCall/d' /usr/lib/systemd/system/cryftgo-tee.service >/run/cryftgo-tee.service
! systemd-analyze security --offline=true --threshold="$goal" --no-pager /run/cryftgo-tee.service >/dev/null ||
    fail "a unit without restrictions is rated as good"

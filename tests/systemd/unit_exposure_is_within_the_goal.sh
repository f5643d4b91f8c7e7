#!/bin/sh
. /scenarios/support/lib.sh

# Tenths, as --threshold takes them: 2.0 is the goal of the fault matrix.
goal=20
rated=$(systemd-analyze security --offline=true --threshold="$goal" --no-pager /usr/lib/systemd/system/cryftgo-tee.service) ||
    fail "cryftgo-tee.service: $(echo "$rated" | tail -n 1)"
echo "$rated" | tail -n 1
echo "$rated" | grep -q 'Overall exposure level for cryftgo-tee.service' || fail "there is no rating: $rated"

# A unit without its restrictions is over the goal.
sed '/^Protect\|^Private\|^Restrict\|^SystemCall/d' /usr/lib/systemd/system/cryftgo-tee.service >/run/cryftgo-tee.service
! systemd-analyze security --offline=true --threshold="$goal" --no-pager /run/cryftgo-tee.service >/dev/null ||
    fail "a unit without restrictions is rated as good"

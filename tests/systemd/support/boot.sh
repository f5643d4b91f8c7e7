#!/bin/sh
# Runs one scenario as the only job of this container, and ends the container with its exit code.
set -u
exec >>/share/output 2>&1

sh -eu "/scenarios/$1.sh"
status=$?

if [ "$status" -eq 0 ]; then
    # The host wants to see this besides the exit code, which is 0 as well where nothing ran.
    : >/share/passed
else
    {
        systemctl --no-pager --full status cryfttee.socket cryftgo-tee.service cryftgo-tee-down.service \
            cryfttee-devsigner.service cryfttee-devsigner-eth1.service
        # All units, because a stranger may be to blame, but not the boot.
        journalctl --no-pager --boot --output=short-monotonic | sed '1,/Starting scenario.service/d' | tail -n 120
    } >/share/journal 2>&1
fi
systemctl exit "$status"

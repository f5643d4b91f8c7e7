#!/bin/sh
. /scenarios/support/lib.sh

dropin cryftgo-tee.service <<END
[Unit]
StartLimitIntervalSec=0
END
start_signer
cp /usr/bin/cryfttee /var/tmp/good
next_version /var/tmp/unknown
good=$(hash_of /var/tmp/good)

# Under the start's feet, the pinned file and one that nobody named take turns.
while [ ! -e /run/enough ]; do
    rename_over /var/tmp/unknown
    rename_over /var/tmp/good
done &
renaming=$!

ran=0
refused=0
rounds=0
# Until both were seen, which one throw of a coin in a million would not show.
while [ "$ran" -lt 3 ] || [ "$refused" -lt 3 ]; do
    [ "$rounds" -lt 40 ] || fail "in $rounds starts, $ran ran and $refused were refused: too few to say anything"
    rounds=$((rounds + 1))
    systemctl reset-failed cryftgo-tee.service cryfttee.socket cryftgo-tee-down.service 2>/dev/null || :
    if systemctl start cryftgo-tee.service 2>/dev/null; then
        ran=$((ran + 1))
        same "the hash of what runs in start $rounds" "$good" "$(sha256sum <"/proc/$(sidecar_pid)/exe" | cut -d ' ' -f 1)"
        systemctl stop cryftgo-tee.service 2>/dev/null
    else
        refused=$((refused + 1))
        within 5 is_down || fail "start $rounds: the verifier is $(property ActiveState)"
        same "the exit code of start $rounds" 77 "$(property ExecMainStatus)"
        same "processes of the sidecar after start $rounds" "" "$(processes_of cryfttee)"
        cryftgo-tee unlock --reason "start $rounds of this test" >/dev/null || fail "unlock: exit code $?"
    fi
done
: >/run/enough
wait "$renaming"
echo "of $rounds starts, $ran ran and $refused were refused"
same "launches" "$ran" "$(count_of launched)"
same "launches of the pinned bytes" "$ran" "$(events launched | grep -cF "sha256:$good" || :)"

#!/bin/sh
. /scenarios/support/lib.sh

QUARANTINE=/var/lib/cryftgo-tee/quarantine

configure <<END
[watch]
interval = "1s"
END
start_signer

# It was admitted, and then it went. A start that reached READY first is one that succeeded.
locks() {
    systemctl start cryftgo-tee.service || :
    within 5 is_down || fail "$1: the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
    same "$1: the exit code" 77 "$(property ExecMainStatus)"
    same "$1: processes of the sidecar" "" "$(processes_of cryfttee)"
    [ -e /var/lib/cryftgo-tee/tampered ] || fail "$1: there is no mark"
    same "$1: what was done" kill "$(last_of finding CRYFTTEE_ACTION)"
    # From READY to the finding, in microseconds: the interval and the time of a check.
    took=$(($(last_of finding __REALTIME_TIMESTAMP) - $(last_of ready __REALTIME_TIMESTAMP)))
    echo "$1: found after $((took / 1000)) ms: $(last_of finding CRYFTTEE_FINDING)"
    [ "$took" -le 2000000 ] || fail "$1: found after $((took / 1000)) ms"
    folder=$(last_of quarantined CRYFTTEE_PATH)
    case "$folder" in
    "$QUARANTINE"/*) ;;
    *) fail "$1: evidence is kept in '$folder'" ;;
    esac
    same "$1: owner and mode of the evidence" "cryftgo-tee 700" "$(stat --format '%U %a' "$folder")"
    for file in finding.json maps last-words; do
        [ -f "$folder/$file" ] || fail "$1: the evidence has no $file, only $(ls "$folder")"
    done
    has "$folder/finding.json" "\"expected\": \"sha256:$(hash_of /usr/bin/cryfttee)\"" ||
        fail "$1: finding.json does not say what was appraised: $(cat "$folder/finding.json")"
}

# Under the unit as it is, what could be executed besides is little; the sidecar's own file is one of it. The bytes are
# the appraised ones, but whoever can write to the disk could change them: they are not sealed.
faulty exec-self
locks "its own file from disk"
has "$folder/finding.json" '"link": "/usr/bin/cryfttee' || fail "finding.json does not say where it ran from: $(cat "$folder/finding.json")"
has "$folder/maps" /usr/bin/cryfttee || fail "maps has not what was mapped: $(cat "$folder/maps")"

# A unit that allows more, and quite another program.
cryftgo-tee unlock --reason "this test's own" || fail "unlock: exit code $?"
systemctl reset-failed cryftgo-tee.service cryfttee.socket
dropin cryftgo-tee.service <<END
[Service]
ExecPaths=/usr/bin/sleep
END
faulty say-and-exec
locks "another program"
has "$folder/finding.json" "\"running\": \"sha256:$(hash_of /usr/bin/sleep)\"" ||
    fail "finding.json does not say what ran instead: $(cat "$folder/finding.json")"
same "the last words" "these were my last words" "$(cat "$folder/last-words")"
same "the hash of the image that is kept" "$(hash_of /usr/bin/sleep)" "$(hash_of "$folder/image")"
same "pieces of evidence" 2 "$(find "$QUARANTINE" -mindepth 1 -maxdepth 1 | grep -c .)"

# Without that, the unit keeps it from happening: the exec is refused, and the sidecar goes on as it was.
cryftgo-tee unlock --reason "this test's own" || fail "unlock: exit code $?"
systemctl reset-failed cryftgo-tee.service cryfttee.socket
dropin cryftgo-tee.service <<END
END
systemctl start cryftgo-tee.service || fail "$(property Result)"
sleep 2
is_state active || fail "an exec that the unit forbids: the verifier is $(property ActiveState)"

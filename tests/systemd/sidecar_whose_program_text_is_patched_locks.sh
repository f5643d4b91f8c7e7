#!/bin/sh
. /scenarios/support/lib.sh

configure <<END
[watch]
interval = "1s"
END
start_all

# locked WHAT
locked() {
    within 5 is_down || fail "$1: the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
    same "$1: the exit code" 77 "$(property ExecMainStatus)"
    same "$1: processes of the sidecar" "" "$(processes_of cryfttee)"
    [ -e /var/lib/cryftgo-tee/tampered ] || fail "$1: there is no mark"
    case "$(last_of finding CRYFTTEE_FINDING)" in
    *"program text"*"changed in memory"*) ;;
    *) fail "$1: the finding is '$(last_of finding CRYFTTEE_FINDING)'" ;;
    esac
    folder=$(last_of quarantined CRYFTTEE_PATH)
    # The image on disk and in memory is the appraised one; it is the pages of the process that are not.
    has "$folder/finding.json" "\"running\": \"sha256:$(hash_of /usr/bin/cryfttee)\"" || fail "$1: $(cat "$folder/finding.json")"
    [ -s "$folder/smaps" ] || fail "$1: the evidence has no smaps"
    [ ! -e "$folder/image" ] || fail "$1: the appraised image is kept once more"
}

# From outside, by root, into the genuine sidecar while it serves: one byte, and the one that stands there already.
sleep 1.5
is_state active || fail "a sidecar that nobody touched: the verifier is $(property ActiveState)"
sidecar=$(sidecar_pid)
text=$(sed -n 's/^\([0-9a-f]*\)-.* r-xp .*memfd:cryfttee.*/\1/p' "/proc/$sidecar/maps" | head -n 1)
dd if="/proc/$sidecar/mem" of=/run/byte bs=1 skip=$((0x$text)) count=1 status=none
start_ms=$(now_ms)
dd if=/run/byte of="/proc/$sidecar/mem" bs=1 seek=$((0x$text)) conv=notrunc status=none
within 5 is_gone "$sidecar" || fail "the patched sidecar goes on"
took_ms=$(($(now_ms) - start_ms))
echo "the patched sidecar was gone after $took_ms ms"
# The interval, the time of a check, and the kill.
[ "$took_ms" -le 1750 ] || fail "the patched sidecar was gone only after $took_ms ms"
locked "patched from outside"

# By itself, as soon as it is admitted. A start that reached READY first is one that succeeded.
cryftgo-tee unlock --reason "this test's own" || fail "unlock: exit code $?"
systemctl reset-failed cryftgo-tee.service cryfttee.socket
rm -r /var/lib/cryftgo/staking /var/lib/cryftgo/keys
faulty patch-text
systemctl start cryftgo-tee.service || :
locked "patched by itself"
same "pieces of evidence" 2 "$(find /var/lib/cryftgo-tee/quarantine -mindepth 1 -maxdepth 1 | grep -c .)"

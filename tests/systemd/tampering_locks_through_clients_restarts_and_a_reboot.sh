#!/bin/sh
# boots: 2
. /scenarios/support/lib.sh

MARK=/var/lib/cryftgo-tee/tampered

# The status and the log say in one line what was found and what to do.
told_in_one_line() {
    systemctl --no-pager --full status cryftgo-tee.service >/run/status || :
    grep -Eq 'Status: ".*tampering was found.*cryftgo-tee unlock --reason' /run/status ||
        fail "systemctl status does not say what was found and what to do: $(cat /run/status)"
    messages cryftgo-tee.service | grep -q 'tampering was found.*cryftgo-tee unlock --reason' ||
        fail "the log does not say in one line what was found and what to do"
}

# Nothing that a client, an operator who is in a hurry, or systemd does gets the sidecar started.
stays_locked() {
    for verb in start restart; do
        systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
        systemctl "$verb" cryftgo-tee.service && fail "systemctl $verb succeeded on a locked service"
        same "the exit code after systemctl $verb" 77 "$(property ExecMainStatus)"
        told_in_one_line
    done
    systemctl start cryfttee.socket && fail "the socket of a locked service opens"
    [ ! -e /run/cryfttee.sock ] || fail "the socket of a locked service is there"
    same "processes of the sidecar" "" "$(processes_of cryfttee)"
    same "launches of the sidecar" "$1" "$(events launched | grep -c . || :)"
    [ -e "$MARK" ] || fail "the mark is gone"
}

if [ "$BOOT" = 1 ]; then
    # From boot on, as a validator has it.
    systemctl enable --quiet cryftgo-tee.service cryfttee-devsigner.service 2>/dev/null || systemctl enable cryftgo-tee.service
    start_all
    same "launches of a sidecar that is in order" 1 "$(events launched | grep -c . || :)"

    # Clients hammer; the sidecar crashes, and what stands in its place is not what was pinned.
    xtask test hammer --clients 8 --until /run/enough --patience 5 >/run/report &
    hammer=$!
    sleep 0.5
    flip_a_bit /usr/bin/cryfttee
    before=$(starts)
    kill -KILL "$(sidecar_pid)"
    within 10 is_down || fail "after tampering the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
    sleep 2
    is_down || fail "with clients at the door it did not stay down"
    same "starts for eight clients that go on asking" 0 "$(($(starts) - before))"
    : >/run/enough
    wait "$hammer"
    cat /run/report
    [ "$(sed -n 's/^answered //p' /run/report)" -gt 0 ] || fail "no client was answered before, so nothing is shown"
    [ "$(sed -n 's/^refused //p' /run/report)" -gt 0 ] || fail "no client was refused after"
    same "the exit code" 77 "$(property ExecMainStatus)"
    [ -n "$(events locked)" ] || fail "the audit trail has no event 'locked'"

    stays_locked 1
    # Mending the binary is not enough: somebody has to say that he looked.
    flip_a_bit /usr/bin/cryfttee
    same "the hash of the mended binary" "$(cut -d ' ' -f 1 /usr/lib/cryftgo-tee/pins.d/cryfttee)" "$(hash_of /usr/bin/cryfttee)"
    stays_locked 1
    cat /proc/sys/kernel/random/boot_id >/var/tmp/boot
    sync
    exit 0
fi

# The reboot: the unit is enabled, the binary is the right one, and all stays down.
[ -e /var/tmp/boot ] || fail "this is not the file system of the first boot"
within 10 is_down || fail "after a reboot the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
same "the exit code after a reboot" 77 "$(property ExecMainStatus)"
told_in_one_line
said=$(as_client cryftgo GET /v1/staking/status 2>&1) && fail "a client is answered after a reboot: $said"
start_signer
stays_locked 0

# The way out.
same "owner of the mark" cryftgo-tee "$(stat --format %U "$MARK")"
cryftgo-tee unlock --reason "" && fail "a lock is cleared without a reason"
[ -e "$MARK" ] || fail "an unlock that was refused removed the mark"
cryftgo-tee unlock --reason "the disk was replaced" || fail "unlock: exit code $?"
[ ! -e "$MARK" ] || fail "unlock left the mark"
case "$(events unlocked)" in
*"the disk was replaced"*) ;;
*) fail "the audit trail has no event 'unlocked' with its reason: $(events unlocked)" ;;
esac
systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
systemctl start cryftgo-tee.service || fail "systemctl start after unlock: $(property Result)"
is_state active || fail "after unlock and start the verifier is $(property ActiveState)"
as_client cryftgo GET /v1/staking/status >/dev/null || fail "a client is not answered after unlock"

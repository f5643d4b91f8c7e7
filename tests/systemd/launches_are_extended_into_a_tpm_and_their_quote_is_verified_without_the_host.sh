#!/bin/sh
# tpm: yes
BARE=yes
. /scenarios/support/lib.sh

nonce=8f1c09a2d4e67b35

# check NAME OUTCOME
check() {
    cryftgo-tee doctor --json | tr '{' '\n' | grep -F "\"name\":\"$1\"" | grep -qF "\"outcome\":\"$2\""
}

# advised TEXT: whether doctor warns of the TPM and says so how to mend it.
advised() {
    check tpm warning && cryftgo-tee doctor | grep -A 1 ' tpm ' | grep -qF -e "→ $1"
}

elsewhere() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" cryftgo-tee "$@"
}

# What the TPM has in PCR 13 of the bank for SHA-256, asked for in its own bytes.
pcr() {
    exec 3<>/dev/tpmrm0
    printf '\200\001\000\000\000\024\000\000\001\176\000\000\000\001\000\013\003\000\040\000' >&3
    dd bs=1 count=62 status=none <&3 | od -An -v -tx1 | tr -d ' \n' | tail -c 64
    exec 3>&-
}

# extended HEX HEX: what a PCR with the one has after an extend of the other.
extended() {
    printf '%s%s' "$1" "$2" | perl -ne 'print pack "H*", $_' | sha256sum | cut -d ' ' -f 1
}

# As shipped, on a host without a TPM.
dpkg_install now cryftgo-tee cryfttee cryfttee-devsigner
start_all
node_id=$(cat /var/lib/cryftgo/staking/node_id)
digest=$(hash_of /usr/bin/cryfttee)
check tpm ok || fail "a host without a TPM is none that something is wrong with: $(cryftgo-tee doctor)"
cryftgo-tee doctor | grep -qF 'there is none at /dev/tpmrm0' || fail "$(cryftgo-tee doctor)"
! told tpm-extended || fail "something was extended"
! told tpm-failed || fail "that there is none is told as a failure"
! messages cryftgo-tee.service | grep -qi tpm || fail "the journal speaks of a TPM: $(messages cryftgo-tee.service)"
same "what systemd says of the unit" "" "$(journalctl --no-pager --boot --output=cat --priority=warning _PID=1 UNIT=cryftgo-tee.service)"
cryftgo-tee evidence --nonce "$nonce" --out /run/without.json 2>/run/said || fail "no evidence: $(cat /run/said)"
has /run/said "there is none" || fail "it is not said: $(cat /run/said)"
elsewhere evidence verify /run/without.json --nonce "$nonce" --node-id "$node_id" >/run/verdict || fail "$(cat /run/verdict)"
code=0
elsewhere evidence verify /run/without.json --nonce "$nonce" --node-id "$node_id" --require-tpm >/run/verdict || code=$?
same "exit code where a quote is demanded" 77 "$code"
has /run/verdict "WRONG  tpm " || fail "$(cat /run/verdict)"

# A driver brings one, as late as can be: a character device, at first root's alone. Each obstacle is named with what mends it.
xtask test tpm-device >/run/pty &
within 5 test -s /run/pty || fail "no device"
device=$(cat /run/pty)
chown root:root "$device"
chmod 0600 "$device"
: >/dev/tpmrm0
mount --bind "$device" /dev/tpmrm0
[ -c /dev/tpmrm0 ] || fail "/dev/tpmrm0 is no character device"
same "PCR 13 before" "$(printf '%064d' 0)" "$(pcr)"
advised 'udevadm trigger' || fail "doctor on a device that no rule was applied to: $(cryftgo-tee doctor)"
cryftgo-tee evidence --nonce "$nonce" --out /run/without.json 2>/run/said || fail "no evidence: $(cat /run/said)"
has /run/said "the service does not use it" || fail "it is not said: $(cat /run/said)"
# What the rule says that the package brings (here runs no udev); applied by hand.
rule=/usr/lib/udev/rules.d/50-cryftgo-tee.rules
chgrp "$(sed -n 's/.*GROUP="\([^"]*\)".*/\1/p' "$rule")" "$device"
chmod "$(sed -n 's/.*MODE="\([^"]*\)".*/\1/p' "$rule")" "$device"
same "who may open it" "root:tss 660" "$(stat --format '%U:%G %a' /dev/tpmrm0)"
advised 'systemctl restart cryftgo-tee' || fail "doctor on a TPM that came after the start: $(cryftgo-tee doctor)"
! told tpm-failed || fail "a TPM that the service does not know failed"

# From the next start on the unit as shipped uses it. Nobody else who runs here may.
systemctl restart cryftgo-tee.service || fail "it does not start with a TPM: $(messages cryftgo-tee.service)"
same "how often something was extended" 1 "$(count_of tpm-extended)"
same "what was extended" "sha256:$digest" "$(last_of tpm-extended CRYFTTEE_DIGEST)"
same "the PCR" 13 "$(last_of tpm-extended CRYFTTEE_PCR)"
value=$(extended "$(printf '%064d' 0)" "$digest")
same "what the event says that it has" "sha256:$value" "$(last_of tpm-extended CRYFTTEE_PCR_VALUE)"
same "what the TPM says that it has" "$value" "$(pcr)"
cryftgo-tee audit show | grep -q "Extended PCR 13 of the TPM" || fail "audit show does not have it: $(cryftgo-tee audit show)"
check tpm ok || fail "doctor with the unit as shipped: $(cryftgo-tee doctor)"
same "drop-ins" "" "$(property DropInPaths)"
# may_open USER: with the groups that it has in the group database.
may_open() {
    setpriv --reuid="$1" --regid="$(id -g "$1")" --init-groups sh -c 'exec 3<>/dev/tpmrm0' 2>/dev/null
}
may_open cryftgo-tee || fail "the verifier's user may not open it"
for user in cryfttee nobody; do
    ! may_open "$user" || fail "$user may open it"
done
same "the sidecar's other groups" "" "$(field "$(sidecar_pid)" Groups | tr -d ' ')"

# A group that the user was taken out of, and what takes the device from the unit.
gpasswd --delete cryftgo-tee tss >/dev/null
advised 'systemd-sysusers cryftgo-tee.conf' || fail "doctor on a user in no group: $(cryftgo-tee doctor)"
systemd-sysusers cryftgo-tee.conf
check tpm ok || fail "what doctor advised does not mend it: $(cryftgo-tee doctor)"
for line in BindPaths= DeviceAllow=; do
    printf '[Service]\n%s\n' "$line" | dropin cryftgo-tee.service
    advised 'under [Service] of the unit' || fail "doctor on $line: $(systemctl show cryftgo-tee | grep Device) $(cryftgo-tee doctor)"
done
rm -r /run/systemd/system/cryftgo-tee.service.d
systemctl daemon-reload

# A launch more, and a reload that is one more.
systemctl restart cryftgo-tee.service
next_version /run/next
pin_too /run/next
rename_over /run/next
systemctl reload cryftgo-tee.service || fail "no reload"
next=$(hash_of /usr/bin/cryfttee)
same "how often something was extended" 3 "$(count_of tpm-extended)"
same "what was extended last" "sha256:$next" "$(last_of tpm-extended CRYFTTEE_DIGEST)"
same "what the TPM has" "$(extended "$(extended "$value" "$digest")" "$next")" "$(pcr)"

cryftgo-tee evidence --nonce "$nonce" --out /run/evidence.json || fail "no evidence: $?"
elsewhere evidence verify /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "sha256:$next" --require-tpm >/run/verdict ||
    fail "it does not hold: $(cat /run/verdict)"
has /run/verdict "the value follows from the 3 launches since the host was started" || fail "$(cat /run/verdict)"
key=$(sed 's/.*"key":"\(0x[0-9a-f]*\)".*/\1/' /run/evidence.json)
elsewhere evidence verify /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "sha256:$next" --tpm-key "$key" >/run/verdict ||
    fail "it does not hold: $(cat /run/verdict)"
! grep -q '^?' /run/verdict || fail "something is not known: $(cat /run/verdict)"
# An ordinary user may not ask the TPM, nor is told that there is none.
! elsewhere evidence --nonce "$nonce" >/run/none 2>&1 || fail "an ordinary user made evidence: $(cat /run/none)"

# A device that takes no command: it is told, and the service goes on.
systemctl stop cryftgo-tee.service
umount /dev/tpmrm0
mount --bind /dev/full /dev/tpmrm0
systemctl start cryftgo-tee.service || fail "it does not start with a TPM that fails"
same "how often it is told" 1 "$(count_of tpm-failed)"
same "why" "talk to the TPM: No space left on device (os error 28)" "$(last_of tpm-failed CRYFTTEE_REASON)"

# Where it is demanded, nothing is launched without. The driver is gone:
systemctl stop cryftgo-tee.service
umount /dev/tpmrm0
rm /dev/tpmrm0
printf '[tpm]\nmode = "required"\n' | configure
before=$(count_of launched)
! systemctl start cryftgo-tee.service || fail "it started without the TPM"
messages cryftgo-tee.service | grep -qF 'Refused at step tpm: extend a PCR of the TPM: there is none at /dev/tpmrm0' ||
    fail "the reason is not told"
same "launches" "$before" "$(count_of launched)"

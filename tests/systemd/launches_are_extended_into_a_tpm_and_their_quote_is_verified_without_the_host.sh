#!/bin/sh
# tpm: yes
. /scenarios/support/lib.sh

# As the kernel and udev have it. A software TPM speaks the same at a socket.
groupadd --system tss
chown root:tss /share/tpm.sock
chmod 0660 /share/tpm.sock
: >/dev/tpmrm0
mount --bind /share/tpm.sock /dev/tpmrm0

nonce=8f1c09a2d4e67b35
digest=sha256:$(hash_of /usr/bin/cryfttee)

# check NAME OUTCOME
check() {
    cryftgo-tee doctor --json | tr '{' '\n' | grep -F "\"name\":\"$1\"" | grep -qF "\"outcome\":\"$2\""
}

# As shipped, the unit hides it. That is said where somebody looks, and nowhere claimed.
start_all
node_id=$(cat /var/lib/cryftgo/staking/node_id)
! told tpm-extended || fail "something was extended"
! told tpm-failed || fail "a TPM that is hidden is none"
check tpm warning || fail "doctor does not tell: $(cryftgo-tee doctor)"
cryftgo-tee doctor | grep -qF examples/tpm.conf || fail "doctor does not say what to do: $(cryftgo-tee doctor)"
cryftgo-tee evidence --nonce "$nonce" --out /run/without.json 2>/run/said || fail "no evidence: $(cat /run/said)"
has /run/said "the service does not use it" || fail "it is not said: $(cat /run/said)"
cryftgo-tee evidence verify /run/without.json --nonce "$nonce" --node-id "$node_id" >/run/verdict || fail "$(cat /run/verdict)"
code=0
cryftgo-tee evidence verify /run/without.json --nonce "$nonce" --node-id "$node_id" --require-tpm >/run/verdict || code=$?
same "exit code where a quote is demanded" 77 "$code"
has /run/verdict "WRONG  tpm " || fail "$(cat /run/verdict)"

# With the drop-in that the package brings.
mkdir -p /etc/systemd/system/cryftgo-tee.service.d
cp /usr/share/doc/cryftgo-tee/examples/tpm.conf /etc/systemd/system/cryftgo-tee.service.d/tpm.conf
systemctl daemon-reload
systemctl restart cryftgo-tee.service || fail "it does not start with the drop-in: $(messages cryftgo-tee.service)"
same "how often something was extended" 1 "$(count_of tpm-extended)"
same "what was extended" "$digest" "$(last_of tpm-extended CRYFTTEE_DIGEST)"
same "the PCR" 13 "$(last_of tpm-extended CRYFTTEE_PCR)"
check tpm ok || fail "$(cryftgo-tee doctor)"
! grep -q "$(getent group tss | cut -d : -f 3)" "/proc/$(sidecar_pid)/status" || fail "the sidecar is in the group tss"

# A launch more, and a reload that is one more.
systemctl restart cryftgo-tee.service
next_version /run/next
pin_too /run/next
rename_over /run/next
systemctl reload cryftgo-tee.service || fail "no reload"
next=sha256:$(hash_of /usr/bin/cryfttee)
same "how often something was extended" 3 "$(count_of tpm-extended)"
same "what was extended last" "$next" "$(last_of tpm-extended CRYFTTEE_DIGEST)"

cryftgo-tee evidence --nonce "$nonce" --out /run/evidence.json || fail "no evidence: $?"
elsewhere() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" cryftgo-tee "$@"
}
elsewhere evidence verify /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "$next" --require-tpm >/run/verdict ||
    fail "it does not hold: $(cat /run/verdict)"
has /run/verdict "the value follows from the 3 launches since the host was started" || fail "$(cat /run/verdict)"
key=$(sed 's/.*"key":"\(0x[0-9a-f]*\)".*/\1/' /run/evidence.json)
elsewhere evidence verify /run/evidence.json --nonce "$nonce" --node-id "$node_id" --digest "$next" --tpm-key "$key" >/run/verdict ||
    fail "it does not hold: $(cat /run/verdict)"
! grep -q '^?' /run/verdict || fail "something is not known: $(cat /run/verdict)"
# An ordinary user may not ask the TPM, nor is told that there is none.
! elsewhere evidence --nonce "$nonce" >/run/none 2>&1 || fail "an ordinary user made evidence: $(cat /run/none)"

# A character device reaches the verifier as well. This one takes no command, which is told, and the service goes on.
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

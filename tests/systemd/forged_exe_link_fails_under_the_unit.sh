#!/bin/sh
. /scenarios/support/lib.sh

# In the sidecar's place: a program that tries to make /proc/self/exe name another file, and says what it was told.
cp /usr/local/bin/xtask /usr/bin/cryfttee
pin /usr/bin/cryfttee
try() {
    systemctl reset-failed cryftgo-tee.service 2>/dev/null || :
    since=$(now_ms)
    systemctl start cryftgo-tee.service && fail "a program that ends at once became READY"
    systemctl stop cryftgo-tee.service
    journalctl --sync
    journalctl --no-pager --boot --output=cat --since "@$((since / 1000))" SYSLOG_IDENTIFIER=cryfttee >/run/said
    cat /run/said
}
answer() {
    sed -n "s/^forge: $1: //p" /run/said | head -n 1
}

try
for attempt in PR_SET_MM_EXE_FILE PR_SET_MM_MAP CLONE_NEWUSER "PR_SET_MM_MAP in a namespace"; do
    same "what the kernel answers to $attempt" EPERM "$(answer "$attempt")"
done

# Without the one line of the unit that forbids it, the kernel does not mind: it is the unit that stops the forgery.
sleep 1
dropin cryftgo-tee.service <<END
[Service]
RestrictNamespaces=no
END
try
same "what the kernel answers to CLONE_NEWUSER where the unit allows it" allowed "$(answer CLONE_NEWUSER)"
permitted=$(answer "PR_SET_MM_MAP in a namespace")
case "$permitted" in
allowed | EBUSY) ;;
*) fail "the forgery needs more than a user namespace, or cannot be tried: '$permitted'" ;;
esac

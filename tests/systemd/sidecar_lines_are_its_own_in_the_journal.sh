#!/bin/sh
. /scenarios/support/lib.sh

# entries FIELD MATCH…: the values of a field, each once.
entries() {
    field=$1
    shift
    journalctl --sync
    journalctl --no-pager --boot --output=json --output-fields="$field" "$@" | sed -n "s/.*\"$field\":\"\([^\"]*\)\".*/\1/p" | sort -u
}
lines() {
    journalctl --sync
    journalctl --no-pager --boot --output=cat SYSLOG_IDENTIFIER=cryfttee
}
verifier=$(id -u cryftgo-tee)

# The verifier relays them, so they have its uid, but neither its name nor any field of an audit event.
are_its_own() {
    same "who wrote under the sidecar's name" "$verifier" "$(entries _UID SYSLOG_IDENTIFIER=cryfttee)"
    same "the unit of the sidecar's lines" cryftgo-tee.service "$(entries _SYSTEMD_UNIT SYSLOG_IDENTIFIER=cryfttee)"
    for field in CRYFTTEE_EVENT MESSAGE_ID; do
        same "the sidecar's lines with the field $field" "" "$(entries "$field" SYSLOG_IDENTIFIER=cryfttee)"
    done
    same "entries of the sidecar's user" "" "$(entries SYSLOG_IDENTIFIER "_UID=$(id -u cryfttee)")"
    for event in $(entries CRYFTTEE_EVENT "_UID=$verifier"); do
        same "who wrote the events $event" "$verifier" "$(entries _UID "CRYFTTEE_EVENT=$event")"
        same "the name of the events $event" cryftgo-tee "$(entries SYSLOG_IDENTIFIER "CRYFTTEE_EVENT=$event")"
    done
}

start_all
systemctl stop cryftgo-tee.service
[ -n "$(lines)" ] || fail "the sidecar said nothing, so nothing is shown"
[ -n "$(events ready)" ] || fail "there is no audit event, so nothing is shown"
are_its_own

# Those of a sidecar that ends at once are there as well.
faulty say-and-exit
systemctl start cryftgo-tee.service && fail "a sidecar that ends at once became READY"
systemctl stop cryftgo-tee.service
lines | grep -qx 'these were my last words' || fail "the last words of a sidecar that ends at once are not there: $(lines)"
are_its_own
! messages cryftgo-tee.service | grep -q 'all is well' || fail "the next step would show nothing"

# Control bytes, the words of other protocols, and a line of a megabyte: they end up as text, one entry for each line.
# The public keys of this one are others.
rm -r /var/lib/cryftgo/staking /var/lib/cryftgo/keys
faulty hostile-lines
systemctl reset-failed cryftgo-tee.service
systemctl start cryftgo-tee.service || fail "a sidecar that says what it likes: $(property Result)"
within 5 sh -c 'journalctl --sync; journalctl --boot --output=cat SYSLOG_IDENTIFIER=cryfttee | grep -q aaaa' || fail "the long line is not there"
lines >/run/lines
grep -qxF 'READY=1' /run/lines || fail "a harmless line is not there as it was written"
grep -qxF 'MESSAGE=all is well' /run/lines || fail "a line that looks like a field is not there as it was written"
grep -qF 'red' /run/lines || fail "the line with control bytes is not there"
same "control bytes in the sidecar's lines" 0 "$(LC_ALL=C tr -d '\11\12\40-\176\200-\377' </run/lines | wc -c)"
[ "$(wc -L </run/lines)" -lt 8192 ] || fail "a line of $(wc -L </run/lines) bytes was relayed"
are_its_own
is_state active || fail "after hostile lines the verifier is $(property ActiveState)"
! status_says "all is well" || fail "the sidecar's words are in STATUS: $(property StatusText)"

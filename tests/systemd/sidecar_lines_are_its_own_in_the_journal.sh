#!/bin/sh
. /scenarios/support/lib.sh

start_all
systemctl stop cryftgo-tee.service
journalctl --sync
# entries FIELD MATCH…: the values of a field, each once.
entries() {
    field=$1
    shift
    journalctl --no-pager --boot --output=json --output-fields="$field" "$@" | sed -n "s/.*\"$field\":\"\([^\"]*\)\".*/\1/p" | sort -u
}
sidecar=$(id -u cryfttee)
verifier=$(id -u cryftgo-tee)

lines=$(journalctl --no-pager --boot --output=cat SYSLOG_IDENTIFIER=cryfttee | grep -c . || :)
[ "$lines" -gt 0 ] || fail "the sidecar said nothing, so nothing is shown"
same "who wrote under the sidecar's name" "$sidecar" "$(entries _UID SYSLOG_IDENTIFIER=cryfttee)"
same "the names that the sidecar's user wrote under" cryfttee "$(entries SYSLOG_IDENTIFIER "_UID=$sidecar")"
same "the unit of the sidecar's lines" cryftgo-tee.service "$(entries _SYSTEMD_UNIT SYSLOG_IDENTIFIER=cryfttee)"

[ -n "$(events ready)" ] || fail "there is no audit event, so nothing is shown"
same "who wrote under the verifier's name" "$verifier" "$(entries _UID SYSLOG_IDENTIFIER=cryftgo-tee)"
for event in $(entries CRYFTTEE_EVENT "_UID=$verifier"); do
    same "who wrote the events $event" "$verifier" "$(entries _UID "CRYFTTEE_EVENT=$event")"
    same "the name of the events $event" cryftgo-tee "$(entries SYSLOG_IDENTIFIER "CRYFTTEE_EVENT=$event")"
done

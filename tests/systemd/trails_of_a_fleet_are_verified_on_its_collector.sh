#!/bin/sh
# hosts: collector validator-1 validator-2
. /scenarios/support/lib.sh

# steps SECTION: runs the commands of this section of docs/fleet.md, as they stand there.
steps() {
    sed -n "/^## $1\$/,/^## /p" /docs/fleet.md | sed -n '/^```sh/,/^```/p' | sed '/^```/d' >/run/steps
    [ -s /run/steps ] || fail "docs/fleet.md has no steps for: $1"
    sh -eux /run/steps </dev/null || fail "the steps of docs/fleet.md for '$1': exit code $?"
}

# What an operator carries from one host to another lies in /hosts/NAME, which is /share there.
await() {
    within 60 test -e "/hosts/$1" || fail "$HOST waits for $1"
}
say() {
    cp "${2:-/dev/null}" "/share/.$1"
    mv "/share/.$1" "/share/$1"
}

receive_certificate() {
    await collector/certificates
    install -d /etc/ssl/journal
    install -m 0644 /hosts/collector/certificates/ca.pem /etc/ssl/journal/ca.pem
    install -m 0644 "/hosts/collector/certificates/$HOST.pem" /etc/ssl/journal/host.pem
    install -m 0600 "/hosts/collector/certificates/$HOST.key" /etc/ssl/journal/host.key
}

# One run of the service, from READY to the end of the trail. The number of the last entry is what the collector has to have.
run_once() {
    start_all
    systemctl stop cryftgo-tee.service
    last_of trail-closed AUDIT_SEQ >/run/last
    [ -s /run/last ] || fail "the trail of $HOST was not closed"
}

# verdict_is CODE: what audit verify says of all that the collector has, into /run/verdict.
verdict_is() {
    code=0
    cryftgo-tee audit verify /var/log/journal/remote >/run/verdict 2>&1 || code=$?
    [ "$code" = "$1" ]
}

# whole HOST LAST: the collector has this host's trail from its first entry to this one.
whole() {
    verdict_is "${3:-0}" && grep -qx "chain [0-9a-f]* of $1: $2 entries, 1 to $2" /run/verdict
}

# send FOLDER TRUST: sends these journals by hand.
send() {
    /lib/systemd/systemd-journal-upload --url=https://collector:19532 --key=/etc/ssl/journal/host.key \
        --cert=/etc/ssl/journal/host.pem --trust="$2" --directory="$1" --follow=no
}

refused() {
    messages systemd-journal-upload.service | grep -q 'Upload to https://collector:19532/upload failed'
}

collector() {
    mkdir /share/making
    (cd /share/making && steps Certificates) || fail "see above"
    mv /share/making /share/certificates
    receive_certificate
    await validator-2/asked
    steps "On the collector"
    say listens

    for host in validator-1 validator-2; do
        await "$host/last"
        within 30 whole $host "$(cat /hosts/$host/last)" || fail "the trail of $host: $(cat /run/verdict)"
    done
    # That it checks none is what the document warns of.
    messages systemd-journal-remote.service | grep -q 'Certificate checking disabled' ||
        fail "the collector checks certificates: docs/fleet.md says that Debian's does not"
    (cd /share && steps "Verifying") || fail "see above"
    for host in validator-1 validator-2; do
        has /share/fleet.html "All of 2 trails are whole" || fail "the page does not begin with the verdict"
        has /share/fleet.html "$host" || fail "the page says nothing of $host"
        has /share/fleet.html "$(cat /hosts/$host/node_id)" || fail "the page says nothing of the node of $host"
    done
    cryftgo-tee audit verify /var/log/journal/remote --node-id "$(cat /hosts/validator-1/node_id)" \
        --node-id "$(cat /hosts/validator-2/node_id)" >/run/signed || fail "with signatures: $(cat /run/signed)"
    same "chains with good signatures" 2 "$(grep -c ', signed up to entry ' /run/signed)"
    say collected

    # One forgot its journal, and what it recorded since goes on here where it was.
    await validator-1/forgot
    within 30 whole validator-1 "$(cat /hosts/validator-1/forgot)" || fail "after the loss: $(cat /run/verdict)"
    say remembered

    # The other left out an entry.
    await validator-2/lied
    within 30 verdict_is 77 || fail "an entry was left out: $(cat /run/verdict)"
    cat /run/verdict
    same "findings" 1 "$(grep -c '^WRONG' /run/verdict)"
    grep -q "^WRONG  entry $(cat /hosts/validator-2/lied) of chain .*: it is missing, and no crash explains it" /run/verdict ||
        fail "the entry that was left out is not named"
    whole validator-1 "$(cat /hosts/validator-1/forgot)" 77 || fail "the other host's trail is not whole any more"
    code=0
    cryftgo-tee audit report --html /share/lied.html /var/log/journal/remote || code=$?
    same "exit code of the report" 77 "$code"
    has /share/lied.html "Of 2 trails, NOT all are whole: 1 finding" || fail "the page does not begin with the finding"
    has /share/lied.html "Entry $(cat /hosts/validator-2/lied) of validator-2" || fail "the page does not name entry and host"
    say over
}

validator_1() {
    receive_certificate
    await collector/listens
    ! send /var/log/journal /etc/ssl/journal/host.pem || fail "a collector with another certificate was sent the journal"
    steps "On each host"
    run_once
    say last /run/last
    await collector/collected

    rm -r /var/log/journal/* /run/log/journal/* 2>/dev/null || :
    systemctl restart systemd-journald.service
    code=0
    cryftgo-tee audit verify >/run/verdict 2>&1 || code=$?
    [ "$code" = 77 ] || fail "where the journal is gone, exit code $code: $(cat /run/verdict)"
    has /run/verdict "and the head on this host has it" || fail "$(cat /run/verdict)"
    systemctl restart systemd-journal-upload.service
    run_once
    say forgot /run/last
    await collector/over
}

validator_2() {
    receive_certificate
    # There is no collector yet: it comes back to it.
    steps "On each host"
    within 20 refused || fail "there is a collector already: $(messages systemd-journal-upload.service)"
    say asked
    run_once
    say last /run/last
    await collector/remembered

    systemctl stop systemd-journal-upload.service
    first=$(cat /run/last)
    run_once
    left_out=$((first + 4))
    journalctl --no-pager --output=export SYSLOG_IDENTIFIER=cryftgo-tee |
        awk -v out="AUDIT_SEQ=$left_out" 'BEGIN { RS = ""; ORS = "\n\n" } $0 !~ "\n" out "\n"' >/run/doctored.export
    # By hand it is told by flags, and not twice.
    rm /etc/systemd/journal-upload.conf.d/fleet.conf
    mkdir /run/doctored
    /lib/systemd/systemd-journal-remote --output=/run/doctored/system.journal /run/doctored.export ||
        fail "no journal could be made of what is left"
    send /run/doctored /etc/ssl/journal/ca.pem || fail "it could not be sent"
    echo $left_out >/run/left_out
    say lied /run/left_out
    await collector/over
}

case "$HOST" in
collector) address=10.7.0.1 ;;
validator-1) address=10.7.0.2 ;;
validator-2) address=10.7.0.3 ;;
esac
printf '10.7.0.1 collector\n10.7.0.2 validator-1\n10.7.0.3 validator-2\n' >>/etc/hosts
ip address add $address/24 dev host0
ip link set host0 up

case "$HOST" in
collector) collector ;;
*)
    configure <<'END'
[audit]
checkpoint_events = 10
END
    start_all
    systemctl stop cryftgo-tee.service
    say node_id /var/lib/cryftgo/staking/node_id
    case "$HOST" in
    validator-1) validator_1 ;;
    validator-2) validator_2 ;;
    esac
    ;;
esac

#!/bin/sh
. /scenarios/support/lib.sh

dropin cryftgo-tee.service <<'END'
[Service]
Restart=no
END
start_signer
# refusal WHAT STEP EXIT_CODE: the start is refused, with one event that says so, one line in the log, and nothing printed twice.
refusal() {
    systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
    before=$(count_of refused)
    since=$(date +%s.%N)
    systemctl start cryftgo-tee.service 2>/dev/null && fail "$1: the start is not refused"
    within 10 is_state failed || fail "$1: the verifier is $(property ActiveState)"
    same "$1: events" 1 $(($(count_of refused) - before))
    same "$1: the step" "$2" "$(last_of refused CRYFTTEE_STEP)"
    same "$1: the exit code in the event" "$3" "$(last_of refused CRYFTTEE_EXIT_CODE)"
    same "$1: the exit code" "$3" "$(property ExecMainStatus)"
    lines=$(journalctl --no-pager --since "@$since" --output=cat --unit cryftgo-tee.service _COMM=cryftgo-tee |
        grep -c "Refused at step $2: " || :)
    same "$1: lines that say it" 1 "$lines"
}

echo 'nonsense = 1' >/etc/cryftgo-tee/conf.d/wrong.toml
refusal "a key that there is not" configure 78
rm /etc/cryftgo-tee/conf.d/wrong.toml
mv /usr/bin/cryfttee /usr/bin/aside
refusal "no binary" measure 74
mv /usr/bin/aside /usr/bin/cryfttee
cp /usr/lib/cryftgo-tee/pins.d/cryfttee /run/pin
echo "$(printf '%064d' 0)  /usr/bin/cryfttee" >/usr/lib/cryftgo-tee/pins.d/cryfttee
refusal "a digest that nobody pinned" appraise 77
same "locks" 1 "$(count_of locked)"
cp /run/pin /usr/lib/cryftgo-tee/pins.d/cryfttee
refusal "a lock" lock 77
same "locks" 1 "$(count_of locked)"
cryftgo-tee unlock --reason "a scenario" >/dev/null
printf '[cryfttee]\nstartup_timeout = "1s"\n[web3signer]\nstartup_timeout = "1s"\n' >/etc/cryftgo-tee/conf.d/short.toml
systemctl stop cryfttee-devsigner.service
refusal "a signer that is away" signer 69
start_signer
faulty wrong-hash
refusal "evidence about another binary" attest 77
cryftgo-tee unlock --reason "a scenario" >/dev/null
faulty hang
refusal "a sidecar that hangs" attest 69
cryftgo-tee audit verify || fail "the trail is not whole: $?"

# What the sidecar says of itself is one value of one entry, and no more (its own lines are tried elsewhere).
faulty hostile-text
systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
systemctl start cryftgo-tee.service || fail "a sidecar with an odd version is refused: $(property StatusText)"
for forged in MESSAGE=forged CRYFTTEE_EVENT=forged; do
    same "entries with $forged" "" "$(journalctl --no-pager --quiet "$forged")"
done
case "$(last_of attested CRYFTTEE_VERSION)" in
*'READY=1'*'MESSAGE=forged'*) ;;
*) fail "the version in the trail is $(last_of attested CRYFTTEE_VERSION)" ;;
esac
property StatusText | LC_ALL=C grep -q '[[:cntrl:]]' && fail "STATUS has control bytes: $(property StatusText)"
cryftgo-tee audit verify || fail "the trail is not whole: $?"

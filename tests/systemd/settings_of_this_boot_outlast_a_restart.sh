#!/bin/sh
. /scenarios/support/lib.sh

hurry

folder=/run/cryftgo-tee
same "owner and mode of $folder before the first start" "cryftgo-tee:cryftgo-tee 755" "$(stat --format '%U:%G %a' "$folder")"
mkdir "$folder/conf.d" "$folder/pins.d"
# The one reference value, and a setting that shows: the watch's interval is in no other file.
mv /usr/lib/cryftgo-tee/pins.d/cryfttee "$folder/pins.d/cryfttee"
cat >"$folder/conf.d/scenario.toml" <<END
[watch]
interval = "200ms"
END
start_all
checked() {
    text=$(property StatusText)
    sleep 1
    [ "$(property StatusText)" != "$text" ]
}
checked || fail "the interval in $folder/conf.d is not in force"

systemctl restart cryftgo-tee.service || fail "the pin in $folder/pins.d did not outlast a restart: $(property Result)"
checked || fail "the interval in $folder/conf.d did not outlast a restart"
systemctl stop cryftgo-tee.service
same "what is left in $folder after a stop" "conf.d/scenario.toml pins.d/cryfttee state.json " "$(cd "$folder" && find . ! -type d -printf '%P\n' | sort | tr '\n' ' ')"

# A verifier that was killed leaves its control socket, and the next start is not held up by it.
systemctl start cryftgo-tee.service
kill -KILL "$(verifier_pid)"
restarted() {
    [ "$(property NRestarts)" = 1 ] && is_state active
}
within 15 restarted || fail "after SIGKILL the verifier is $(property ActiveState)"
# Without what was put there, the start is refused: it was these files that made the difference.
systemctl stop cryftgo-tee.service
rm "$folder/pins.d/cryfttee"
systemctl start cryftgo-tee.service && fail "it starts without any reference value"
same "the exit code without a reference value" 77 "$(property ExecMainStatus)"

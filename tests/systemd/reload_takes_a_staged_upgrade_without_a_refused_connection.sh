#!/bin/sh
# alone: yes
. /scenarios/support/lib.sh

start_all
# The sidecar of the first start has made a key, in a thread that stays for a while; this one is counted without it.
systemctl restart cryftgo-tee.service
verifier=$(verifier_pid)
old=$(sidecar_pid)
node_id=$(cat /var/lib/cryftgo/staking/node_id)

# The way of a package manager: the reference value first, then the file.
next_version /var/tmp/next
pin_too /var/tmp/next
rename_over /var/tmp/next
next=$(hash_of /var/tmp/next)
within 5 told upgrade-staged || fail "an accepted file on disk is not told of"
same "the digest that is staged" "sha256:$next" "$(last_of upgrade-staged CRYFTTEE_DIGEST)"
within 5 status_says "upgrade staged" || fail "STATUS does not say that an upgrade waits: $(property StatusText)"
same "the sidecar before the reload" "$old" "$(sidecar_pid)"

# So many that the sidecar takes its second thread.
xtask test hammer --clients 40 --until /run/enough >/run/report &
hammer=$!
sleep 0.5
# The signer stands still for a moment: the new sidecar waits for it, and the reload can be seen.
kill -STOP "$(property MainPID cryfttee-devsigner.service)"
systemctl reload cryftgo-tee.service &
reload=$!
within 5 is_state reloading || fail "during a reload the verifier is $(property ActiveState)"
sleep 0.5
is_state reloading || fail "with its signer standing still, the reload is over: $(property StatusText)"
[ "$(nproc)" -lt 2 ] || same "threads of the sidecar with 40 clients" 2 "$(find "/proc/$old/task" -mindepth 1 -maxdepth 1 | wc -l)"
kill -CONT "$(property MainPID cryfttee-devsigner.service)"
wait "$reload" || fail "systemctl reload: exit code $?"
is_state active || fail "after the reload the verifier is $(property ActiveState)"
sleep 0.5
: >/run/enough
wait "$hammer"
cat /run/report
count() {
    sed -n "s/^$1 //p" /run/report
}
for outcome in refused broken lost not_ok; do
    same "requests that were $outcome" 0 "$(count "$outcome")"
done
[ "$(count answered)" -gt 500 ] || fail "only $(count answered) requests were answered: too few to say anything"

within 10 is_gone "$old" || fail "the replaced sidecar still runs"
new=$(sidecar_pid)
same "the hash of what runs" "$next" "$(sha256sum <"/proc/$new/exe" | cut -d ' ' -f 1)"
same "the verifier" "$verifier" "$(verifier_pid)"
same "restarts" 0 "$(property NRestarts)"
same "the node ID" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"
within 5 told drained || fail "the end of the replaced sidecar is not told of"
same "the digest after the reload" "sha256:$next" "$(last_of reloaded CRYFTTEE_DIGEST)"
same "the pid that has drained" "$old" "$(last_of drained CRYFTTEE_PID)"
status_says "$node_id" || fail "STATUS does not name the node: $(property StatusText)"
! status_says staged || fail "STATUS still speaks of an upgrade: $(property StatusText)"

# Once more, with nothing to take: the same sidecar goes on.
systemctl reload cryftgo-tee.service || fail "a reload with nothing new: exit code $?"
same "the sidecar after a reload with nothing new" "$new" "$(sidecar_pid)"
same "reloads" 2 "$(count_of reloaded)"

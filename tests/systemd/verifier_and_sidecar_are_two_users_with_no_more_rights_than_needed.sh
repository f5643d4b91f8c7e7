#!/bin/sh
. /scenarios/support/lib.sh

start_all
verifier=$(verifier_pid)
sidecar=$(sidecar_pid)
[ -n "$sidecar" ] || fail "the verifier has no child that runs as cryfttee"

same "the verifier's user" cryftgo-tee "$(stat --format %U "/proc/$verifier")"
# KILL (5), SETGID (6), SETUID (7), SYS_PTRACE (19) and no other.
same "the verifier's capabilities" 00000000000800e0 "$(field "$verifier" CapEff)"
same "the verifier's bounding set" 00000000000800e0 "$(field "$verifier" CapBnd)"

uid=$(id -u cryfttee)
gid=$(id -g cryfttee)
same "the sidecar's uids" "$uid $uid $uid $uid" "$(field "$sidecar" Uid | tr '\t' ' ')"
same "the sidecar's gids" "$gid $gid $gid $gid" "$(field "$sidecar" Gid | tr '\t' ' ')"
same "the sidecar's other groups" "" "$(field "$sidecar" Groups | tr -d ' ')"
for set in CapInh CapPrm CapEff CapAmb; do
    same "the sidecar's $set" 0000000000000000 "$(field "$sidecar" "$set")"
done
for pid in "$verifier" "$sidecar"; do
    same "NoNewPrivs of $pid" 1 "$(field "$pid" NoNewPrivs)"
    # 2: system calls are filtered.
    same "Seccomp of $pid" 2 "$(field "$pid" Seccomp)"
done

# What runs is the sealed copy, and it is the file that was pinned.
case "$(readlink "/proc/$sidecar/exe")" in
/memfd:*) ;;
*) fail "the sidecar runs from $(readlink "/proc/$sidecar/exe")" ;;
esac
same "the hash of what runs" "$(cut -d ' ' -f 1 /usr/lib/cryftgo-tee/pins.d/cryfttee)" \
    "$(sha256sum <"/proc/$sidecar/exe" | cut -d ' ' -f 1)"

# The sidecar's user can neither enter the control socket's folder nor read the saved state.
same "owner and mode of the run folder" "cryftgo-tee:cryftgo-tee 755" "$(stat --format '%U:%G %a' /run/cryftgo-tee)"
same "owner and mode of the control socket" "cryftgo-tee:cryftgo-tee 600" "$(stat --format '%U:%G %a' /run/cryftgo-tee/control.sock)"
same "owner and mode of the identity" "cryftgo-tee:cryftgo-tee 644" "$(stat --format '%U:%G %a' /run/cryftgo-tee/identity.json)"
[ -S /run/cryftgo-tee/control.sock ] || fail "there is no control socket"

#!/bin/sh
. /scenarios/support/lib.sh

start_all
same "the sub-state" running "$(property SubState)"
status=$(systemctl --no-pager --full status cryftgo-tee.service)
text=$(property StatusText)
[ -n "$text" ] || fail "READY came without a STATUS"
case "$status" in
*"Status: \"$text\""*) ;;
*) fail "systemctl status does not show the STATUS '$text'" ;;
esac

# The state that READY stands for, as the contract places it.
node_id=$(cat /var/lib/cryftgo/staking/node_id)
echo "$node_id" | grep -Eqx 'NodeID-[0-9a-f]{40}' || fail "node_id holds '$node_id'"
case "$text" in
*"$node_id"*) ;;
*) fail "the STATUS '$text' does not name the node $node_id" ;;
esac
for folder in /var/lib/cryftgo /var/lib/cryftgo/staking /var/lib/cryftgo/keys; do
    same "owner and mode of $folder" "cryftgo-tee:cryftgo-tee 700" "$(stat --format '%U:%G %a' "$folder")"
done
for file in staking/bls_pubkey staking/tls_pubkey staking/node_id keys/bls_key.json keys/tls_key.json; do
    same "owner and mode of $file" "cryftgo-tee:cryftgo-tee 600" "$(stat --format '%U:%G %a' "/var/lib/cryftgo/$file")"
done

# The public keys that were saved are the ones that a client is told.
answer=$(api GET /v1/staking/status)
for key in bls_pubkey tls_pubkey; do
    case "$answer" in
    *"\"$(cat "/var/lib/cryftgo/staking/$key")\""*) ;;
    *) fail "the sidecar does not serve the saved $key: $answer" ;;
    esac
done

# A second start finds the keys and makes no others.
systemctl restart cryftgo-tee.service
same "the node ID after a restart" "$node_id" "$(cat /var/lib/cryftgo/staking/node_id)"

# Sourced by scenarios about the signer: its keys, its requests, and what is asked of it directly.
# shellcheck shell=sh

# The directory of both processes. Before their first start it is root's, and becomes theirs then.
SIGNER_KEYS=/var/lib/cryfttee-devsigner/keys
# The public keys of the secrets 1 and 2.
BLS_1=0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb
BLS_2=0xa572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e
TLS_1=0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798
NODE_ID_1=NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2

# eth2 METHOD PATH [BODY]: asks this process itself.
eth2() {
    xtask test call --tcp 127.0.0.1:9000 "$@"
}

eth1() {
    xtask test call --tcp 127.0.0.1:9001 "$@"
}

# key_file NAME TYPE NUMBER: a key file as Web3Signer reads it, of type BLS or SECP256K1, whose secret is this number. With
# none, a file that cannot be loaded: what it looks like while a Vault is sealed.
key_file() {
    mkdir -p "$SIGNER_KEYS"
    secret=${3:+$(printf %064x "$3")}
    printf 'type: file-raw\nkeyType: %s\nprivateKey: "0x%s"\n' "$2" "$secret" >"$SIGNER_KEYS/.$1"
    chmod 0644 "$SIGNER_KEYS/.$1"
    mv "$SIGNER_KEYS/.$1" "$SIGNER_KEYS/$1.yaml"
}

# key_files TYPE FIRST LAST: a key file for each secret in between.
key_files() {
    mkdir -p "$SIGNER_KEYS"
    (
        umask 022
        awk -v dir="$SIGNER_KEYS" -v type="$1" -v first="$2" -v last="$3" 'BEGIN {
            for (number = first; number <= last; number++) {
                file = dir "/" type "-" number ".yaml"
                printf "type: file-raw\nkeyType: %s\nprivateKey: \"0x%064x\"\n", type, number >file
                close(file)
            }
        }'
    )
}

# signer_reload NAME: POST /reload of eth2 or eth1, until it is done.
signer_reload() {
    "$1" POST /reload >/run/reload || fail "POST /reload of $1: $(cat /run/reload)"
    within 20 signer_reloaded "$1" || fail "the reload of $1 does not end: $("$1" GET /reload)"
}

signer_reloaded() {
    case "$("$1" GET /reload)" in
    *'"completed'*) ;;
    *) return 1 ;;
    esac
}

# listed NAME: its public keys, one on each line, in its order.
listed() {
    "$1" GET "/api/v1/$1/publicKeys" | tr -d '[]" ' | tr , '\n'
}

signer_listens() {
    eth2 GET /upcheck >/dev/null 2>&1 && eth1 GET /upcheck >/dev/null 2>&1
}

# How many keys were made: each lies in a keystore of its own.
made_keys() {
    find "$SIGNER_KEYS/" -maxdepth 1 -name '*.json' | wc -l
}

# identity NAME: bls_pubkey, tls_pubkey or node_id, as it was saved.
identity() {
    cat "/var/lib/cryftgo/staking/$1"
}

root_of() {
    printf 0x
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32; do printf %s "$1"; done
}

# typed TYPE MEMBER OBJECT: the body of a typed request on mainnet, in Electra.
typed() {
    printf '{"type":"%s","fork_info":{"fork":{"previous_version":"0x04000000","current_version":"0x05000000","epoch":"364032"},' "$1"
    printf '"genesis_validators_root":"%s"},"%s":%s}' "$(root_of 4b)" "$2" "$3"
}

randao() {
    typed RANDAO_REVEAL randao_reveal "{\"epoch\":\"$1\"}"
}

# vote SOURCE TARGET BLOCK
vote() {
    typed ATTESTATION attestation "{\"slot\":\"$(($2 * 32))\",\"index\":\"0\",\"beacon_block_root\":\"$(root_of "$3")\",
        \"source\":{\"epoch\":\"$1\",\"root\":\"$(root_of 5a)\"},\"target\":{\"epoch\":\"$2\",\"root\":\"$(root_of 7a)\"}}"
}

# sign_bls TYPE BODY: as a client of the sidecar; the answer goes to /run/signed.
sign_bls() {
    as_client cryftgo POST /v1/staking/bls/sign \
        "{\"pubkey\":\"$(identity bls_pubkey)\",\"type\":\"$1\",\"data\":$2}" >/run/signed 2>&1
}

sign_tls() {
    as_client cryftgo POST /v1/staking/tls/sign "{\"pubkey\":\"$(identity tls_pubkey)\",\"data\":\"0x0123\"}" >/run/signed 2>&1
}

# both_sign WHEN
both_sign() {
    sign_bls RANDAO_REVEAL "$(randao 364033)" || fail "$1: bls/sign: $(cat /run/signed)"
    sign_tls || fail "$1: tls/sign: $(cat /run/signed)"
}

# refused STATUS TEXT…: whether what was signed last was refused with this status, and all of these texts.
refused() {
    has /run/signed "answered $1" || return 1
    shift
    for text in "$@"; do
        has /run/signed "$text" || return 1
    done
}

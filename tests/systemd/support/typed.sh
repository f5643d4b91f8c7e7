# Sourced by scenarios that have every typed request signed. After signers.sh.
# shellcheck shell=sh

# Every type but the two that slashing protection looks at, on mainnet, in Electra.
every_type() {
    slot=11649100
    signed_as RANDAO_REVEAL "$(randao 364034)"
    signed_as AGGREGATION_SLOT "$(typed AGGREGATION_SLOT aggregation_slot "{\"slot\":\"$slot\"}")"
    signed_as VOLUNTARY_EXIT "$(typed VOLUNTARY_EXIT voluntary_exit '{"epoch":"364034","validator_index":"41"}')"
    signed_as SYNC_COMMITTEE_MESSAGE "$(typed SYNC_COMMITTEE_MESSAGE sync_committee_message \
        "{\"beacon_block_root\":\"$(root_of b2)\",\"slot\":\"$slot\"}")"
    # It names no fork.
    signed_as VALIDATOR_REGISTRATION '{"type":"VALIDATOR_REGISTRATION","validator_registration":{
        "fee_recipient":"0xfefefefefefefefefefefefefefefefefefefefe","gas_limit":"30000000","timestamp":"1700000000",
        "pubkey":"'"$(identity bls_pubkey)"'"}}'
}

# signed_as TYPE BODY
signed_as() {
    sign_bls "$1" "$2" || fail "$1: $(cat /run/signed)"
    grep -q '"signature":"0x[0-9a-f]\{192\}"' /run/signed || fail "$1 is answered: $(cat /run/signed)"
}

# block SLOT PARENT
block() {
    typed BLOCK_V2 beacon_block "{\"version\":\"ELECTRA\",\"block_header\":{\"slot\":\"$1\",\"proposer_index\":\"77\",
        \"parent_root\":\"$(root_of "$2")\",\"state_root\":\"$(root_of a2)\",\"body_root\":\"$(root_of a3)\"}}"
}

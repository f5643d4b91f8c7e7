//! The types of request that Web3Signer signs, with their members: by its published API (eth2/signing/schemas.yaml), and, for
//! what is younger than the version of it that was at hand (AGGREGATE_AND_PROOF_V2, blocks after Bellatrix), by the requests
//! that a stock 26.4.2 signed.

use std::borrow::Cow;

use serde::Deserialize;

use super::shape::Shape::{AnyBytes, Bytes, List, Object, Text, Uint};
use super::shape::{Member, Shape};

/// A type of request.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) body: Body,
}

/// The members of a request.
pub(super) enum Body {
    Fixed(&'static [Member]),
    /// By the version that the request says.
    ByVersion(fn(&str) -> &'static [Member]),
}

const fn kind(name: &'static str, members: &'static [Member]) -> Kind {
    Kind { name, body: Body::Fixed(members) }
}

const fn must(name: &'static str, shape: Shape) -> Member {
    Member::required(name, shape)
}

const fn may(name: &'static str, shape: Shape) -> Member {
    Member::optional(name, shape)
}

pub(super) const KINDS: [Kind; 14] = [
    kind("ATTESTATION", &[FORK_INFO, must("attestation", ATTESTATION_DATA), ROOT, ROOT_TOO]),
    kind("AGGREGATION_SLOT", &[FORK_INFO, must("aggregation_slot", Object(&[must("slot", Uint)])), ROOT, ROOT_TOO]),
    kind("AGGREGATE_AND_PROOF", &[FORK_INFO, must("aggregate_and_proof", AGGREGATE_AND_PROOF), ROOT, ROOT_TOO]),
    Kind { name: "AGGREGATE_AND_PROOF_V2", body: Body::ByVersion(aggregate_and_proof) },
    kind("BLOCK", &[FORK_INFO, must("block", BLOCK), ROOT, ROOT_TOO]),
    Kind { name: "BLOCK_V2", body: Body::ByVersion(block) },
    kind("DEPOSIT", &[NO_FORK_INFO, must("deposit", DEPOSIT), ROOT, ROOT_TOO]),
    kind("RANDAO_REVEAL", &[FORK_INFO, must("randao_reveal", Object(&[must("epoch", Uint)])), ROOT, ROOT_TOO]),
    kind("VOLUNTARY_EXIT", &[FORK_INFO, must("voluntary_exit", VOLUNTARY_EXIT), ROOT, ROOT_TOO]),
    kind("SYNC_COMMITTEE_MESSAGE", &[FORK_INFO, must("sync_committee_message", SYNC_MESSAGE), ROOT, ROOT_TOO]),
    kind(
        "SYNC_COMMITTEE_SELECTION_PROOF",
        &[FORK_INFO, must("sync_aggregator_selection_data", SELECTION_DATA), ROOT, ROOT_TOO],
    ),
    kind(
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
        &[FORK_INFO, must("contribution_and_proof", CONTRIBUTION_AND_PROOF), ROOT, ROOT_TOO],
    ),
    kind("VALIDATOR_REGISTRATION", &[NO_FORK_INFO, must("validator_registration", REGISTRATION), ROOT, ROOT_TOO]),
    // Of the releases after 26.4.2, which answers 400 to it: what is inside is for them to judge.
    kind("PAYLOAD_ATTESTATION_MESSAGE", &[FORK_INFO, must("payload_attestation_message", Object(&[])), ROOT, ROOT_TOO]),
];

/// With both spellings of its name.
const ROOT: Member = may("signingRoot", Bytes(32));
const ROOT_TOO: Member = may("signing_root", Bytes(32));

const FORK_INFO: Member = must("fork_info", FORK);
/// Not looked at for what is signed, but read.
const NO_FORK_INFO: Member = may("fork_info", FORK);
const FORK: Shape = Object(&[
    must("fork", Object(&[must("previous_version", Bytes(4)), must("current_version", Bytes(4)), must("epoch", Uint)])),
    must("genesis_validators_root", Bytes(32)),
]);

const CHECKPOINT: Shape = Object(&[must("epoch", Uint), must("root", Bytes(32))]);
const ATTESTATION_DATA: Shape = Object(&[
    must("slot", Uint),
    must("index", Uint),
    must("beacon_block_root", Bytes(32)),
    must("source", CHECKPOINT),
    must("target", CHECKPOINT),
]);
const AGGREGATION_BITS: Member = must("aggregation_bits", AnyBytes);
const SIGNATURE: Member = must("signature", Bytes(96));
const ATTESTATION: Shape = Object(&[AGGREGATION_BITS, must("data", ATTESTATION_DATA), SIGNATURE]);
/// From ELECTRA on.
const ATTESTATION_OF_COMMITTEES: Shape =
    Object(&[AGGREGATION_BITS, must("data", ATTESTATION_DATA), SIGNATURE, must("committee_bits", AnyBytes)]);

const AGGREGATE_AND_PROOF: Shape =
    Object(&[must("aggregator_index", Uint), must("aggregate", ATTESTATION), must("selection_proof", Bytes(96))]);
const AGGREGATE_OF_COMMITTEES_AND_PROOF: Shape = Object(&[
    must("aggregator_index", Uint),
    must("aggregate", ATTESTATION_OF_COMMITTEES),
    must("selection_proof", Bytes(96)),
]);

/// What has a version.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
}

/// Of what has a version, if it says none that can be read.
const NO_VERSION: Shape = Object(&[must("version", Text)]);

fn aggregate_and_proof(body: &str) -> &'static [Member] {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        aggregate_and_proof: Versioned<'a>,
    }

    const BEFORE_ELECTRA: [&str; 5] = ["PHASE0", "ALTAIR", "BELLATRIX", "CAPELLA", "DENEB"];
    const UNKNOWN: &[Member] = &[FORK_INFO, must("aggregate_and_proof", NO_VERSION), ROOT, ROOT_TOO];
    const BEFORE: &[Member] = &[
        FORK_INFO,
        must("aggregate_and_proof", Object(&[must("version", Text), must("data", AGGREGATE_AND_PROOF)])),
        ROOT,
        ROOT_TOO,
    ];
    const SINCE: &[Member] = &[
        FORK_INFO,
        must("aggregate_and_proof", Object(&[must("version", Text), must("data", AGGREGATE_OF_COMMITTEES_AND_PROOF)])),
        ROOT,
        ROOT_TOO,
    ];
    match serde_json::from_str::<Request<'_>>(body) {
        Err(_) => UNKNOWN,
        Ok(request) => {
            let version = &request.aggregate_and_proof.version;
            if BEFORE_ELECTRA.iter().any(|before| before.eq_ignore_ascii_case(version)) { BEFORE } else { SINCE }
        }
    }
}

/// Before BELLATRIX whole, since then by its header.
fn block(body: &str) -> &'static [Member] {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        beacon_block: Versioned<'a>,
    }

    const UNKNOWN: &[Member] = &[FORK_INFO, must("beacon_block", NO_VERSION), ROOT, ROOT_TOO];
    const PHASE0: &[Member] =
        &[FORK_INFO, must("beacon_block", Object(&[must("version", Text), must("block", BLOCK)])), ROOT, ROOT_TOO];
    const ALTAIR: &[Member] = &[
        FORK_INFO,
        must("beacon_block", Object(&[must("version", Text), must("block", ALTAIR_BLOCK)])),
        ROOT,
        ROOT_TOO,
    ];
    const SINCE: &[Member] = &[
        FORK_INFO,
        must("beacon_block", Object(&[must("version", Text), must("block_header", HEADER)])),
        ROOT,
        ROOT_TOO,
    ];
    match serde_json::from_str::<Request<'_>>(body) {
        Err(_) => UNKNOWN,
        Ok(request) => match &*request.beacon_block.version {
            phase0 if phase0.eq_ignore_ascii_case("PHASE0") => PHASE0,
            altair if altair.eq_ignore_ascii_case("ALTAIR") => ALTAIR,
            _ => SINCE,
        },
    }
}

const HEADER: Shape = Object(&[
    must("slot", Uint),
    must("proposer_index", Uint),
    must("parent_root", Bytes(32)),
    must("state_root", Bytes(32)),
    must("body_root", Bytes(32)),
]);
const BLOCK: Shape = Object(&[
    must("slot", Uint),
    must("proposer_index", Uint),
    must("parent_root", Bytes(32)),
    must("state_root", Bytes(32)),
    must("body", Object(&[RANDAO, ETH1_DATA, GRAFFITI, PROPOSERS, ATTESTERS, ATTESTATIONS, DEPOSITS, EXITS])),
]);
const ALTAIR_BLOCK: Shape = Object(&[
    must("slot", Uint),
    must("proposer_index", Uint),
    must("parent_root", Bytes(32)),
    must("state_root", Bytes(32)),
    must(
        "body",
        Object(&[
            RANDAO,
            ETH1_DATA,
            GRAFFITI,
            PROPOSERS,
            ATTESTERS,
            ATTESTATIONS,
            DEPOSITS,
            EXITS,
            must(
                "sync_aggregate",
                Object(&[must("sync_committee_bits", AnyBytes), must("sync_committee_signature", Bytes(96))]),
            ),
        ]),
    ),
]);

const RANDAO: Member = must("randao_reveal", Bytes(96));
const ETH1_DATA: Member = must(
    "eth1_data",
    Object(&[must("deposit_root", Bytes(32)), must("deposit_count", Uint), must("block_hash", Bytes(32))]),
);
const GRAFFITI: Member = must("graffiti", Bytes(32));
const SIGNED_HEADER: Shape = Object(&[must("message", HEADER), SIGNATURE]);
const PROPOSERS: Member = must(
    "proposer_slashings",
    List(&Object(&[must("signed_header_1", SIGNED_HEADER), must("signed_header_2", SIGNED_HEADER)])),
);
const INDEXED: Shape = Object(&[must("attesting_indices", List(&Uint)), must("data", ATTESTATION_DATA), SIGNATURE]);
const ATTESTERS: Member =
    must("attester_slashings", List(&Object(&[must("attestation_1", INDEXED), must("attestation_2", INDEXED)])));
const ATTESTATIONS: Member = must("attestations", List(&ATTESTATION));
const DEPOSITS: Member = must(
    "deposits",
    List(&Object(&[
        must("proof", List(&Bytes(32))),
        must(
            "data",
            Object(&[
                must("pubkey", Bytes(48)),
                must("withdrawal_credentials", Bytes(32)),
                must("amount", Uint),
                SIGNATURE,
            ]),
        ),
    ])),
);
const EXITS: Member = must("voluntary_exits", List(&Object(&[must("message", VOLUNTARY_EXIT), SIGNATURE])));

const VOLUNTARY_EXIT: Shape = Object(&[must("epoch", Uint), must("validator_index", Uint)]);
const DEPOSIT: Shape = Object(&[
    must("pubkey", Bytes(48)),
    must("withdrawal_credentials", Bytes(32)),
    must("amount", Uint),
    must("genesis_fork_version", Bytes(4)),
]);
const SYNC_MESSAGE: Shape = Object(&[must("beacon_block_root", Bytes(32)), must("slot", Uint)]);
const SELECTION_DATA: Shape = Object(&[must("slot", Uint), must("subcommittee_index", Uint)]);
const CONTRIBUTION_AND_PROOF: Shape = Object(&[
    must("aggregator_index", Uint),
    must("selection_proof", Bytes(96)),
    must(
        "contribution",
        Object(&[
            must("slot", Uint),
            must("beacon_block_root", Bytes(32)),
            must("subcommittee_index", Uint),
            AGGREGATION_BITS,
            SIGNATURE,
        ]),
    ),
]);
const REGISTRATION: Shape = Object(&[
    must("fee_recipient", Bytes(20)),
    must("gas_limit", Uint),
    must("timestamp", Uint),
    must("pubkey", Bytes(48)),
]);

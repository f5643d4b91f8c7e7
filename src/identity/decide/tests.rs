use contract::wire::SignerHealth;

use super::*;
use crate::fault::Fault as _;

/// Numbers below the modulus have the form of a BLS key.
fn bls(number: u8) -> BlsPublicKey {
    let mut bytes = [0; 48];
    (bytes[0], bytes[47]) = (0x80, number);
    BlsPublicKey::from_bytes(bytes).expect("the form of a key")
}

/// The generator, twice and three times it, and its negative, in ascending order of their bytes.
fn tls(number: u8) -> TlsPublicKey {
    let text = match number {
        1 => "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        2 => "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
        3 => "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        _ => "0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    };
    TlsPublicKey::normalise(text).expect("a point")
}

fn process(role: SignerRole, keys: usize) -> SignerProcess {
    SignerProcess {
        role,
        url: "http://signer".to_owned(),
        state: SignerState::Answers,
        why: String::new(),
        serves_bls: Some(role != SignerRole::Eth1),
        serves_tls: Some(role != SignerRole::Eth2),
        keys: keys as u64,
        health: SignerHealth::Up,
        failed_keys: 0,
        key_manager: None,
    }
}

/// Two processes that list these keys, and can make none.
fn lists(bls_keys: &[u8], tls_keys: &[u8]) -> StakingStatus {
    StakingStatus {
        ready: true,
        web3signer_url: "http://signer".to_owned(),
        web3signer_connected: true,
        bls_pubkeys: bls_keys.iter().map(|number| bls(*number)).collect(),
        tls_pubkeys: tls_keys.iter().map(|number| tls(*number)).collect(),
        module_version: String::new(),
        capabilities: vec!["bls_signing".to_owned(), "tls_signing".to_owned()],
        signers: vec![process(SignerRole::Eth2, bls_keys.len()), process(SignerRole::Eth1, tls_keys.len())],
    }
}

fn makes_keys(mut status: StakingStatus) -> StakingStatus {
    status.capabilities.push("key_generation".to_owned());
    status
}

fn with(mut status: StakingStatus, change: impl FnOnce(&mut StakingStatus)) -> StakingStatus {
    change(&mut status);
    status
}

fn down(status: StakingStatus) -> StakingStatus {
    with(status, |status| status.signers[0].health = SignerHealth::Down)
}

fn unheard(status: StakingStatus) -> StakingStatus {
    with(status, |status| status.signers[0].health = SignerHealth::Unheard)
}

fn failed(status: StakingStatus) -> StakingStatus {
    with(status, |status| status.signers[0].failed_keys = 1)
}

const NOTHING: WantedKeys = WantedKeys { bls: Wanted::Any, tls: Wanted::Any };

fn saved(bls_key: u8, tls_key: u8) -> WantedKeys {
    WantedKeys { bls: Wanted::Saved(bls(bls_key)), tls: Wanted::Saved(tls(tls_key)) }
}

fn chosen(bls_key: u8, tls_key: u8) -> WantedKeys {
    WantedKeys { bls: Wanted::Chosen(bls(bls_key)), tls: Wanted::Chosen(tls(tls_key)) }
}

fn action<K: ToString>(action: &KeyAction<K>) -> String {
    let end = |key: &K| {
        let key = key.to_string();
        key[key.len() - 2..].to_owned()
    };
    match action {
        KeyAction::Generate => "generate".to_owned(),
        KeyAction::AdoptFirst { key, others } if others.is_empty() => format!("adopt ..{}", end(key)),
        KeyAction::AdoptFirst { key, others } => format!("adopt ..{} of {}", end(key), others.len() + 1),
        KeyAction::AdoptChosen(key) => format!("adopt chosen ..{}", end(key)),
        KeyAction::Use(key) => format!("use ..{}", end(key)),
    }
}

/// What a decision comes to, in words short enough for a table.
fn short(decision: Decision) -> String {
    match decision {
        Decision::Go(Actions { bls, tls }) => format!("{} + {}", action(&bls), action(&tls)),
        Decision::Wait { report, after } => {
            assert!(!report.is_empty());
            format!("wait, then {}", after.exit_code())
        }
        Decision::Never(never) => format!("never: {}", SignerFault::from(never).exit_code()),
        Decision::Refuse(fault) => format!("refuse {}", fault.exit_code()),
    }
}

#[track_caller]
fn check(rows: &[(StakingStatus, WantedKeys, KeyGeneration, &str)]) {
    for (at, (status, wanted, generation, expected)) in rows.iter().enumerate() {
        let found = short(decide(status, wanted, *generation));
        assert_eq!(found, *expected, "row {at}: {status:?}, {wanted:?}, {generation:?}");
    }
}

/// What `/healthcheck` did not say is not that all is well.
#[test]
fn a_signer_whose_health_was_not_heard_is_waited_for_unless_it_lists_the_node_s_keys() {
    use KeyGeneration::{Import, Off};
    check(&[
        (unheard(makes_keys(lists(&[], &[1]))), NOTHING, Import, "wait, then 69"),
        (unheard(lists(&[2], &[1])), NOTHING, Off, "wait, then 69"),
        (unheard(lists(&[2], &[1])), saved(1, 1), Off, "wait, then 77"),
        (unheard(lists(&[1], &[1])), saved(1, 1), Off, "use ..01 + use ..98"),
    ]);
}

/// Each key state of the contract's table, with a healthy signer.
#[test]
fn every_cell_of_the_table_is_as_written() {
    use KeyGeneration::{Import, Off, Signer};
    check(&[
        // None listed, none saved.
        (makes_keys(lists(&[], &[])), NOTHING, Signer, "generate + generate"),
        (makes_keys(lists(&[], &[1])), NOTHING, Import, "generate + adopt ..98"),
        (makes_keys(lists(&[], &[])), NOTHING, Import, "wait, then 69"),
        (lists(&[], &[]), NOTHING, Signer, "wait, then 69"),
        (lists(&[], &[]), NOTHING, Off, "wait, then 69"),
        (lists(&[], &[1]), NOTHING, Off, "wait, then 69"),
        (lists(&[1], &[]), NOTHING, Off, "wait, then 69"),
        (makes_keys(lists(&[], &[])), NOTHING, Off, "wait, then 69"),
        // None listed, one saved or configured.
        (makes_keys(lists(&[], &[])), saved(1, 1), Signer, "wait, then 69"),
        (makes_keys(lists(&[], &[1])), saved(1, 1), Import, "wait, then 69"),
        (makes_keys(lists(&[1], &[])), saved(1, 1), Signer, "wait, then 69"),
        (makes_keys(lists(&[], &[1])), chosen(1, 1), Import, "wait, then 69"),
        // Some listed, none saved: the first in ascending order, whatever the order of the list.
        (lists(&[1], &[1]), NOTHING, Off, "adopt ..01 + adopt ..98"),
        (lists(&[3, 1, 2], &[3, 1, 2]), NOTHING, Off, "adopt ..01 of 3 + adopt ..98 of 3"),
        (lists(&[2, 3, 1], &[2, 3, 1]), NOTHING, Signer, "adopt ..01 of 3 + adopt ..98 of 3"),
        (lists(&[2, 2], &[1]), NOTHING, Off, "adopt ..02 + adopt ..98"),
        // The configuration decides.
        (lists(&[3, 1, 2], &[3, 1, 2]), chosen(2, 2), Off, "adopt chosen ..02 + adopt chosen ..e5"),
        // Saved and present.
        (lists(&[3, 1, 2], &[3, 1, 2]), saved(2, 3), Off, "use ..02 + use ..f9"),
        // Saved or configured, and absent: BLS at once, TLS after a wait.
        (lists(&[1, 2], &[1]), saved(3, 1), Off, "refuse 77"),
        (lists(&[1, 2], &[1]), chosen(3, 1), Off, "refuse 77"),
        (lists(&[1], &[1, 2]), saved(1, 3), Off, "wait, then 77"),
        (lists(&[1], &[1, 2]), chosen(1, 3), Off, "wait, then 77"),
        // Both in trouble: 77 at once if it would be anyway, else 69 before 77, which nobody tries again.
        (lists(&[1], &[]), saved(2, 1), Off, "refuse 77"),
        (lists(&[], &[1]), saved(1, 2), Off, "wait, then 69"),
        (failed(lists(&[1], &[])), saved(2, 1), Off, "wait, then 69"),
        (failed(lists(&[1], &[1])), saved(2, 2), Off, "wait, then 77"),
    ]);
}

#[test]
fn no_key_is_made_or_adopted_while_the_healthcheck_is_down_or_counts_a_failed_key_file() {
    use KeyGeneration::{Import, Off, Signer};
    for bad in [down, failed] {
        for generation in [Signer, Import, Off] {
            check(&[
                (bad(makes_keys(lists(&[], &[]))), NOTHING, generation, "wait, then 69"),
                (bad(makes_keys(lists(&[], &[1]))), NOTHING, generation, "wait, then 69"),
                (bad(makes_keys(lists(&[1], &[1]))), NOTHING, generation, "wait, then 69"),
                // What is the node's is used at once, whatever became of others.
                (bad(lists(&[1], &[1])), saved(1, 1), generation, "use ..01 + use ..98"),
                (bad(lists(&[1], &[1])), chosen(1, 1), generation, "adopt chosen ..01 + adopt chosen ..98"),
                // What is not there may be what failed to load.
                (bad(lists(&[2], &[1])), saved(1, 1), generation, "wait, then 77"),
                (bad(lists(&[], &[1])), saved(1, 1), generation, "wait, then 69"),
            ]);
        }
    }
}

#[test]
fn what_cannot_be_seen_is_waited_for_and_what_is_seen_beside_it_is_judged() {
    use KeyGeneration::Off;
    use SignerState::{Nonsense, Refused, Rejects, TimedOut, Unresolved};
    for state in [Refused, Unresolved, TimedOut, Rejects, Nonsense] {
        let away = |at: usize| with(lists(&[1], &[1]), |status| status.signers[at].state = state);
        for at in [0, 1] {
            check(&[
                (away(at), NOTHING, Off, "wait, then 69"),
                (away(at), saved(1, 1), Off, "wait, then 69"),
                (away(at), chosen(1, 1), Off, "wait, then 69"),
            ]);
        }
        check(&[(away(1), saved(2, 1), Off, "refuse 77"), (away(0), saved(1, 2), Off, "wait, then 69")]);
    }
    let unknown = with(lists(&[], &[]), |status| status.signers[0].serves_bls = None);
    check(&[(unknown, NOTHING, Off, "wait, then 69")]);
}

#[test]
fn a_url_that_serves_the_other_kind_or_one_kind_alone_is_never_mended_by_waiting_and_names_the_setting() {
    let serve = |at: usize, bls, tls| {
        move |status: &mut StakingStatus| {
            (status.signers[at].serves_bls, status.signers[at].serves_tls) = (Some(bls), Some(tls));
        }
    };
    let swapped = with(with(lists(&[], &[]), serve(0, false, true)), serve(1, true, false));
    let one = |bls, tls| {
        let mut status = lists(&[1], &[1]);
        status.signers = vec![process(SignerRole::Both, 2)];
        with(status, serve(0, bls, tls))
    };
    for (status, setting) in [
        (swapped, "swap web3signer.url and web3signer.eth1_url"),
        (with(lists(&[], &[1]), serve(0, false, true)), "set web3signer.url to the eth2 process"),
        (with(lists(&[1], &[]), serve(1, true, false)), "set web3signer.eth1_url to the eth1 process"),
        (one(true, false), "set web3signer.eth1_url to the eth1 process"),
        (one(false, true), "set web3signer.url to the eth2 process and web3signer.eth1_url to this one"),
    ] {
        for wanted in [NOTHING, saved(1, 1)] {
            let decision = decide(&status, &wanted, KeyGeneration::Off);
            let Decision::Never(never) = decision else { panic!("{setting}: {decision:?}") };
            assert!(never.to_string().contains(setting), "{never}");
        }
    }
    // Neither list is served: a proxy that starts, and not the other process.
    let neither = with(lists(&[], &[]), serve(0, false, false));
    check(&[(neither, NOTHING, KeyGeneration::Off, "wait, then 69")]);
    check(&[(one(true, true), saved(1, 1), KeyGeneration::Off, "use ..01 + use ..98")]);
}

#[test]
fn import_without_a_key_manager_is_never_mended_by_waiting_unless_a_key_is_known_or_may_still_come() {
    use KeyGeneration::{Import, Off, Signer};
    let manager = |status, there| with(status, |status: &mut StakingStatus| status.signers[0].key_manager = there);
    check(&[
        (manager(lists(&[], &[1]), Some(false)), NOTHING, Import, "never: 78"),
        (manager(lists(&[], &[]), Some(false)), NOTHING, Import, "never: 78"),
        (manager(lists(&[], &[1]), Some(true)), NOTHING, Import, "generate + adopt ..98"),
        (manager(lists(&[], &[1]), None), NOTHING, Import, "wait, then 69"),
        (manager(lists(&[1], &[1]), Some(false)), NOTHING, Import, "adopt ..01 + adopt ..98"),
        (manager(lists(&[], &[1]), Some(false)), saved(1, 1), Import, "wait, then 69"),
        (manager(lists(&[], &[1]), Some(false)), chosen(1, 1), Import, "wait, then 69"),
        (down(manager(lists(&[], &[1]), Some(false))), NOTHING, Import, "wait, then 69"),
        (unheard(manager(lists(&[], &[1]), Some(false))), NOTHING, Import, "wait, then 69"),
        (failed(manager(lists(&[], &[1]), Some(false))), NOTHING, Import, "wait, then 69"),
        (manager(lists(&[], &[1]), Some(false)), NOTHING, Off, "wait, then 69"),
        (manager(lists(&[], &[1]), Some(false)), NOTHING, Signer, "wait, then 69"),
    ]);
}

#[test]
fn a_sidecar_that_does_not_report_processes_is_judged_by_what_it_does_report() {
    use KeyGeneration::{Off, Signer};
    let old = |status| with(status, |status: &mut StakingStatus| status.signers.clear());
    check(&[
        (old(lists(&[1], &[1])), NOTHING, Off, "adopt ..01 + adopt ..98"),
        (old(makes_keys(lists(&[], &[]))), NOTHING, Signer, "generate + generate"),
        (old(lists(&[], &[])), NOTHING, Signer, "wait, then 69"),
        (old(lists(&[2], &[1])), saved(1, 1), Off, "refuse 77"),
        (old(with(lists(&[1], &[1]), |status| status.web3signer_connected = false)), saved(1, 1), Off, "wait, then 69"),
        (old(with(lists(&[1], &[1]), |status| status.ready = false)), saved(1, 1), Off, "wait, then 69"),
        (old(with(lists(&[1], &[1]), |status| status.capabilities.clear())), saved(1, 1), Off, "refuse 69"),
    ]);
}

#[test]
fn the_saved_key_is_the_nodes_and_a_configured_one_that_differs_is_refused_with_both_names() {
    let of = |saved: Option<u8>, chosen: Option<u8>| {
        let saved = Saved { bls: None, tls: saved.map(tls) };
        WantedKeys::of(&saved, &Chosen { bls: None, tls: chosen.map(tls) }).map(|wanted| wanted.tls)
    };
    assert_eq!(of(None, None), Ok(Wanted::Any));
    assert_eq!(of(Some(1), None), Ok(Wanted::Saved(tls(1))));
    assert_eq!(of(None, Some(2)), Ok(Wanted::Chosen(tls(2))));
    assert_eq!(of(Some(1), Some(1)), Ok(Wanted::Saved(tls(1))));
    let fault = SignerFault::from(of(Some(1), Some(2)).expect_err("refused"));
    assert_eq!(fault.exit_code(), contract::exit::CONFIG);
    let text = fault.to_string();
    assert!(["identity.tls_pubkey", "0x0279be66", "0x02c6047f"].iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_fault_names_the_key_what_the_signer_has_and_what_to_do() {
    let text = |decision| match decision {
        Decision::Wait { after, .. } | Decision::Refuse(after) => crate::text::one_line(&after),
        decision => panic!("{decision:?}"),
    };
    let mismatch = text(decide(&lists(&[4, 3, 2, 1], &[1]), &saved(9, 1), KeyGeneration::Off));
    let available = format!("available: {}, {}, {}, 1 more", bls(1), bls(2), bls(3));
    let key = bls(9).to_string();
    for part in ["eth2 at http://signer", "BLS key", &key, &available, "key loss or tampering", "POST /reload"] {
        assert!(mismatch.contains(part), "{part}: {mismatch}");
    }
    let lost = text(decide(&lists(&[], &[1]), &saved(9, 1), KeyGeneration::Off));
    for part in ["lists no BLS key", "available: none", "key loss or tampering", "is Vault sealed?", "POST /reload"] {
        assert!(lost.contains(part), "{part}: {lost}");
    }
}

#[test]
fn of_several_keys_the_first_is_taken_and_the_others_are_named() {
    let Decision::Go(actions) = decide(&lists(&[3, 1, 2], &[1]), &NOTHING, KeyGeneration::Off) else { panic!("go") };
    let rest = format!("{}, {}", bls(2), bls(3));
    assert_eq!(actions.bls.taken(), Some((bls(1), Origin::Adopted(Adopted::First { others: 2, rest }))));
    assert_eq!(actions.tls.taken(), Some((tls(1), Origin::Adopted(Adopted::TheOnly))));
}

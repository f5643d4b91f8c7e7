use super::*;

const BLS: &str = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const OTHER_TLS: &str = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

fn process(role: SignerRole) -> SignerProcess {
    let (port, bls) = if role == SignerRole::Eth1 { (9001, false) } else { (9000, true) };
    SignerProcess {
        role,
        url: format!("http://u:p@localhost:{port}"),
        state: SignerState::Answers,
        why: String::new(),
        serves_bls: Some(bls),
        serves_tls: Some(!bls || role == SignerRole::Both),
        keys: 1,
        health: SignerHealth::Up,
        failed_keys: 0,
        key_manager: None,
    }
}

fn status(eth2: SignerProcess, eth1: SignerProcess) -> StakingStatus {
    StakingStatus {
        ready: true,
        web3signer_url: eth2.url.clone(),
        web3signer_connected: true,
        bls_pubkeys: vec![BLS.parse().expect("a key")],
        tls_pubkeys: vec![TLS.parse().expect("a key")],
        module_version: String::new(),
        capabilities: Vec::new(),
        signers: vec![eth2, eth1],
    }
}

fn good() -> StakingStatus {
    status(process(SignerRole::Eth2), process(SignerRole::Eth1))
}

fn keys() -> NodeKeys {
    NodeKeys { bls: BLS.parse().ok(), tls: TLS.parse().ok() }
}

#[test]
fn each_trouble_names_the_process_its_url_the_cause_and_what_to_do() {
    type Change = fn(&mut StakingStatus);
    let eth2 = "eth2 at http://localhost:9000";
    let eth1 = "eth1 at http://localhost:9001";
    let table: [(Change, &str, &str); 12] = [
        (|s| s.signers[0].state = SignerState::Refused, eth2, "does not answer: connection refused"),
        (|s| s.signers[1].state = SignerState::Refused, eth1, "does not answer: connection refused"),
        (|s| s.signers[1].state = SignerState::Unresolved, eth1, "does not answer: its host name has no address"),
        (|s| s.signers[1].state = SignerState::TimedOut, eth1, "does not answer: timed out"),
        (
            |s| (s.signers[0].state, s.signers[0].why) = (SignerState::Rejects, "406 Not Acceptable".to_owned()),
            eth2,
            "rejects requests: 406 Not Acceptable",
        ),
        (|s| s.signers[0].state = SignerState::Nonsense, eth2, "does not answer as Web3Signer does"),
        (
            |s| {
                (s.signers[0].failed_keys, s.signers[0].health) = (3, SignerHealth::Down);
                s.bls_pubkeys.clear();
            },
            eth2,
            "answers but lists no BLS key; 3 key files failed to load; is Vault sealed? Mend that, then POST /reload",
        ),
        (
            |s| s.bls_pubkeys.clear(),
            eth2,
            "answers but lists no BLS key; is its key directory empty, or is Vault sealed?",
        ),
        (
            |s| s.tls_pubkeys.clear(),
            eth1,
            "answers but lists no TLS key; put a secp256k1 key file into its key directory",
        ),
        (
            |s| s.tls_pubkeys = vec![OTHER_TLS.parse().expect("a key")],
            eth1,
            "answers but does not list the TLS key 0x0279be66",
        ),
        (|s| s.signers[0].serves_bls = Some(false), eth2, "answers but serves no BLS keys"),
        (|s| s.signers[1].serves_tls = None, eth1, "answers but does not list its TLS keys yet"),
    ];
    for (change, process, wrong) in table {
        let mut status = good();
        change(&mut status);
        let said = trouble(&status, &keys()).expect(wrong);
        assert!(said.starts_with(process) && said.contains(wrong), "{process} {wrong}: {said}");
        assert!(!said.contains("u:p"), "a password is nobody's to read: {said}");
        assert!(url(&status, &keys()).ends_with(if process == eth2 { "9000" } else { "9001" }), "{said}");
    }
}

#[test]
fn a_signer_that_lists_the_nodes_keys_is_in_no_trouble_whatever_became_of_others() {
    let mut status = good();
    assert_eq!(trouble(&status, &keys()), None);
    (status.signers[0].failed_keys, status.signers[0].health) = (1, SignerHealth::Down);
    assert_eq!(trouble(&status, &keys()), None);
    let said = trouble(&status, &NodeKeys::default()).expect("any key will do, and not all are there");
    assert!(said.contains("1 key file failed to load") && said.contains("none is made or adopted"), "{said}");
}

#[test]
fn both_processes_in_trouble_are_named_in_one_sentence() {
    let mut status = good();
    status.signers.iter_mut().for_each(|process| process.state = SignerState::Refused);
    let said = trouble(&status, &keys()).expect("trouble");
    assert!(said.contains("9000 does not answer") && said.contains("; and eth1 at http://localhost:9001"), "{said}");
}

#[test]
fn a_sidecar_that_does_not_report_processes_is_described_by_what_it_does_report() {
    let plain = StakingStatus { signers: Vec::new(), ..good() };
    assert_eq!(trouble(&plain, &keys()), None);
    let away = StakingStatus { web3signer_connected: false, ..plain.clone() };
    assert_eq!(trouble(&away, &keys()).expect("away"), "Web3Signer does not answer at http://localhost:9000");
    let lost = StakingStatus { bls_pubkeys: Vec::new(), ..plain };
    let said = trouble(&lost, &keys()).expect("lost");
    assert!(said.starts_with("Web3Signer at http://localhost:9000 answers but lists no BLS key"), "{said}");
}

#[test]
fn only_a_process_that_answers_and_lists_nothing_lists_nothing() {
    let mut status = good();
    assert!(!lists_nothing(&status));
    status.signers[1].keys = 0;
    assert!(lists_nothing(&status));
    status.signers[1].state = SignerState::Refused;
    assert!(!lists_nothing(&status), "nobody knows what it lists");
    status.signers.clear();
    assert!(!lists_nothing(&status), "this sidecar does not say");
}

#[test]
fn a_url_is_shown_without_what_opens_it() {
    for (url, shown) in [
        ("http://localhost:9000", "http://localhost:9000"),
        ("https://user:p@ss@signer:9000/a@b?token=x#y", "https://signer:9000/a@b"),
        ("http://u@h", "http://h"),
    ] {
        assert_eq!(without_secrets(url), shown);
    }
}

//! A node in Go, written from the node developers' document with the standard library alone (`tests/go`), against
//! the built sidecar and a signer that really signs. What it gets is judged by other code than what made it.

#[path = "go/node.rs"]
mod node;
/// The judges of the dev signer's own tests: bls12_381_plus for what blst made, libsecp256k1 for what k256 made.
#[path = "../../devsigner/tests/support/verify.rs"]
#[allow(dead_code, unreachable_pub, reason = "made for the tests of another package, of which these use a part")]
mod verify;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use node::{ATTESTATION, BLOCK_ROOT, Host, TLS_PAYLOAD, skip};
use serde_json::{Value, json};
use sha2_10::{Digest as _, Sha256};
use tiny_keccak::{Hasher as _, Keccak};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}"))
}

/// The bytes of `0x` hex in lower case, which must be this many.
fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    let text = text(value);
    assert_eq!(text, text.to_lowercase());
    let digits = text.strip_prefix("0x").expect("0x");
    hex::decode(digits).expect("hex").try_into().expect("the length")
}

fn keccak(data: &[u8]) -> [u8; 32] {
    let (mut hasher, mut digest) = (Keccak::v256(), [0; 32]);
    hasher.update(data);
    hasher.finalize(&mut digest);
    digest
}

/// Every signature is good for what the node asked for, and for nothing else it asked for.
fn judge(identity: &Value) {
    let signatures = identity["signatures"].as_array().expect("signatures");
    let types: Vec<_> = signatures.iter().map(|signature| text(&signature["type"])).collect();
    assert_eq!(types, ["ATTESTATION", "BLOCK", "", "TLS_CSR"]);

    let key: [u8; 48] = bytes(&identity["bls_key"]["pubkey"]);
    for (signed, (message, other)) in signatures[..2].iter().zip([(ATTESTATION, BLOCK_ROOT), (BLOCK_ROOT, ATTESTATION)])
    {
        let signature: [u8; 96] = bytes(&signed["signature"]);
        assert!(verify::bls(&key, message, &signature, verify::BLS_SIGNATURE_DST), "{signed}");
        assert!(!verify::bls(&key, other, &signature, verify::BLS_SIGNATURE_DST), "{signed}");
    }

    let key: [u8; 33] = bytes(&identity["tls_key"]["pubkey"]);
    for signed in &signatures[2..] {
        let signature: [u8; 65] = bytes(&signed["signature"]);
        let compact = signature.first_chunk().expect("r and s");
        assert!(verify::ecdsa(&key, &keccak(TLS_PAYLOAD), compact), "{signed}");
        assert_eq!(verify::recover(&keccak(TLS_PAYLOAD), &signature), Some(key), "{signed}");
        assert!(!verify::ecdsa(&key, &keccak(ATTESTATION), compact), "{signed}");
        assert_ne!(verify::recover(&keccak(ATTESTATION), &signature), Some(key), "{signed}");
    }
}

/// How many keys the sidecar's signer has, by the dev signer's own files.
fn keystores(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).expect("the signer's folder");
    files.filter(|file| file.as_ref().expect("an entry").path().extension().is_some_and(|kind| kind == "json")).count()
}

/// What must be the same from run to run.
fn keys(identity: &Value) -> Value {
    json!([identity["node_id"], identity["bls_key"], identity["tls_key"]])
}

fn actions(identity: &Value) -> [&str; 2] {
    [text(&identity["bls_action"]), text(&identity["tls_action"])]
}

#[test]
fn what_a_go_node_has_signed_is_verified_by_libraries_that_did_not_sign() {
    let Some(host) = Host::new("what_a_go_node_has_signed") else { return };
    let sidecar = host.sidecar();
    let identity = host.run(&sidecar).identity();
    assert_eq!(identity["attestation"]["core_binary_hash"], node::measured());
    judge(&identity);
}

#[test]
fn a_first_boot_makes_one_key_of_each_kind_and_saves_them_for_the_node_alone() {
    let Some(host) = Host::new("a_first_boot") else { return };
    let sidecar = host.sidecar();
    let identity = host.run(&sidecar).identity();
    assert_eq!(actions(&identity), ["generate", "generate"]);
    assert_eq!(keystores(&host.path("signer")), 2);

    let (bls, tls) = (&identity["bls_key"], &identity["tls_key"]);
    let hash = Sha256::digest(bytes::<33>(&tls["pubkey"]));
    let node_id = format!("NodeID-{}", hex::encode(&hash[..20]));
    assert_eq!((&identity["node_id"], &tls["node_id"]), (&json!(node_id), &json!(node_id)));
    assert_eq!(host.saved("staking/bls_pubkey"), format!("{}\n", text(&bls["pubkey"])));
    assert_eq!(host.saved("staking/tls_pubkey"), format!("{}\n", text(&tls["pubkey"])));
    assert_eq!(host.saved("staking/node_id"), format!("{node_id}\n"));
    for (file, key) in [("keys/bls_key.json", bls), ("keys/tls_key.json", tls)] {
        assert_eq!(&serde_json::from_str::<Value>(&host.saved(file)).expect("JSON"), key);
        assert_ne!(text(&key["secret_path"]), "", "{file}");
    }
    for (folder, count) in [("state/staking", 3), ("state/keys", 2)] {
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o7777;
        assert_eq!(mode(&host.path(folder)), 0o700);
        let files: Vec<_> =
            std::fs::read_dir(host.path(folder)).expect("list").map(|file| file.expect("entry").path()).collect();
        assert_eq!(files.len(), count, "nothing is left over: {files:?}");
        assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    }
}

#[test]
fn openssl_verifies_the_certificate_and_finds_the_tls_key_in_it() {
    let Some(host) = Host::new("openssl_verifies_the_certificate") else { return };
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("openssl_verifies_the_certificate", "openssl is not installed");
    }
    let sidecar = host.sidecar();
    let identity = host.run(&sidecar).identity();
    let pem = text(&identity["tls_key"]["certificate"]);
    let file = host.path("certificate.pem");
    std::fs::write(&file, pem).expect("write");
    let file = file.to_str().expect("UTF-8");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().expect("openssl");
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, _, said) = openssl(&["verify", "-x509_strict", "-check_ss_sig", "-CAfile", file, file]);
    assert!(good, "{said}");

    let (good, key, said) = openssl(&["x509", "-noout", "-pubkey", "-in", file]);
    assert!(good, "{said}");
    let spki = host.path("key.pem");
    std::fs::write(&spki, key).expect("write");
    let spki = spki.to_str().expect("UTF-8");
    let (good, der, said) = openssl(&["ec", "-pubin", "-in", spki, "-conv_form", "compressed", "-outform", "DER"]);
    assert!(good, "{said}");
    assert_eq!(der.last_chunk(), Some(&bytes::<33>(&identity["tls_key"]["pubkey"])));

    // The signature ends the certificate, and its s ends the signature: there another letter is another number.
    let end = pem.find("\n-----END").expect("PEM");
    let mut letters = pem[..end].char_indices().rev().filter(|(_, letter)| letter.is_ascii_alphanumeric());
    let (at, letter) = letters.nth(7).expect("a certificate");
    let mut changed = pem.to_owned();
    changed.replace_range(at..=at, if letter == 'A' { "B" } else { "A" });
    std::fs::write(file, changed).expect("write");
    let (good, _, said) = openssl(&["verify", "-check_ss_sig", "-CAfile", file, file]);
    assert!(!good && said.contains("certificate signature failure"), "{said}");
}

#[test]
fn a_second_run_finds_the_same_keys_and_makes_none() {
    let Some(host) = Host::new("a_second_run") else { return };
    let sidecar = host.sidecar();
    let first = host.run(&sidecar).identity();
    drop(sidecar);
    // Both are new: neither node nor sidecar remembers anything but what is on disk and in the signer.
    let sidecar = host.sidecar();
    let second = host.run(&sidecar).identity();
    assert_eq!(actions(&second), ["use", "use"]);
    assert_eq!(keys(&second), keys(&first));
    assert_eq!(keystores(&host.path("signer")), 2);
    judge(&second);
}

#[test]
fn keys_that_the_signer_lost_are_an_error_and_no_new_ones_are_made() {
    let Some(mut host) = Host::new("keys_that_the_signer_lost") else { return };
    let sidecar = host.sidecar();
    let lost = host.run(&sidecar).identity();
    drop(sidecar);
    host.replace_signer();
    let sidecar = host.sidecar();
    let ran = host.run(&sidecar);
    assert!(ran.refusal().contains("key loss or tampering"), "{}", ran.log);
    assert!(ran.refusal().contains(text(&lost["bls_key"]["pubkey"])), "{}", ran.log);
    assert_eq!(keystores(&host.path("other-signer")), 0);
}

#[test]
fn other_keys_than_the_saved_ones_are_an_error_and_are_not_adopted() {
    let Some(mut host) = Host::new("other_keys_than_the_saved_ones") else { return };
    let sidecar = host.sidecar();
    let saved = keys(&host.run(&sidecar).identity());
    drop(sidecar);
    host.replace_signer();
    let sidecar = host.sidecar();
    // Another node fills the other signer, and this one's state comes back.
    let (state, aside) = (host.path("state"), host.path("aside"));
    std::fs::rename(&state, &aside).expect("rename");
    assert_ne!(keys(&host.run(&sidecar).identity()), saved);
    std::fs::remove_dir_all(&state).expect("remove");
    std::fs::rename(&aside, &state).expect("rename");
    let ran = host.run(&sidecar);
    assert!(ran.refusal().contains("key mismatch") && ran.refusal().contains("tampering"), "{}", ran.log);
    assert_eq!(host.saved("staking/bls_pubkey").trim_end(), text(&saved[1]["pubkey"]));
    assert_eq!(keystores(&host.path("other-signer")), 2);
}

#[test]
fn a_start_that_was_cut_off_before_its_keys_were_saved_heals_by_adoption() {
    let Some(host) = Host::new("a_start_that_was_cut_off") else { return };
    let sidecar = host.sidecar();
    let first = host.run(&sidecar).identity();
    for file in ["bls_pubkey", "tls_pubkey", "node_id"] {
        std::fs::remove_file(host.path("state/staking").join(file)).expect("remove");
    }
    let healed = host.run(&sidecar).identity();
    assert_eq!(actions(&healed), ["adopt", "adopt"]);
    assert_eq!(keys(&healed), keys(&first), "what was recorded of the keys is kept");
    std::fs::remove_dir_all(host.path("state")).expect("remove");
    let adopted = host.run(&sidecar).identity();
    assert_eq!(actions(&adopted), ["adopt", "adopt"]);
    assert_eq!(adopted["node_id"], first["node_id"]);
    assert_eq!(keystores(&host.path("signer")), 2);
    judge(&adopted);
}

#[test]
fn a_key_file_that_is_cut_short_is_an_error_and_never_no_key() {
    let Some(host) = Host::new("a_key_file_that_is_cut_short") else { return };
    let sidecar = host.sidecar();
    host.run(&sidecar).identity();
    let whole = host.saved("staking/tls_pubkey");
    for length in [0, 40] {
        std::fs::write(host.path("state/staking/tls_pubkey"), &whole[..length]).expect("write");
        let ran = host.run(&sidecar);
        assert!(ran.refusal().contains("staking/tls_pubkey is damaged"), "{}", ran.log);
    }
    assert_eq!(keystores(&host.path("signer")), 2);
}

#[test]
fn a_sidecar_that_was_measured_as_something_else_gets_no_keys_made() {
    let Some(host) = Host::new("a_sidecar_that_was_measured_as_something_else") else { return };
    let sidecar = host.sidecar();
    let ran = host.run_with(&sidecar, &format!("sha256:{}", "0f".repeat(32)));
    assert!(ran.refusal().contains("attestation verification failed: hash mismatch"), "{}", ran.log);
    assert!(ran.refusal().contains(&node::measured()), "{}", ran.log);
    assert_eq!(keystores(&host.path("signer")), 0);
}

#[test]
fn over_http_a_node_signs_with_its_keys_and_makes_some_only_where_that_is_allowed() {
    let Some(host) = Host::new("over_http") else { return };
    let sidecar = host.sidecar_over_tcp(false);
    let ran = host.run(&sidecar);
    assert!(ran.refusal().contains("HTTP 403") && ran.refusal().contains("forbidden"), "{}", ran.log);
    assert_eq!(keystores(&host.path("signer")), 0);
    let allowed = host.sidecar_over_tcp(true);
    let first = host.run(&allowed).identity();
    judge(&first);
    // The sidecar that makes no keys for clients on TCP signs for them.
    let second = host.run(&sidecar).identity();
    assert_eq!(keys(&second), keys(&first));
    judge(&second);
}

#[test]
fn a_node_that_launches_the_sidecar_as_the_document_says_initialises_and_stops_it() {
    let Some(host) = Host::new("a_node_that_launches_the_sidecar") else { return };
    let socket = host.path("launched.sock");
    let socket = socket.to_str().expect("UTF-8");
    let flags = ["--cryfttee-binary", node::PROGRAM, "--cryfttee-socket", socket, "--web3signer-url", &host.signer.url];
    for action in ["generate", "use"] {
        let ran = host.run_node(flags.into_iter());
        for complaint in ["re-verification failed", "ended badly", "stop cryfttee:"] {
            assert!(!ran.log.contains(complaint), "{}", ran.log);
        }
        let identity = ran.identity();
        assert_eq!(identity["attestation"]["core_binary_hash"], node::measured());
        assert_eq!(actions(&identity), [action; 2]);
        judge(&identity);
        assert!(!Path::new(socket).exists(), "it was told to stop and tidied up");
    }
}

use super::*;

const KEY: &str = "RWT2lD1yhgJ3d6PRmY4UkOf/1HQN2jx9szgS/W086IWBFe3fIATV9xyz";
const GOOD: &str = "sha256:0101010101010101010101010101010101010101010101010101010101010101";
/// 2026-11-22T19:12:00Z.
const NOW: u64 = 1_795_374_720;

fn settings() -> TrustSettings {
    TrustSettings { keys: vec![KEY.parse().expect("a key")], threshold: 1, ..TrustSettings::default() }
}

fn signed() -> Vec<Examined> {
    vec![Examined { path: "m.minisig".into(), outcome: Ok(KEY.to_owned()) }]
}

fn text(version: u64, expires: &str, revoked: &str) -> String {
    format!(
        "{{\"version\":{version},\"expires\":\"{expires}\",\
         \"releases\":[{{\"version\":\"0.4.0\",\"hash\":\"{GOOD}\"}}],\"revoked\":[{revoked}]}}"
    )
}

fn good() -> String {
    text(7, "2027-01-01T00:00:00Z", "")
}

/// The first fault, if there is one.
fn fault(text: &str, settings: &TrustSettings, floor: Floor, now: u64) -> Option<ManifestFault> {
    let (checks, _) = judge(text.as_bytes(), signed(), settings, floor, now);
    checks.into_iter().find_map(|check| check.outcome.err())
}

#[test]
fn a_good_manifest_passes_every_check() {
    let (checks, manifest) = judge(good().as_bytes(), signed(), &settings(), Floor::default(), NOW);
    assert!(checks.iter().all(|check| check.outcome.is_ok()), "{checks:?}");
    assert_eq!(checks.len(), 6);
    assert_eq!(manifest.expect("parsed").version, 7);
}

#[test]
fn without_enough_signers_it_is_not_even_parsed() {
    for examined in
        [Vec::new(), vec![Examined { path: "m.minisig".into(), outcome: Err(signature::NoCount::NotASignature) }]]
    {
        let (checks, manifest) = judge(b"\xff not JSON", examined, &settings(), Floor::default(), NOW);
        assert!(matches!(checks[..], [Check { outcome: Err(ManifestFault::TooFewSigners { signers: 0, .. }), .. }]));
        assert!(manifest.is_none());
    }
}

#[test]
fn one_key_that_signed_twice_or_stands_in_the_list_twice_counts_once() {
    let key: signature::TrustedKey = KEY.parse().expect("a key");
    let twice = TrustSettings { keys: vec![key.clone(), key], threshold: 2, ..TrustSettings::default() };
    let examined = [signed(), signed()].concat();
    let (checks, _) = judge(good().as_bytes(), examined, &twice, Floor::default(), NOW);
    assert!(matches!(checks[0].outcome, Err(ManifestFault::TooFewSigners { signers: 1, threshold: 2, .. })));
}

#[test]
fn a_manifest_expires_on_the_second_and_the_last_known_time_is_the_floor() {
    let expires = clock::parse_utc("2027-01-01T00:00:00Z").expect("a time");
    assert_eq!(fault(&good(), &settings(), Floor::default(), expires - 1), None);
    assert!(matches!(fault(&good(), &settings(), Floor::default(), expires), Some(ManifestFault::Expired { .. })));
    for wrong in ["2027-01-01", "2027-02-30T00:00:00Z", "never", ""] {
        assert!(matches!(
            fault(&text(7, wrong, ""), &settings(), Floor::default(), NOW),
            Some(ManifestFault::Expires(_))
        ));
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_revive_an_expired_manifest() {
    let folder = tempfile::tempdir().expect("folder");
    let floor = Floor { manifest_version: 7, last_known_time: u64::MAX / 2 };
    floor.save(folder.path()).expect("saved");
    let path = folder.path().join("manifest.json");
    std::fs::write(&path, good()).expect("written");
    // Unsigned, so it is refused earlier; the time that is used is what this is about.
    let loaded = Floor::load(folder.path()).expect("loaded");
    assert_eq!(loaded, floor);
    assert!(matches!(
        fault(&good(), &settings(), loaded, clock::now().max(loaded.last_known_time)),
        Some(ManifestFault::Expired { .. })
    ));
    assert!(read(&path, &settings(), loaded).is_err());
}

#[test]
fn an_older_version_than_was_believed_is_a_rollback_and_the_same_one_is_not() {
    let floor = |manifest_version| Floor { manifest_version, last_known_time: 0 };
    assert_eq!(fault(&good(), &settings(), floor(7), NOW), None);
    assert_eq!(fault(&good(), &settings(), floor(8), NOW), Some(ManifestFault::RolledBack { found: 7, seen: 8 }));
}

#[test]
fn a_release_that_is_also_revoked_is_a_contradiction() {
    let both = text(7, "2027-01-01T00:00:00Z", &format!("\"{GOOD}\""));
    assert!(matches!(fault(&both, &settings(), Floor::default(), NOW), Some(ManifestFault::Contradiction(_))));
}

#[test]
fn a_version_that_is_asked_for_must_be_listed() {
    let wanting = |version: &str| TrustSettings { version: Some(version.to_owned()), ..settings() };
    assert_eq!(fault(&good(), &wanting("0.4.0"), Floor::default(), NOW), None);
    assert!(matches!(
        fault(&good(), &wanting("0.5.0"), Floor::default(), NOW),
        Some(ManifestFault::UnknownVersion { .. })
    ));
}

#[test]
fn what_has_more_than_one_reading_or_an_unknown_member_is_no_manifest() {
    let nested = format!("{{\"version\":{}", "[".repeat(100_000));
    for wrong in [
        good().replacen("\"version\":7", "\"version\":7,\"version\":8", 1),
        good().replacen("\"version\":7", "\"version\":7,\"extra\":0", 1),
        good().replacen("\"version\":7", "\"version\":-7", 1),
        good().replacen("\"version\":7", "\"version\":\"7\"", 1),
        good().replace("sha256:", "SHA256:"),
        good().replacen("\"hash\"", "\"hash\":\"x\",\"hash\"", 1),
        format!("{}{}", good(), good()),
        nested,
        String::new(),
    ] {
        let found = fault(&wrong, &settings(), Floor::default(), NOW);
        assert!(matches!(found, Some(ManifestFault::Shape(_))), "{}: {found:?}", &wrong[..wrong.len().min(80)]);
    }
}

#[test]
fn a_hundred_megabytes_are_refused_without_being_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("manifest.json");
    File::create(&path).expect("file").set_len(100 * 1024 * 1024).expect("sparse");
    let error = read(&path, &settings(), Floor::default()).expect_err("refused");
    assert!(matches!(error, ManifestError::Read { source, .. } if source.kind() == io::ErrorKind::FileTooLarge));
}

#[test]
fn a_damaged_memory_of_what_was_believed_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    for damage in ["", "{}", "{\"manifest_version\":1}", "x"] {
        std::fs::write(folder.path().join(FLOOR), damage).expect("written");
        assert!(matches!(Floor::load(folder.path()), Err(ManifestError::DamagedFloor { .. })), "{damage}");
    }
}

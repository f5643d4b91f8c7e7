//! What every error of every stage means: exit code and lock. The table is complete: it is held to the source.

mod samples;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use contract::exit::{CONFIG, CRASH_BUDGET, DATA, INTEGRITY, INTERNAL, IO, OS, UNAVAILABLE};
use contract::{BlsPublicKey, NodeId};

use samples::{DIGEST, launch, measure, no_answer, path, sidecar, source, text, unsafe_path};

use super::super::reload::ReloadError;
use super::Error;
use crate::appraise::manifest::{ManifestError, ManifestFault};
use crate::appraise::{ReferenceError, Refusal};
use crate::attest::{AttestError, Discrepancy};
use crate::config::{ConfigError, RestartBudget};
use crate::fault::Fault as _;
use crate::identity::possession::NotPossessed;
use crate::identity::{Contradiction, IdentityError, KeyFault, Misconfigured, Publication, SignerFault, StoreError};
use crate::launch::LaunchError;
use crate::launch::sockets::SocketError;
use crate::lifecycle::{Event as Life, IllegalTransition, State};
use crate::lock::LockError;
use crate::measure::MeasureError;
use crate::measure::mappings::LibraryError;
use crate::notify::NotifyError;
use crate::sidecar::{Forged, SidecarError};
use crate::sys::{SpawnError, Step};
use crate::tpm::TpmError;
use crate::watch::{Finding, MappingFinding, ProcessFinding, RestartLog};

const LOCKS: bool = true;
const SLIP: bool = false;

type Row<E> = (E, u8, bool);

/// Holds each row to what the whole service makes of it, and the rows to the variants that the source has.
fn holds<E: Debug>(source: &str, name: &str, rows: Vec<Row<E>>, top: impl Fn(E) -> Error) {
    let mut seen = BTreeSet::new();
    for (error, exit_code, locks) in rows {
        let shown = format!("{name}::{error:?}");
        seen.insert(variant_of(&format!("{error:?}")));
        let error = top(error);
        assert_eq!((error.exit_code(), error.is_tampering()), (exit_code, locks), "{shown} as {error:?}");
        assert_eq!(error.may_pass(), exit_code == UNAVAILABLE, "{shown}");
        assert_eq!(error.may_be_absence(), would_an_end_explain(&format!("{error:?}")), "{shown}");
    }
    assert_eq!(seen, variants(source, name), "{name}: a variant has no row here, or a row has no variant");
}

/// What a look at a process that is gone ends with, at a start and while it is watched.
fn would_an_end_explain(error: &str) -> bool {
    let look = error.strip_prefix("Launch(").or_else(|| error.strip_prefix("Watch(Process(Image("));
    look.is_some_and(|look| ["Measure", "ReadSeals", "ReadStatus"].contains(&variant_of(look).as_str()))
        || ["Watch(Process(Identify(", "Watch(Process(ReadMappings "].iter().any(|begin| error.starts_with(begin))
}

fn variant_of(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// As rustfmt writes an enum: each variant begins a line, four spaces in.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).expect("the enum");
    let (body, _) = rest.split_once("\n}\n").expect("its end");
    let begins = |line: &&str| line.strip_prefix("    ").is_some_and(|rest| rest.starts_with(char::is_uppercase));
    body.lines().filter(begins).map(|line| variant_of(line.trim_start())).collect()
}

#[test]
fn each_error_of_the_configuration_and_the_sockets_means_what_it_meant() {
    let (key, origin, reason) = ("state_dir", text(), text());
    let rows = vec![
        (ConfigError::Read { path: path(), source: source() }, CONFIG, SLIP),
        (ConfigError::Syntax { path: path(), reason: text() }, CONFIG, SLIP),
        (ConfigError::UnknownKey { path: path(), key: text(), hint: text() }, CONFIG, SLIP),
        (ConfigError::UnknownVariable { name: text(), hint: text() }, CONFIG, SLIP),
        (ConfigError::NotPassedOn { name: "X", key }, CONFIG, SLIP),
        (ConfigError::NotText { name: text() }, CONFIG, SLIP),
        (ConfigError::Value { key, origin, reason }, CONFIG, SLIP),
    ];
    holds(include_str!("../../config.rs"), "ConfigError", rows, Error::from);
    let rows = vec![
        (SocketError::None, CONFIG, SLIP),
        (SocketError::Count(2), CONFIG, SLIP),
        (SocketError::NotStream { kind: "uds", source: source() }, CONFIG, SLIP),
        (SocketError::NotListening, CONFIG, SLIP),
        (SocketError::ShutDown, UNAVAILABLE, SLIP),
        (SocketError::Inspect(source()), IO, SLIP),
        (SocketError::Tcp { addr: ([127, 0, 0, 1], 1).into(), source: source() }, IO, SLIP),
        (SocketError::Folder { path: path(), source: source() }, IO, SLIP),
        (SocketError::OpenFolder { path: path() }, CONFIG, SLIP),
        (SocketError::OpenSocket { path: path() }, CONFIG, SLIP),
        (SocketError::Control { path: path(), source: source() }, IO, SLIP),
    ];
    holds(include_str!("../../launch/sockets.rs"), "SocketError", rows, Error::from);
}

#[test]
fn each_error_of_measuring_and_launching_means_what_it_meant() {
    let path_source = include_str!("../../measure/path.rs");
    holds(path_source, "UnsafePath", unsafe_path(), |error| MeasureError::from(error).into());
    holds(path_source, "UnsafePath", unsafe_path(), |error| LaunchError::from(MeasureError::from(error)).into());
    let measure_source = include_str!("../../measure.rs");
    holds(measure_source, "MeasureError", measure(), Error::from);
    holds(measure_source, "MeasureError", measure(), |error| LaunchError::from(error).into());
    let not_allowed = |source| LaunchError::NotAllowed { pid: 1, source }.into();
    let rows = measure().into_iter().map(|(error, ..)| (error, CONFIG, SLIP)).collect();
    holds(measure_source, "MeasureError", rows, not_allowed);
    holds(include_str!("../../launch.rs"), "LaunchError", launch(false), Error::from);
    let rows = vec![
        (SpawnError::Prepare(source()), OS, SLIP),
        (SpawnError::Fork(source()), OS, SLIP),
        (SpawnError::Child(Step::SetUid, source()), OS, SLIP),
        (SpawnError::Vanished, OS, SLIP),
    ];
    holds(include_str!("../../sys/spawn.rs"), "SpawnError", rows, |error| LaunchError::from(error).into());
}

#[test]
fn each_error_of_the_appraisal_and_the_lock_means_what_it_meant() {
    let read = |kind: io::ErrorKind| ReferenceError::Read { path: path(), source: kind.into() };
    let rows = vec![
        (ReferenceError::List { path: path(), source: source() }, IO, SLIP),
        (ReferenceError::Manifest(ManifestError::Read { path: path(), source: source() }), IO, SLIP),
        (ReferenceError::Signatures { path: path(), source: source() }, IO, SLIP),
        (ReferenceError::Unsafe { path: path(), why: text() }, INTEGRITY, SLIP),
        (read(io::ErrorKind::NotFound), IO, SLIP),
        (read(io::ErrorKind::InvalidData), DATA, SLIP),
        (read(io::ErrorKind::FileTooLarge), DATA, SLIP),
        (ReferenceError::Line { path: path(), line: 1, found: text() }, DATA, SLIP),
    ];
    holds(include_str!("../../appraise/reference.rs"), "ReferenceError", rows, Error::from);
    let refused = ManifestError::Refused { path: path(), source: ManifestFault::Shape(text()) };
    let rows = vec![
        (ManifestError::Read { path: path(), source: source() }, IO, SLIP),
        (ManifestError::ReadFloor { path: path(), source: source() }, IO, SLIP),
        (ManifestError::DamagedFloor { path: path(), reason: text() }, DATA, SLIP),
        (ManifestError::WriteFloor { path: path(), source: source() }, IO, SLIP),
        (refused, INTEGRITY, SLIP),
    ];
    let top = |error| ReferenceError::from(error).into();
    holds(include_str!("../../appraise/manifest.rs"), "ManifestError", rows, top);
    let rows = vec![
        (Refusal::NoReference { measured: DIGEST }, INTEGRITY, SLIP),
        (Refusal::Revoked { measured: DIGEST }, INTEGRITY, SLIP),
        (Refusal::BrokenSignature { measured: DIGEST, signature: path() }, INTEGRITY, LOCKS),
        (Refusal::NoProgram { reason: text() }, INTEGRITY, LOCKS),
        (Refusal::Unknown { measured: DIGEST, known: Vec::new() }, INTEGRITY, LOCKS),
    ];
    holds(include_str!("../../appraise.rs"), "Refusal", rows, Error::from);
    let rows = vec![
        (LockError::Locked { found: text() }, INTEGRITY, SLIP),
        (LockError::Read { path: path(), source: source() }, INTEGRITY, SLIP),
        (LockError::Write { path: path(), source: source() }, INTEGRITY, SLIP),
        (LockError::Remove { path: path(), source: source() }, INTEGRITY, SLIP),
    ];
    holds(include_str!("../../lock.rs"), "LockError", rows, Error::from);
}

#[test]
fn each_error_of_the_attestation_means_what_it_meant() {
    let sidecar_source = include_str!("../../sidecar/error.rs");
    holds(sidecar_source, "SidecarError", sidecar(), Error::from);
    // Evidence that cannot be read is evidence that does not match.
    let asked = |(error, exit_code, locks): Row<SidecarError>| match error {
        SidecarError::Shape { .. } => (error, INTEGRITY, locks),
        error => (error, exit_code, locks),
    };
    let rows = sidecar().into_iter().map(asked).collect();
    holds(sidecar_source, "SidecarError", rows, |error| AttestError::from(error).into());
    let attest_source = include_str!("../../attest.rs");
    let rows = vec![
        (AttestError::Nonce(source()), OS, SLIP),
        (AttestError::Ask(no_answer()), UNAVAILABLE, SLIP),
        (AttestError::Refused(Discrepancy::Nonce), INTEGRITY, SLIP),
    ];
    holds(attest_source, "AttestError", rows, Error::from);
    let rows = vec![
        (Discrepancy::Digest { reported: DIGEST, measured: DIGEST }, INTEGRITY, LOCKS),
        (Discrepancy::SelfReported, INTEGRITY, SLIP),
        (Discrepancy::Nonce, INTEGRITY, SLIP),
        (Discrepancy::Pid { reported: 1, launched: 2 }, INTEGRITY, LOCKS),
    ];
    holds(attest_source, "Discrepancy", rows, |error| AttestError::from(error).into());
}

#[test]
fn each_error_of_the_identity_means_what_it_meant() {
    let sidecar_source = include_str!("../../sidecar/error.rs");
    let generate = |source| IdentityError::Generate { kind: "BLS", source }.into();
    holds(sidecar_source, "SidecarError", sidecar(), generate);
    holds(sidecar_source, "SidecarError", sidecar(), |error| IdentityError::Prove(error).into());
    let key = BlsPublicKey::from_bytes([0x80; 48]).expect("the form of a key");
    let not_published = Publication::open(Some(Path::new("/dev/null/x"))).expect_err("no folder");
    let rows = vec![
        (IdentityError::Generate { kind: "BLS", source: no_answer() }, UNAVAILABLE, SLIP),
        (IdentityError::Store(StoreError::InUse { path: path() }), CONFIG, SLIP),
        (IdentityError::Prove(no_answer()), UNAVAILABLE, SLIP),
        (IdentityError::Possession { key, source: NotPossessed::Wrong }, INTEGRITY, SLIP),
        (IdentityError::Publish(not_published), IO, SLIP),
    ];
    holds(include_str!("../../identity.rs"), "IdentityError", rows, Error::from);
    let rows = vec![
        (StoreError::Folder { path: path(), source: source() }, IO, SLIP),
        (StoreError::InUse { path: path() }, CONFIG, SLIP),
        (StoreError::Lock { path: path(), source: source() }, IO, SLIP),
        (StoreError::Read { path: path(), source: source() }, IO, SLIP),
        (StoreError::Damaged { path: path(), reason: text() }, DATA, SLIP),
        (StoreError::Contradiction { path: path(), other: path() }, DATA, SLIP),
        (StoreError::Write { path: path(), source: source() }, IO, SLIP),
    ];
    let top = |error| IdentityError::from(error).into();
    holds(include_str!("../../identity/store.rs"), "StoreError", rows, top);
}

#[test]
fn each_fault_of_the_signer_means_the_same_at_once_and_after_a_wait() {
    let identity_source = include_str!("../../identity/fault.rs");
    let lost = || KeyFault::Lost { wanted: text() };
    let contradiction = || Contradiction { setting: "x", chosen: text(), saved: text() };
    let fault = |source| SignerFault::Key { report: text(), kind: "BLS", source };
    let faults = || {
        vec![
            (SignerFault::Away { report: text() }, UNAVAILABLE, SLIP),
            (SignerFault::Unhealthy { report: text() }, UNAVAILABLE, SLIP),
            (SignerFault::NoKey { report: text(), kind: "BLS", why: "x" }, UNAVAILABLE, SLIP),
            (fault(lost()), UNAVAILABLE, SLIP),
            (SignerFault::Incapable { missing: text() }, UNAVAILABLE, SLIP),
            (Misconfigured::OnlyEth1 { url: text() }.into(), CONFIG, SLIP),
            (contradiction().into(), CONFIG, SLIP),
        ]
    };
    let keys = || {
        vec![(lost(), UNAVAILABLE, SLIP), (KeyFault::Mismatch { wanted: text(), available: text() }, INTEGRITY, SLIP)]
    };
    let misconfigured = || {
        vec![
            (Misconfigured::Swapped { eth2: text(), eth1: text() }, CONFIG, SLIP),
            (Misconfigured::Eth1AsEth2 { url: text() }, CONFIG, SLIP),
            (Misconfigured::Eth2AsEth1 { url: text() }, CONFIG, SLIP),
            (Misconfigured::OnlyEth2 { url: text() }, CONFIG, SLIP),
            (Misconfigured::OnlyEth1 { url: text() }, CONFIG, SLIP),
            (Misconfigured::NoKeyManager { url: text() }, CONFIG, SLIP),
        ]
    };
    for top in [Error::from, |source| Error::Waited { within: Duration::ZERO, source }] {
        holds(identity_source, "SignerFault", faults(), top);
        holds(identity_source, "KeyFault", keys(), |source| top(fault(source)));
        holds(identity_source, "Misconfigured", misconfigured(), |source| top(source.into()));
    }
}

#[test]
fn only_a_wait_for_what_may_still_come_was_in_vain() {
    let waited = |source| Error::Waited { within: Duration::ZERO, source };
    let away = || SignerFault::Away { report: text() };
    assert!(waited(away()).waited_in_vain());
    let swapped = Misconfigured::Swapped { eth2: text(), eth1: text() };
    assert!(!waited(swapped.into()).waited_in_vain(), "no wait mends it");
    assert!(!Error::from(away()).waited_in_vain(), "nobody waited");
    assert!(!Error::from(no_answer()).waited_in_vain(), "the sidecar is away, not the signer");
}

#[test]
fn each_finding_of_the_watch_means_what_it_meant() {
    let rows = vec![
        (Finding::Process(ProcessFinding::OtherFile), INTEGRITY, LOCKS),
        (Finding::Forged(SidecarError::Forged { call: text(), source: Forged::Anonymous }), INTEGRITY, LOCKS),
        (Finding::SocketShutDown, UNAVAILABLE, SLIP),
        (Finding::LookAtSocket(source()), OS, SLIP),
        (Finding::NoThread(source()), OS, SLIP),
        (Finding::TooSlow(Duration::ZERO), OS, SLIP),
    ];
    holds(include_str!("../../watch/finding.rs"), "Finding", rows, Error::from);
    let process_source = include_str!("../../watch/process.rs");
    let rows = vec![
        (ProcessFinding::Image(LaunchError::Unsealed), INTEGRITY, LOCKS),
        (ProcessFinding::OtherFile, INTEGRITY, LOCKS),
        (ProcessFinding::ExecutedAnew { pid: 1 }, INTEGRITY, LOCKS),
        (ProcessFinding::Headless { pid: 1 }, INTEGRITY, LOCKS),
        (ProcessFinding::Identify(source()), OS, SLIP),
        (ProcessFinding::ReadMappings { pid: 1, source: source() }, OS, SLIP),
        (ProcessFinding::Mapping(MappingFinding::TooMany), INTEGRITY, LOCKS),
        (ProcessFinding::Outdated { path: path() }, UNAVAILABLE, SLIP),
        (ProcessFinding::MeasureLibrary { path: path(), source: source() }, IO, SLIP),
    ];
    holds(process_source, "ProcessFinding", rows, |finding| Finding::from(finding).into());
    let image = |error| Finding::from(ProcessFinding::from(error)).into();
    holds(include_str!("../../launch.rs"), "LaunchError", launch(true), image);
    let measured = |error| Finding::from(ProcessFinding::from(LaunchError::from(error))).into();
    holds(include_str!("../../measure.rs"), "MeasureError", measure(), measured);
    let source = LibraryError::Replaced { path: path() };
    let rows = vec![
        (MappingFinding::Anonymous { range: text() }, INTEGRITY, LOCKS),
        (MappingFinding::Writable { range: text() }, INTEGRITY, LOCKS),
        (MappingFinding::TooMany, INTEGRITY, LOCKS),
        (MappingFinding::Forked { pid: 1, name: text() }, INTEGRITY, LOCKS),
        (MappingFinding::Patched { path: path(), kib: 4 }, INTEGRITY, LOCKS),
        (MappingFinding::LibraryChanged { path: path(), expected: DIGEST, found: DIGEST }, INTEGRITY, LOCKS),
        (MappingFinding::Unaccounted { path: path(), source }, INTEGRITY, LOCKS),
        (MappingFinding::UnknownLibrary { path: path(), digest: DIGEST }, INTEGRITY, LOCKS),
    ];
    let mapping = |finding| Finding::from(ProcessFinding::from(finding)).into();
    holds(process_source, "MappingFinding", rows, mapping);
}

#[test]
fn each_error_of_the_service_itself_means_what_it_meant() {
    let id: NodeId = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2".parse().expect("a node ID");
    let rows = vec![
        (ReloadError::NeedsRestart("state_dir"), CONFIG, SLIP),
        (ReloadError::Ungated, CONFIG, SLIP),
        (ReloadError::OtherIdentity { expected: id, found: id }, INTEGRITY, SLIP),
    ];
    holds(include_str!("../reload.rs"), "ReloadError", rows, Error::from);
    let rows = vec![
        (TpmError::Open { device: path(), source: source() }, IO, SLIP),
        (TpmError::NoDevice(path()), IO, SLIP),
        (TpmError::Exchange(source()), IO, SLIP),
        (TpmError::Late("x"), IO, SLIP),
        (TpmError::Refused { command: "x", why: text() }, IO, SLIP),
        (TpmError::Malformed("x"), IO, SLIP),
        (TpmError::NoBank, IO, SLIP),
        (TpmError::NotExtended(13), IO, SLIP),
        (TpmError::Log { path: path(), source: source() }, IO, SLIP),
        (TpmError::Absent(path()), IO, SLIP),
        (TpmError::Thread(source()), IO, SLIP),
    ];
    holds(include_str!("../../tpm.rs"), "TpmError", rows, Error::from);
    let illegal = IllegalTransition { state: State::Idle, event: Life::Measured };
    let budget = RestartBudget { max: 0, within: Duration::from_secs(1) };
    let waited = Error::Waited { within: Duration::ZERO, source: SignerFault::Away { report: text() } };
    let over = RestartLog::new(budget).crashed(Instant::now(), "x").expect_err("none is allowed");
    let rows = vec![
        (ConfigError::NotText { name: text() }.into(), CONFIG, SLIP),
        (SocketError::None.into(), CONFIG, SLIP),
        (MeasureError::Empty { path: path() }.into(), INTEGRITY, SLIP),
        (ReferenceError::Line { path: path(), line: 1, found: text() }.into(), DATA, SLIP),
        (LockError::Locked { found: text() }.into(), INTEGRITY, SLIP),
        (Refusal::Revoked { measured: DIGEST }.into(), INTEGRITY, SLIP),
        (TpmError::NoBank.into(), IO, SLIP),
        (LaunchError::Unsealed.into(), INTEGRITY, LOCKS),
        (no_answer().into(), UNAVAILABLE, SLIP),
        (AttestError::Nonce(source()).into(), OS, SLIP),
        (SignerFault::Away { report: text() }.into(), UNAVAILABLE, SLIP),
        (waited, UNAVAILABLE, SLIP),
        (IdentityError::Prove(no_answer()).into(), UNAVAILABLE, SLIP),
        (Finding::SocketShutDown.into(), UNAVAILABLE, SLIP),
        (ReloadError::Ungated.into(), CONFIG, SLIP),
        (illegal.into(), INTERNAL, SLIP),
        (over.into(), CRASH_BUDGET, SLIP),
        (NotifyError(source()).into(), IO, SLIP),
        (Error::Audit(source()), IO, SLIP),
        (Error::Thread(source()), OS, SLIP),
        (Error::Signals(source()), OS, SLIP),
    ];
    holds(include_str!("../error.rs"), "Error", rows, |error| error);
}

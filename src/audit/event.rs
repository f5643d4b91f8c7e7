//! The events, their sentences, their ids and their fields.

mod fields;

use std::path::PathBuf;
use std::time::Duration;

use contract::{Digest, NodeId};

use super::chain::Hash;

/// How much an event matters; the numbers are syslog's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody must act now.
    Critical = 2,
    /// Something failed.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// A step of the life of the service.
    Notice = 5,
}

/// Why a key that the signer lists became the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// It is the only one.
    TheOnly,
    /// The configuration names it.
    Chosen,
    /// It is the first in ascending order.
    First {
        /// How many others there are.
        others: usize,
        /// The first few of them.
        rest: String,
    },
}

/// Everything that the trail can say.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the sentence of each is in message(), its fields in fields()")]
pub enum Event {
    SignerDisabled,
    Measured { path: PathBuf, digest: Digest, size: u64, took: Duration, sealed: bool },
    PathUnchecked { path: PathBuf },
    Appraised { digest: Digest, reference: String },
    Unreferenced { digest: Digest, enforced: bool },
    TpmExtended { digest: Digest, pcr: u8, value: Digest, unaccounted: Option<&'static str> },
    TpmFailed { device: PathBuf, why: String },
    Launched { pid: u32, digest: Digest, user: Option<String> },
    SharedUser { pid: u32 },
    Ungated { pid: u32 },
    Remeasured { pid: u32, digest: Digest },
    Attested { pid: u32, digest: Digest, version: String },
    WaitingForSigner { url: String, why: String },
    EventsLost { count: u64 },
    EventsDelayed { count: u64, longest: Duration },
    TrailOpened { after: u64, clean: bool, settled: u64, new: Option<String> },
    TrailClosed,
    Checkpoint { seq: u64, hash: Hash, time: String, signature: String, pubkey: String },
    CheckpointFailed { seq: u64, why: String },
    SignerReady { url: String, bls_keys: usize, tls_keys: usize },
    KeyGenerated { kind: &'static str, pubkey: String },
    KeyAdopted { kind: &'static str, pubkey: String, how: Adopted },
    KeyKnown { kind: &'static str, pubkey: String },
    Possession { pubkey: String, proved: bool },
    Ready { node_id: NodeId, digest: Digest, pid: u32 },
    SidecarEnded { pid: u32, how: String },
    Restarting { attempt: u32, after: Duration },
    Stopping,
    Stopped { how: String },
    Locked { reason: String },
    LockFailed { reason: String },
    Unlocked { reason: String, finding: String },
    Refused { step: &'static str, reason: String, exit_code: u8 },
    LibraryMapped { pid: u32, path: PathBuf, digest: Digest },
    LibraryReplaced { path: PathBuf },
    VerifiedAgain { digest: Digest },
    UpgradeStaged { digest: Digest, reference: String },
    TamperPending { digest: Digest, running: Digest, why: String },
    ReferenceWithdrawn { digest: Digest, why: String },
    DiskUnusable { path: PathBuf, why: String },
    Mounted { path: PathBuf, mounts: Vec<String> },
    Finding { pid: u32, what: String, action: Action },
    Quarantined { folder: PathBuf },
    QuarantineFailed { reason: String },
    Degraded { why: String },
    Recovered,
    SidecarHung { pid: u32, why: String },
    ReloadAsked,
    Reloaded { digest: Digest, what: String },
    ReloadRefused { step: &'static str, reason: String },
    Drained { pid: u32, how: String },
    ClientDenied { count: u64, asked: String, uid: Option<u32> },
}

/// What follows a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The sidecar is killed.
    Kill,
    /// The sidecar is killed and started again: the host was upgraded under it.
    Restart,
    /// It is told and nothing else: `on_mismatch = "alert"`.
    Alert,
    /// It is told and nothing else: `watch.mappings = "report"`.
    Report,
}

impl Action {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Alert => "alert",
            Self::Report => "report",
        }
    }
}

impl Event {
    /// One sentence for people.
    pub fn message(&self) -> String {
        match self {
            Self::SignerDisabled => "The signer is disabled (cryfttee.signer); nothing is started".to_owned(),
            Self::Measured { path, digest, size, took, sealed } => format!(
                "Measured {}: {digest} ({size} bytes in {} ms{})",
                path.display(),
                took.as_millis(),
                if *sealed { ", sealed copy" } else { ", the file itself: launch.image = \"fd\"" }
            ),
            Self::PathUnchecked { path } => {
                format!("Who else could write to {} was not checked: launch.check_path = false", path.display())
            }
            Self::Appraised { digest, reference } => format!("Accepted {digest} by {reference}"),
            Self::Unreferenced { digest, enforced: true } => format!(
                "Accepted {digest} without a reference value: there is none. Pin it in pins.d, so that another binary is refused"
            ),
            Self::Unreferenced { digest, enforced: false } => {
                format!("Accepted {digest} although no reference value names it: trust.require = \"never\"")
            }
            Self::TpmExtended { digest, pcr, value, unaccounted } => {
                let why = unaccounted.map_or_else(String::new, |why| format!("; {why}"));
                format!("Extended PCR {pcr} of the TPM with {digest}: it has {value} now{why}")
            }
            Self::TpmFailed { device, why } => {
                format!("The TPM {} is not used: {why}; tpm.mode = \"auto\" goes on without", device.display())
            }
            Self::Launched { pid, digest, user } => {
                let user = user.as_ref().map_or_else(String::new, |user| format!(" as {user}"));
                format!("Launched the sidecar{user}, pid {pid}, image {digest}")
            }
            Self::SharedUser { pid } => format!(
                "The sidecar, pid {pid}, has the verifier's own user and could interfere with it: set launch.user"
            ),
            Self::Ungated { pid } => {
                format!("The sidecar, pid {pid}, may answer clients before it is attested: handoff = \"inherit-plain\"")
            }
            Self::Remeasured { pid, digest } => format!("The image that pid {pid} runs is {digest}, as appraised"),
            Self::Attested { pid, digest, version } => format!("Attested: cryfttee {version}, pid {pid}, {digest}"),
            Self::WaitingForSigner { why, .. } => format!("Waiting for Web3Signer: {why}"),
            Self::EventsLost { count } => {
                format!("{count} audit events before this one could not be delivered and are lost")
            }
            Self::EventsDelayed { count, longest } => format!(
                "{count} audit events before this one waited for journald, the longest {} s; each says when it happened",
                longest.as_secs()
            ),
            Self::TrailOpened { new: Some(why), .. } => format!("The audit trail begins: {why}"),
            Self::TrailOpened { after, clean: true, .. } => format!("The audit trail goes on after entry {after}"),
            Self::TrailOpened { after, clean: false, .. } => {
                format!("The audit trail goes on after entry {after}; the run before this one did not close it")
            }
            Self::TrailClosed => "The audit trail is closed until the next start".to_owned(),
            Self::Checkpoint { seq, hash, time, pubkey, .. } => {
                format!(
                    "Checkpoint: entry {seq} of the audit trail has the hash {hash} at {time}, signed with {pubkey}"
                )
            }
            Self::ClientDenied { count, asked, uid } => {
                let last = uid.map_or_else(|| "a client without one".to_owned(), |uid| format!("user id {uid}"));
                format!("The sidecar denied {count} requests of clients ({asked}), the last to {last}")
            }
            Self::CheckpointFailed { seq, why } => {
                format!("The audit trail up to entry {seq} could not be signed, and goes on unsigned: {why}")
            }
            Self::SignerReady { url, bls_keys, tls_keys } => {
                format!("The signer is ready: {url}, BLS keys: {bls_keys}, TLS keys: {tls_keys}")
            }
            Self::KeyGenerated { kind, pubkey } => format!("{kind} key generated: {pubkey}"),
            Self::KeyAdopted { kind, pubkey, how: Adopted::TheOnly } => {
                format!("{kind} key adopted from the signer: {pubkey}")
            }
            Self::KeyAdopted { kind, pubkey, how: Adopted::Chosen } => {
                format!("{kind} key adopted from the signer, as configured: {pubkey}")
            }
            Self::KeyAdopted { kind, pubkey, how: Adopted::First { others, rest } } => format!(
                "{kind} key adopted from the signer: {pubkey}, the first in ascending order; it also lists {others} more: \
                 {rest}. identity.bls_pubkey and identity.tls_pubkey decide which is the node's"
            ),
            Self::KeyKnown { kind, pubkey } => format!("{kind} key as saved: {pubkey}"),
            Self::Possession { pubkey, proved: true } => format!("The signer proved that it possesses {pubkey}"),
            Self::Possession { pubkey, proved: false } => {
                format!("The signer offers no proof that it possesses {pubkey}; it is taken at its word")
            }
            Self::Ready { node_id, digest, pid } => format!("Ready: {node_id}, cryfttee pid {pid}, {digest}"),
            Self::SidecarEnded { pid, how } => format!("The sidecar, pid {pid}, ended by itself: {how}"),
            Self::Restarting { attempt, after } => {
                format!("Starting the sidecar again, attempt {attempt}, after {} ms", after.as_millis())
            }
            Self::Stopping => "Stopping the sidecar".to_owned(),
            Self::Stopped { how } => format!("Stopped; the sidecar ended with {how}"),
            Self::Locked { reason } => {
                format!("Locked until an operator clears it with cryftgo-tee unlock --reason \"…\": {reason}")
            }
            Self::LockFailed { reason } => format!("The lock could not be set: {reason}"),
            Self::Unlocked { reason, finding } => format!("Unlocked: {reason} (it was locked because {finding})"),
            Self::Refused { step, reason, exit_code } => format!("Refused at step {step}: {reason} (exit {exit_code})"),
            Self::LibraryMapped { pid, path, digest } => {
                format!("Pid {pid} executes {} too: {digest}", path.display())
            }
            Self::LibraryReplaced { path } => format!(
                "{} was replaced on disk; the sidecar goes on with the old one until it is started again",
                path.display()
            ),
            Self::VerifiedAgain { digest } => {
                format!("Verified again: the file on disk is the image that runs, {digest}")
            }
            Self::UpgradeStaged { digest, reference } => format!(
                "Upgrade staged: {digest} on disk, accepted by {reference}; systemctl reload cryftgo-tee takes it"
            ),
            Self::TamperPending { digest, why, .. } => {
                format!("Tamper pending: {digest} on disk would be refused, while the appraised image runs on: {why}")
            }
            Self::ReferenceWithdrawn { why, .. } => {
                format!("The image that runs would be refused at its next start: {why}")
            }
            Self::DiskUnusable { path, why } => {
                format!("Nothing that could be started stands at {}: {why}", path.display())
            }
            Self::Mounted { path, mounts } => {
                format!("The mounts over {} changed: {}", path.display(), mounts.join(", "))
            }
            Self::Finding { pid, what, action } => {
                format!("Finding: pid {pid}: {what} (action: {})", action.as_str())
            }
            Self::Quarantined { folder } => format!("Evidence is kept in {}", folder.display()),
            Self::QuarantineFailed { reason } => format!("Evidence could not be kept: {reason}"),
            Self::Degraded { why } => format!("Degraded: not everything can be signed: {why}"),
            Self::Recovered => "Recovered: the signer answers again".to_owned(),
            Self::SidecarHung { pid, why } => format!("The sidecar, pid {pid}, hangs and is started again: {why}"),
            Self::ReloadAsked => "Reload: reading the configuration and the reference values again".to_owned(),
            Self::Reloaded { what, .. } => format!("Reloaded: {what}"),
            Self::ReloadRefused { step, reason } => {
                format!("Reload refused: at step {step}: {reason}; the sidecar that runs goes on")
            }
            Self::Drained { pid, how } => format!("The replaced sidecar, pid {pid}, has answered its last: {how}"),
        }
    }

    /// The stable name, for `CRYFTTEE_EVENT`.
    pub const fn name(&self) -> &'static str {
        self.identity().0
    }

    /// The fixed `MESSAGE_ID`.
    pub const fn id(&self) -> &'static str {
        self.identity().1
    }

    const fn identity(&self) -> (&'static str, &'static str) {
        match self {
            Self::SignerDisabled => ("signer-disabled", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a501"),
            Self::Measured { .. } => ("measured", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a502"),
            Self::Appraised { .. } => ("appraised", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a503"),
            Self::Unreferenced { .. } => ("unreferenced", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a504"),
            Self::TpmExtended { .. } => ("tpm-extended", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a540"),
            Self::TpmFailed { .. } => ("tpm-failed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a541"),
            Self::Launched { .. } => ("launched", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a505"),
            Self::SharedUser { .. } => ("shared-user", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a506"),
            Self::Remeasured { .. } => ("remeasured", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a507"),
            Self::Attested { .. } => ("attested", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a508"),
            Self::SignerReady { .. } => ("signer-ready", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a509"),
            Self::KeyGenerated { .. } => ("key-generated", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50a"),
            Self::KeyAdopted { .. } => ("key-adopted", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50b"),
            Self::KeyKnown { .. } => ("key-known", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50c"),
            Self::Possession { proved: true, .. } => ("possession-proved", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52c"),
            Self::Possession { proved: false, .. } => ("possession-unproved", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52d"),
            Self::Ready { .. } => ("ready", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50d"),
            Self::SidecarEnded { .. } => ("sidecar-ended", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50e"),
            Self::Restarting { .. } => ("restarting", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50f"),
            Self::Stopping => ("stopping", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a510"),
            Self::Stopped { .. } => ("stopped", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a511"),
            Self::Refused { .. } => ("refused", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a512"),
            Self::Ungated { .. } => ("ungated", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a517"),
            Self::WaitingForSigner { .. } => ("waiting-for-signer", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a518"),
            Self::EventsLost { .. } => ("events-lost", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a519"),
            Self::Locked { .. } => ("locked", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a514"),
            Self::LockFailed { .. } => ("lock-failed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a515"),
            Self::Unlocked { .. } => ("unlocked", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a516"),
            Self::PathUnchecked { .. } => ("path-unchecked", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a513"),
            Self::LibraryMapped { .. } => ("library-mapped", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51a"),
            Self::LibraryReplaced { .. } => ("library-replaced", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51b"),
            Self::VerifiedAgain { .. } => ("verified-again", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51c"),
            Self::UpgradeStaged { .. } => ("upgrade-staged", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51d"),
            Self::TamperPending { .. } => ("tamper-pending", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51e"),
            Self::ReferenceWithdrawn { .. } => ("reference-withdrawn", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a51f"),
            Self::DiskUnusable { .. } => ("disk-unusable", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a520"),
            Self::Mounted { .. } => ("mounted", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a521"),
            Self::Finding { .. } => ("finding", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a522"),
            Self::Quarantined { .. } => ("quarantined", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a523"),
            Self::QuarantineFailed { .. } => ("quarantine-failed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a524"),
            Self::Degraded { .. } => ("degraded", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a525"),
            Self::Recovered => ("recovered", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a526"),
            Self::SidecarHung { .. } => ("sidecar-hung", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a527"),
            Self::ReloadAsked => ("reload-asked", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a528"),
            Self::Reloaded { .. } => ("reloaded", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a529"),
            Self::ReloadRefused { .. } => ("reload-refused", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52a"),
            Self::Drained { .. } => ("drained", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52b"),
            Self::EventsDelayed { .. } => ("events-delayed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a530"),
            Self::TrailOpened { .. } => ("trail-opened", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a531"),
            Self::TrailClosed => ("trail-closed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52e"),
            Self::Checkpoint { .. } => ("checkpoint", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a52f"),
            Self::CheckpointFailed { .. } => ("checkpoint-failed", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a538"),
            Self::ClientDenied { .. } => ("client-denied", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a539"),
        }
    }

    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Refused { exit_code: contract::exit::INTEGRITY, .. }
            | Self::Locked { .. }
            | Self::LockFailed { .. }
            | Self::EventsLost { .. }
            | Self::TamperPending { .. }
            | Self::Finding { action: Action::Kill | Action::Alert, .. } => Severity::Critical,
            Self::Refused { .. }
            | Self::ReferenceWithdrawn { .. }
            | Self::DiskUnusable { .. }
            | Self::QuarantineFailed { .. }
            | Self::Degraded { .. }
            | Self::SidecarHung { .. }
            | Self::ReloadRefused { .. } => Severity::Error,
            Self::Unreferenced { .. }
            | Self::PathUnchecked { .. }
            | Self::TpmExtended { unaccounted: Some(_), .. }
            | Self::TpmFailed { .. }
            | Self::SharedUser { .. }
            | Self::Ungated { .. }
            | Self::EventsDelayed { .. }
            | Self::TrailOpened { clean: false, .. }
            | Self::WaitingForSigner { .. }
            | Self::CheckpointFailed { .. }
            | Self::ClientDenied { .. }
            | Self::SidecarEnded { .. }
            | Self::Restarting { .. }
            | Self::LibraryReplaced { .. }
            | Self::Mounted { .. }
            | Self::Finding { action: Action::Report | Action::Restart, .. } => Severity::Warning,
            Self::KeyAdopted { how: Adopted::First { .. }, .. } => Severity::Warning,
            Self::KeyAdopted { how: Adopted::TheOnly | Adopted::Chosen, .. }
            | Self::TpmExtended { unaccounted: None, .. }
            | Self::TrailOpened { clean: true, .. }
            | Self::SignerDisabled
            | Self::Measured { .. }
            | Self::Appraised { .. }
            | Self::Launched { .. }
            | Self::Remeasured { .. }
            | Self::Attested { .. }
            | Self::TrailClosed
            | Self::Checkpoint { .. }
            | Self::SignerReady { .. }
            | Self::KeyGenerated { .. }
            | Self::KeyKnown { .. }
            | Self::Possession { .. }
            | Self::Ready { .. }
            | Self::Stopping
            | Self::Stopped { .. }
            | Self::Unlocked { .. }
            | Self::LibraryMapped { .. }
            | Self::VerifiedAgain { .. }
            | Self::UpgradeStaged { .. }
            | Self::Quarantined { .. }
            | Self::Recovered
            | Self::ReloadAsked
            | Self::Reloaded { .. }
            | Self::Drained { .. } => Severity::Notice,
        }
    }
}

#[cfg(test)]
mod tests;

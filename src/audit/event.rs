//! The events, their sentences, their ids and their fields.

use std::path::PathBuf;
use std::time::Duration;

use contract::{Digest, NodeId};

/// How much an event matters; the numbers are syslog's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Everything that the trail can say.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the sentence of each is in message(), its fields in fields()")]
pub enum Event {
    SignerDisabled,
    Measured { path: PathBuf, digest: Digest, size: u64, took: Duration, sealed: bool },
    PathUnchecked { path: PathBuf },
    Appraised { digest: Digest, reference: String },
    Unreferenced { digest: Digest, enforced: bool },
    Launched { pid: u32, digest: Digest, user: Option<String> },
    SharedUser { pid: u32 },
    Ungated { pid: u32 },
    Remeasured { pid: u32, digest: Digest },
    Attested { pid: u32, digest: Digest, version: String },
    WaitingForSigner { url: String, why: String },
    EventsLost { count: u64 },
    SignerReady { url: String, bls_keys: usize, tls_keys: usize },
    KeyGenerated { kind: &'static str, pubkey: String },
    KeyAdopted { kind: &'static str, pubkey: String, others: usize },
    KeyKnown { kind: &'static str, pubkey: String },
    Ready { node_id: NodeId, digest: Digest, pid: u32 },
    SidecarEnded { pid: u32, how: String },
    Restarting { attempt: u32, after: Duration },
    Stopping,
    Stopped { how: String },
    Locked { reason: String },
    LockFailed { reason: String },
    Unlocked { reason: String, finding: String },
    Refused { step: &'static str, reason: String, exit_code: u8 },
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
            Self::WaitingForSigner { url, why } => format!("Waiting for Web3Signer at {url}: {why}"),
            Self::EventsLost { count } => {
                format!("{count} audit events before this one could not be delivered and are lost")
            }
            Self::SignerReady { url, bls_keys, tls_keys } => {
                format!("The signer is ready: {url}, BLS keys: {bls_keys}, TLS keys: {tls_keys}")
            }
            Self::KeyGenerated { kind, pubkey } => format!("{kind} key generated: {pubkey}"),
            Self::KeyAdopted { kind, pubkey, others: 0 } => format!("{kind} key adopted from the signer: {pubkey}"),
            Self::KeyAdopted { kind, pubkey, others } => {
                format!("{kind} key adopted from the signer: {pubkey}, the first; it has {others} more")
            }
            Self::KeyKnown { kind, pubkey } => format!("{kind} key as saved: {pubkey}"),
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
            Self::Launched { .. } => ("launched", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a505"),
            Self::SharedUser { .. } => ("shared-user", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a506"),
            Self::Remeasured { .. } => ("remeasured", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a507"),
            Self::Attested { .. } => ("attested", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a508"),
            Self::SignerReady { .. } => ("signer-ready", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a509"),
            Self::KeyGenerated { .. } => ("key-generated", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50a"),
            Self::KeyAdopted { .. } => ("key-adopted", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50b"),
            Self::KeyKnown { .. } => ("key-known", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a50c"),
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
        }
    }

    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Refused { exit_code: contract::exit::INTEGRITY, .. }
            | Self::Locked { .. }
            | Self::LockFailed { .. }
            | Self::EventsLost { .. } => Severity::Critical,
            Self::Refused { .. } => Severity::Error,
            Self::Unreferenced { .. }
            | Self::PathUnchecked { .. }
            | Self::SharedUser { .. }
            | Self::Ungated { .. }
            | Self::WaitingForSigner { .. }
            | Self::SidecarEnded { .. }
            | Self::Restarting { .. } => Severity::Warning,
            Self::KeyAdopted { others, .. } if *others > 0 => Severity::Warning,
            _ => Severity::Notice,
        }
    }

    /// Stable fields for machines, besides the message, the id and the priority.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("CRYFTTEE_EVENT", self.name().to_owned())];
        let mut add = |name, value: String| fields.push((name, value));
        match self {
            Self::SignerDisabled | Self::Stopping => {}
            Self::Measured { path, digest, size, .. } => {
                add("CRYFTTEE_PATH", path.display().to_string());
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_SIZE", size.to_string());
            }
            Self::Appraised { digest, reference } => {
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_REFERENCE", reference.clone());
            }
            Self::PathUnchecked { path } => add("CRYFTTEE_PATH", path.display().to_string()),
            Self::Unreferenced { digest, .. } => add("CRYFTTEE_DIGEST", digest.to_string()),
            Self::Launched { pid, digest, .. } | Self::Remeasured { pid, digest } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_DIGEST", digest.to_string());
            }
            Self::Attested { pid, digest, version } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_VERSION", version.clone());
            }
            Self::SharedUser { pid } | Self::Ungated { pid } => add("CRYFTTEE_PID", pid.to_string()),
            Self::EventsLost { count } => add("CRYFTTEE_COUNT", count.to_string()),
            Self::WaitingForSigner { url, .. } | Self::SignerReady { url, .. } => {
                add("CRYFTTEE_SIGNER_URL", url.clone())
            }
            Self::KeyGenerated { kind, pubkey }
            | Self::KeyAdopted { kind, pubkey, .. }
            | Self::KeyKnown { kind, pubkey } => {
                add("CRYFTTEE_KEY_KIND", (*kind).to_owned());
                add("CRYFTTEE_PUBKEY", pubkey.clone());
            }
            Self::Ready { node_id, digest, pid } => {
                add("CRYFTTEE_NODE_ID", node_id.to_string());
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_PID", pid.to_string());
            }
            Self::SidecarEnded { pid, how } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_HOW", how.clone());
            }
            Self::Restarting { attempt, .. } => add("CRYFTTEE_ATTEMPT", attempt.to_string()),
            Self::Stopped { how } => add("CRYFTTEE_HOW", how.clone()),
            Self::Locked { reason } | Self::LockFailed { reason } => add("CRYFTTEE_REASON", reason.clone()),
            Self::Unlocked { reason, finding } => {
                add("CRYFTTEE_REASON", reason.clone());
                add("CRYFTTEE_FINDING", finding.clone());
            }
            Self::Refused { step, reason, exit_code } => {
                add("CRYFTTEE_STEP", (*step).to_owned());
                add("CRYFTTEE_REASON", reason.clone());
                add("CRYFTTEE_EXIT_CODE", exit_code.to_string());
            }
        }
        fields
    }
}

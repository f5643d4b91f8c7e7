//! What a program reads of an event: stable names, one value each.

use super::Event;

impl Event {
    /// Stable fields for machines, besides the message, the id and the priority.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("CRYFTTEE_EVENT", self.name().to_owned())];
        let mut add = |name, value: String| fields.push((name, value));
        match self {
            Self::SignerDisabled | Self::Stopping | Self::Recovered | Self::ReloadAsked | Self::TrailClosed => {}
            Self::LibraryMapped { pid, path, digest } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_PATH", path.display().to_string());
                add("CRYFTTEE_DIGEST", digest.to_string());
            }
            Self::LibraryReplaced { path } => add("CRYFTTEE_PATH", path.display().to_string()),
            Self::VerifiedAgain { digest } => add("CRYFTTEE_DIGEST", digest.to_string()),
            Self::UpgradeStaged { digest, reference } => {
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_REFERENCE", reference.clone());
            }
            Self::TamperPending { digest, running, why } => {
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_EXPECTED", running.to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::ReferenceWithdrawn { digest, why } => {
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::DiskUnusable { path, why } => {
                add("CRYFTTEE_PATH", path.display().to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::Mounted { path, mounts } => {
                add("CRYFTTEE_PATH", path.display().to_string());
                add("CRYFTTEE_MOUNTS", mounts.join(", "));
            }
            Self::Finding { pid, what, action } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_FINDING", what.clone());
                add("CRYFTTEE_ACTION", action.as_str().to_owned());
            }
            Self::Quarantined { folder } => add("CRYFTTEE_PATH", folder.display().to_string()),
            Self::QuarantineFailed { reason } => add("CRYFTTEE_REASON", reason.clone()),
            Self::Degraded { why } => add("CRYFTTEE_REASON", why.clone()),
            Self::SidecarHung { pid, why } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::Reloaded { digest, .. } => add("CRYFTTEE_DIGEST", digest.to_string()),
            Self::ReloadRefused { step, reason } => {
                add("CRYFTTEE_STEP", (*step).to_owned());
                add("CRYFTTEE_REASON", reason.clone());
            }
            Self::Drained { pid, how } => {
                add("CRYFTTEE_PID", pid.to_string());
                add("CRYFTTEE_HOW", how.clone());
            }
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
            Self::TpmExtended { digest, pcr, value, unaccounted } => {
                add("CRYFTTEE_DIGEST", digest.to_string());
                add("CRYFTTEE_PCR", pcr.to_string());
                add("CRYFTTEE_PCR_VALUE", value.to_string());
                unaccounted.iter().for_each(|why| add("CRYFTTEE_REASON", (*why).to_owned()));
            }
            Self::TpmFailed { device, why } => {
                add("CRYFTTEE_PATH", device.display().to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
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
            Self::EventsDelayed { count, longest } => {
                add("CRYFTTEE_COUNT", count.to_string());
                add("CRYFTTEE_SECONDS", longest.as_secs().to_string());
            }
            Self::TrailOpened { after, clean, settled, new } => {
                add("CRYFTTEE_AFTER", after.to_string());
                add("CRYFTTEE_CLEAN", if *clean { "yes" } else { "no" }.to_owned());
                add("CRYFTTEE_SETTLED", settled.to_string());
                new.iter().for_each(|why| add("CRYFTTEE_REASON", why.clone()));
            }
            Self::ClientDenied { count, asked, uid } => {
                add("CRYFTTEE_COUNT", count.to_string());
                add("CRYFTTEE_ASKED", asked.clone());
                uid.iter().for_each(|uid| add("CRYFTTEE_UID", uid.to_string()));
            }
            Self::CheckpointFailed { seq, why } => {
                add("CRYFTTEE_SEQ", seq.to_string());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::Checkpoint { seq, hash, time, signature, pubkey } => {
                add("CRYFTTEE_SEQ", seq.to_string());
                add("CRYFTTEE_HASH", hash.to_string());
                add("CRYFTTEE_TIME", time.clone());
                add("CRYFTTEE_SIGNATURE", signature.clone());
                add("CRYFTTEE_PUBKEY", pubkey.clone());
            }
            Self::EventsLost { count } => add("CRYFTTEE_COUNT", count.to_string()),
            Self::WaitingForSigner { url, why } => {
                add("CRYFTTEE_SIGNER_URL", url.clone());
                add("CRYFTTEE_REASON", why.clone());
            }
            Self::SignerReady { url, .. } => add("CRYFTTEE_SIGNER_URL", url.clone()),
            Self::KeyGenerated { kind, pubkey }
            | Self::KeyAdopted { kind, pubkey, .. }
            | Self::KeyKnown { kind, pubkey } => {
                add("CRYFTTEE_KEY_KIND", (*kind).to_owned());
                add("CRYFTTEE_PUBKEY", pubkey.clone());
            }
            Self::Possession { pubkey, .. } => add("CRYFTTEE_PUBKEY", pubkey.clone()),
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

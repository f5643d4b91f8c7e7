//! The status for people, in the manner of `systemctl status`.

use std::io::IsTerminal as _;

use contract::wire::StakingStatus;

use super::Report;
use crate::cli::standing::{Standing, word};
use crate::state::{CheckState, SidecarState, State, whole};
use crate::text::sanitise;

/// Whether the dot may be coloured: on a terminal that can, unless the user asked for none (no-color.org).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Colour {
    Yes,
    No,
}

impl Colour {
    pub(in crate::cli) fn of_stdout() -> Self {
        let variable = |name| std::env::var_os(name);
        Self::wanted(std::io::stdout().is_terminal(), variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
    }

    fn wanted(terminal: bool, no_color: Option<&std::ffi::OsStr>, term: Option<&std::ffi::OsStr>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        let able = term.is_some_and(|term| term != "dumb");
        if terminal && able && !refused { Self::Yes } else { Self::No }
    }

    pub(in crate::cli) fn paint(self, paint: Paint, text: &str) -> String {
        match self {
            Self::Yes => format!("\x1b[{}m{text}\x1b[0m", paint as u8),
            Self::No => text.to_owned(),
        }
    }
}

/// The numbers of the terminal's.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Paint {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Report {
    pub(super) fn text(&self, colour: Colour) -> String {
        let mut lines = vec![format!("{} cryftgo-tee - verifier of cryfttee", self.dot(colour))];
        let mut line = |name: &str, text: String| lines.push(format!("{name:>13}: {text}"));
        line("Standing", self.standing_line());
        if let Some(state) = &self.known.state {
            if let Some(why) = &self.known.unfit {
                line("STALE", format!("{}; what follows is how it was", sanitise(why)));
            }
            for (name, text) in self.of_state(state) {
                line(name, text);
            }
        }
        if let Some(sidecar) = &self.sidecar {
            of_sidecar(sidecar).into_iter().for_each(|(name, text)| line(name, text));
        } else if let Some(why) = &self.sidecar_error {
            line("Not asked", sanitise(why));
        }
        lines.join("\n")
    }

    /// Filled where it works, empty where it does not run.
    fn dot(&self, colour: Colour) -> String {
        match &self.standing {
            Standing::Ready => colour.paint(Paint::Green, "●"),
            Standing::Locked(_) => colour.paint(Paint::Red, "×"),
            Standing::NotReady(_) => match self.known.current() {
                Some(state) if state.ended.is_some() || state.alert.is_some() => colour.paint(Paint::Red, "×"),
                Some(state) if !state.state.is_end() => colour.paint(Paint::Yellow, "●"),
                _ => "○".to_owned(),
            },
        }
    }

    fn standing_line(&self) -> String {
        match &self.standing {
            Standing::Ready => "ready to sign".to_owned(),
            Standing::NotReady(why) => format!("NOT ready to sign: {why}"),
            Standing::Locked(why) => {
                format!("LOCKED: {why}; when the cause is known: cryftgo-tee unlock --reason \"…\"")
            }
        }
    }

    fn of_state(&self, state: &State) -> Vec<(&'static str, String)> {
        let ago = |boot_ms| self.ago(boot_ms);
        let since = format!("{} since {}{}", word(state.state), sanitise(&state.since.at), ago(state.since.boot_ms));
        let mut lines = vec![("State", since)];
        if let Some(CheckState { done, took_us, count, interval_ms }) = &state.check {
            let (at, took, every) = (sanitise(&done.at), took_us / 1000, whole(*interval_ms));
            let text = format!("{at}{}, took {took} ms; {count} passed, one every {every}", ago(done.boot_ms));
            lines.push(("Verified", text));
        }
        if let Some(SidecarState { pid, version, digest, reference }) = &state.sidecar {
            lines.push((
                "Sidecar",
                format!("cryfttee {}, pid {pid}, verifier {}", sanitise(version), state.verifier.pid),
            ));
            lines.push(("Digest", digest.to_string()));
            let reference = reference.as_deref().map_or_else(|| "nothing: none was demanded".to_owned(), sanitise);
            lines.push(("Accepted by", reference));
        }
        if let Some(node) = &state.node {
            lines.push(("Node ID", node.node_id.to_string()));
            lines.push(("BLS key", node.bls_pubkey.to_string()));
            lines.push(("TLS key", node.tls_pubkey.to_string()));
        }
        if let Some(signer) = &state.signer {
            let text = match (&signer.trouble, signer.reachable) {
                (Some(trouble), _) => sanitise(trouble),
                (None, true) => format!("answers at {}", sanitise(&signer.url)),
                (None, false) => format!("cannot be used at {}", sanitise(&signer.url)),
            };
            lines.push(("Signer", text));
        }
        if let Some(disk) = state.disk.as_ref().filter(|disk| disk.state != "verified") {
            let why = disk.why.as_deref().map(|why| format!(": {}", sanitise(why))).unwrap_or_default();
            lines.push(("On disk", format!("{}{why}", sanitise(&disk.state))));
        }
        lines.push(("Restarts", state.restarts.to_string()));
        if let Some(reload) = &state.reload {
            let done = if reload.done { "done" } else { "refused" };
            lines.push(("Last reload", format!("{} {done}: {}", sanitise(&reload.at), sanitise(&reload.message))));
        }
        lines.extend(findings(state));
        lines
    }

    /// ` (12 s ago)`; nothing where the clocks cannot be compared.
    fn ago(&self, boot_ms: u64) -> String {
        let seen = self.known.seen.as_ref().filter(|seen| seen.this_boot);
        let age = seen.and_then(|seen| seen.boot_ms.checked_sub(boot_ms));
        age.map(|age| format!(" ({} ago)", whole(age))).unwrap_or_default()
    }
}

fn findings(state: &State) -> Vec<(&'static str, String)> {
    const SHOWN: usize = 3;
    if state.findings.is_empty() {
        return vec![("Findings", "none in this boot".to_owned())];
    }
    let older = state.findings_total.saturating_sub(SHOWN as u64);
    let shown = state.findings.iter().rev().take(SHOWN).map(|finding| {
        let [at, what, action] = [&finding.at, &finding.what, &finding.action].map(|text| sanitise(text));
        ("Finding", format!("{at} {what} [{action}]"))
    });
    let more =
        (older > 0).then(|| ("", format!("and {older} older; journalctl -u cryftgo-tee CRYFTTEE_EVENT=finding")));
    shown.chain(more).collect()
}

fn of_sidecar(sidecar: &StakingStatus) -> Vec<(&'static str, String)> {
    // Which keys are the node's, the verifier knows; here it is whether the sidecar reaches its signer at all.
    let said = match crate::signer_report::unreached(sidecar) {
        Some(trouble) => sanitise(&trouble),
        None => format!("Web3Signer answers at {}", sanitise(&crate::signer_report::urls(sidecar))),
    };
    let count = |keys: usize| match keys {
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    let capabilities: Vec<String> = sidecar.capabilities.iter().take(8).map(|text| sanitise(text)).collect();
    let mut lines = vec![
        ("It says", said),
        ("BLS keys", listed(count(sidecar.bls_pubkeys.len()), &sidecar.bls_pubkeys)),
        ("TLS keys", listed(count(sidecar.tls_pubkeys.len()), &sidecar.tls_pubkeys)),
        ("Can", capabilities.join(", ")),
    ];
    if sidecar.capabilities.is_empty() {
        lines.pop();
    }
    lines
}

/// The number of keys and the first few of them.
fn listed(count: String, keys: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 2;
    let mut text = count;
    for key in keys.iter().take(SHOWN) {
        text.push_str(&format!(", {key}"));
    }
    if keys.len() > SHOWN {
        text.push_str(", …; --json prints all");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn colour_is_for_terminals_whose_user_did_not_refuse_it() {
        let (xterm, dumb) = (Some(OsStr::new("xterm")), Some(OsStr::new("dumb")));
        assert_eq!(Colour::wanted(true, None, xterm), Colour::Yes);
        assert_eq!(Colour::wanted(true, Some(OsStr::new("")), xterm), Colour::Yes, "an empty NO_COLOR says nothing");
        for (terminal, no_color, term) in
            [(false, None, xterm), (true, Some(OsStr::new("1")), xterm), (true, None, dumb), (true, None, None)]
        {
            assert_eq!(Colour::wanted(terminal, no_color, term), Colour::No);
        }
        assert_eq!(Colour::No.paint(Paint::Red, "x"), "x");
        assert_eq!(Colour::Yes.paint(Paint::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}

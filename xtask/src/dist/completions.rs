//! Completions for bash, zsh and fish, from the command lines themselves.

use clap::Command;
use clap_complete::Shell;

use super::contents::{Entry, text};

/// Where Debian's shells look; the `.rpm` moves zsh's.
pub(super) fn of(command: &Command) -> Vec<Entry> {
    let name = command.get_name().to_owned();
    [
        (Shell::Bash, format!("usr/share/bash-completion/completions/{name}")),
        (Shell::Zsh, format!("usr/share/zsh/vendor-completions/_{name}")),
        (Shell::Fish, format!("usr/share/fish/vendor_completions.d/{name}.fish")),
    ]
    .into_iter()
    .map(|(shell, to)| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut script);
        text(script, to)
    })
    .collect()
}

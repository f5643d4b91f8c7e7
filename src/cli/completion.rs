//! `cryftgo-tee completion`.

use std::process::ExitCode;

use super::print;

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee completion bash > ~/.local/share/bash-completion/completions/cryftgo-tee

Packages install them for every user.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    shell: Shell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn main(args: &Args) -> ExitCode {
    use clap_complete::{generate, shells};
    let (mut command, name, mut text) = (super::command(), "cryftgo-tee", Vec::new());
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut text),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut text),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut text),
    }
    print(String::from_utf8_lossy(&text).trim_end())
}

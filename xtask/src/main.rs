//! The project's own commands: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[path = "../../benches/attacks/mod.rs"]
mod attacks;
mod bench;
mod demo;
mod dist;
mod stage;
mod test;

/// Commands for working on cryftgo-tee and for seeing it work.
///
/// New here? `cargo xtask demo` runs the whole system on this machine for a few seconds: no root, no
/// systemd, nothing but loopback. Then `cargo xtask test` runs every test there is.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Test(test::TestArgs),
    Bench(bench::BenchArgs),
    Dist(dist::DistArgs),
    #[command(hide = true)]
    PlaySystemd(stage::PlaySystemdArgs),
    /// Be a signer that gives one answer to everybody (used by bench).
    #[command(hide = true)]
    CannedSigner,
}

fn main() -> ExitCode {
    if let Some(ended) = test::as_sidecar() {
        return ended;
    }
    match Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Test(args) => test::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Dist(args) => dist::run(args),
        Command::PlaySystemd(args) => stage::play_systemd(args),
        Command::CannedSigner => bench::canned_signer(),
    }
}

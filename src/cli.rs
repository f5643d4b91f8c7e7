//! The command line. Every setting of `config::keys` is a flag; the rest is one file a subcommand.

mod appraise;
mod attest;
mod audit;
mod call;
mod completion;
mod config;
mod doctor;
mod error;
mod evidence;
mod healthcheck;
mod identity;
mod manifest;
mod measure;
mod metrics;
mod node;
mod reload;
mod run;
mod settings;
mod sign;
mod standing;
mod status;
mod unlock;
mod version;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use contract::exit;

use crate::text::one_line;

/// Verifies the cryfttee signing sidecar and keeps it running: measures the binary, compares it with
/// reference values, executes exactly the measured bytes, checks the sidecar's attestation, sets up the node's
/// keys, and measures the running image again and again.
///
/// Normally started by systemd: systemctl start cryftgo-tee
#[derive(Debug, Parser)]
#[command(name = "cryftgo-tee", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify, launch and watch the sidecar, on the socket that systemd handed over
    #[command(after_help = run::AFTER_HELP)]
    Run(run::Args),
    /// Have a running verifier read its configuration again, and take an upgrade without a gap
    #[command(after_help = reload::AFTER_HELP)]
    Reload(reload::Args),
    /// Say how the service is: its state, the last verification, the node, the signer, what was found
    #[command(after_help = status::AFTER_HELP)]
    Status(status::Args),
    /// Say in one line, and by the exit code, whether the service is ready to sign
    #[command(after_help = healthcheck::AFTER_HELP)]
    Healthcheck(healthcheck::Args),
    /// Print this node's Node ID and public keys
    #[command(after_help = identity::AFTER_HELP)]
    Identity(identity::Args),
    /// Have the running sidecar sign
    Sign(sign::Args),
    /// Ask the running sidecar for evidence about itself, and compare it
    #[command(after_help = attest::AFTER_HELP)]
    Attest(attest::Args),
    /// Make a signed document that says what runs here, for somebody elsewhere; and verify one
    #[command(after_help = evidence::AFTER_HELP)]
    Evidence(evidence::Args),
    /// Print the digest of a file, as a pin is written
    Measure(measure::Args),
    /// Say whether a binary may run, and which reference value says so
    #[command(after_help = appraise::AFTER_HELP)]
    Appraise(appraise::Args),
    /// Work with release manifests
    Manifest(manifest::Args),
    /// Read and verify the audit trail
    Audit(audit::Args),
    /// Serve metrics for Prometheus, or print them
    #[command(after_help = metrics::AFTER_HELP)]
    Metrics(metrics::Args),
    /// Check the configuration, or show what it comes to and why
    Config(config::Args),
    /// Look whether this host and this installation can do what they should, and say what to mend
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor(doctor::Args),
    /// Print completions for a shell
    #[command(after_help = completion::AFTER_HELP)]
    Completion(completion::Args),
    /// Clear the lock that tampering set
    #[command(after_help = unlock::AFTER_HELP)]
    Unlock(unlock::Args),
}

/// The whole command line, for whoever writes completions or man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line and runs it. `inherited` are the sockets, taken before there were threads.
pub fn main(inherited: crate::launch::sockets::Inherited) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return version::main(),
        Err(error) => {
            let _ = error.print();
            // --help and --version are reported as errors too, and are none.
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    match cli.command {
        Command::Run(args) => run::main(&args, inherited),
        Command::Reload(args) => reload::main(&args),
        Command::Status(args) => status::main(&args),
        Command::Healthcheck(args) => healthcheck::main(&args),
        Command::Identity(args) => identity::main(&args),
        Command::Sign(args) => sign::main(&args),
        Command::Attest(args) => attest::main(&args),
        Command::Evidence(args) => evidence::main(&args),
        Command::Measure(args) => measure::main(&args),
        Command::Appraise(args) => appraise::main(&args),
        Command::Manifest(args) => manifest::main(&args),
        Command::Audit(args) => audit::main(&args),
        Command::Metrics(args) => metrics::main(&args, inherited),
        Command::Config(args) => config::main(&args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Completion(args) => completion::main(&args),
        Command::Unlock(args) => unlock::main(&args),
    }
}

/// The one place where an error is printed: its causes in one line, and the exit code.
fn fail(error: &dyn std::error::Error, exit_code: u8) -> ExitCode {
    eprintln!("cryftgo-tee: {}", one_line(error));
    ExitCode::from(exit_code)
}

/// Prints to standard output. A reader that closed the pipe has what it wanted, but a full disk must not look
/// like success.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => fail(&error, exit::IO),
        _ => ExitCode::SUCCESS,
    }
}

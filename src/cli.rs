//! The command line. Every setting of `config::keys` is a flag; the rest is one file a subcommand.

mod appraise;
mod manifest;
mod measure;
mod run;
mod settings;
mod unlock;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use contract::exit;

use crate::error::one_line;

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
    /// Print the digest of a file, as a pin is written
    Measure(measure::Args),
    /// Say whether a binary may run, and which reference value says so
    #[command(after_help = appraise::AFTER_HELP)]
    Appraise(appraise::Args),
    /// Work with release manifests
    Manifest(manifest::Args),
    /// Clear the lock that tampering set
    #[command(after_help = unlock::AFTER_HELP)]
    Unlock(unlock::Args),
}

/// Parses the command line and runs it. `inherited` are the sockets, taken before there were threads.
pub fn main(inherited: crate::launch::sockets::Inherited) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // --help and --version are reported as errors too, and are none.
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    match cli.command {
        Command::Run(args) => run::main(&args, inherited),
        Command::Measure(args) => measure::main(&args),
        Command::Appraise(args) => appraise::main(&args),
        Command::Manifest(args) => manifest::main(&args),
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

//! `cryftgo-tee audit …`.

mod report;
mod show;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;
use contract::exit;

use super::error::CommandError;
use super::fail;
use crate::audit::entry::ReadError;
use crate::audit::source::SourceError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify the hash chain of the audit trail, and name the first bad entry
    #[command(after_help = verify::AFTER_HELP)]
    Verify(verify::Args),
    /// Print the audit trail, one event a line
    #[command(after_help = show::AFTER_HELP)]
    Show(show::Args),
    /// Write one page about the audit trail, for people
    #[command(after_help = report::AFTER_HELP)]
    Report(report::Args),
}

/// Why a trail cannot be read.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error(transparent)]
    Settings(#[from] CommandError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{of}")]
    Read { of: String, source: ReadError },
    #[error("print")]
    Print(#[source] std::io::Error),
    #[error("{0}")]
    Usage(String),
}

impl AuditError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(error) => error.exit_code(),
            Self::Source(_) | Self::Print(_) | Self::Read { source: ReadError::Io(_), .. } => exit::IO,
            Self::Read { source: ReadError::NotAJournal { .. } | ReadError::CutShort { .. }, .. } => exit::DATA,
            Self::Usage(_) => exit::USAGE,
        }
    }
}

pub(super) fn main(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Verify(args) => verify::main(args),
        Command::Show(args) => show::main(args),
        Command::Report(args) => report::main(args),
    };
    done.unwrap_or_else(|error| fail(&error, error.exit_code()))
}

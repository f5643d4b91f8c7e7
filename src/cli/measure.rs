//! `cryftgo-tee measure PATH`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::error::CommandError;
use super::{fail, print};
use crate::measure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to measure
    path: PathBuf,
    /// Print {"path", "digest", "size"} instead of the digest alone
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let (digest, size) = match measure::file(&args.path) {
        Ok(measured) => measured,
        Err(error) => {
            let error = CommandError::from(error);
            return fail(&error, error.exit_code());
        }
    };
    let line = if args.json {
        serde_json::json!({ "path": args.path, "digest": digest, "size": size }).to_string()
    } else {
        digest.to_string()
    };
    print(&line)
}

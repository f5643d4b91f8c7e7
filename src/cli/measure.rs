//! `cryftgo-tee measure PATH`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{fail, print};
use crate::error::Error;
use crate::fault::Fault as _;
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
            let error = Error::from(error);
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

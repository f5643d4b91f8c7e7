//! `cryftgo-tee --version`: which build this is, down to its bytes. `-V`: the version alone.

use std::path::Path;
use std::process::ExitCode;

use super::print;
use crate::{measure, text};

/// Of the source, as far as the build knew it.
pub(super) const COMMIT: &str = env!("CRYFTGO_COMMIT");

pub(super) fn main() -> ExitCode {
    let long = std::env::args_os().any(|word| word == "--version");
    print(&if long { long_text() } else { format!("cryftgo-tee {}", env!("CARGO_PKG_VERSION")) })
}

fn long_text() -> String {
    // Of what runs, and not of what stands at some path by now.
    let digest = match measure::file(Path::new("/proc/self/exe")) {
        Ok((digest, _)) => digest.to_string(),
        Err(error) => format!("unknown: {}", text::one_line(&error)),
    };
    format!("cryftgo-tee {}\ncommit {COMMIT}\ndigest {digest}", env!("CARGO_PKG_VERSION"))
}

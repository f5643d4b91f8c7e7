//! What lintian and rpmlint say about the packages. Nothing is what they may say; what is not to be changed is overridden in
//! `packaging/`, with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;
use crate::stage::workspace;

pub(super) fn run(files: &[PathBuf], work: &Path) -> Result<(), String> {
    let of = |extension: &'static str| {
        files.iter().filter(move |file| file.extension().is_some_and(|found| found == extension))
    };
    let lintian = tool::run(
        Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).args(of("deb")).current_dir(work),
    )?;
    println!("lintian: no error, no warning\n{}", lintian.trim_end());
    let settings = workspace().join("packaging/rpm/rpmlint.toml");
    let rpmlint = tool::run(Command::new("rpmlint").arg("--config").arg(settings).args(of("rpm")).current_dir(work))?;
    // It ends well with warnings too.
    let last = rpmlint.lines().rfind(|line| line.contains(" errors, ")).unwrap_or("it did not say how many errors");
    if !last.contains(" 0 errors, 0 warnings") {
        return Err(format!("rpmlint: {rpmlint}"));
    }
    println!("rpmlint: {}", last.trim_matches(['=', ' ']));
    Ok(())
}

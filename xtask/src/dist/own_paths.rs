//! No path of the machine that builds may be in a program: it says who built where, and makes two builds differ.

use std::fs;

use super::contents::Programs;
use crate::stage::{cargo_home, workspace};

/// Errors: the program, and the path that is in it.
pub(super) fn refuse(programs: &Programs) -> Result<(), String> {
    let folders = [workspace(), cargo_home()];
    for program in programs.all() {
        let bytes = fs::read(program).map_err(|error| format!("read {}: {error}", program.display()))?;
        if let Some(folder) = folders.iter().find(|folder| holds(&bytes, folder.as_os_str().as_encoded_bytes())) {
            return Err(format!(
                "{} holds the path {} of this machine; RUSTFLAGS in the environment stand in the way of \
                 --remap-path-prefix: unset them",
                program.display(),
                folder.display()
            ));
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], path: &[u8]) -> bool {
    // A folder as short as "/" says nothing.
    path.len() > 1 && bytes.windows(path.len()).any(|window| window == path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_program_with_a_path_of_this_machine_in_it_is_refused_and_one_without_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("write");
            path
        };
        let clean = program("clean", "\0/source/src/lib.rs\0/cargo/registry");
        let dirty = program("dirty", &format!("\0{}/src/lib.rs\0", workspace().display()));
        let programs =
            |signer: &PathBuf| Programs { verifier: clean.clone(), sidecar: clean.clone(), signer: signer.clone() };
        assert_eq!(refuse(&programs(&clean)), Ok(()));
        assert!(refuse(&programs(&dirty)).is_err_and(|reason| reason.contains("dirty")));
    }
}

//! Tells the build which commit it is of: `CRYFTGO_COMMIT` from the environment, which a package's build sets; else what
//! `.git` says; else `unknown`. Nothing else of the build's surroundings goes into the binary.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=CRYFTGO_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("CRYFTGO_COMMIT").ok();
    let commit = given.or_else(|| head(Path::new("."))).filter(|commit| is_commit(commit));
    println!("cargo::rustc-env=CRYFTGO_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit that is checked out in `tree`.
fn head(tree: &Path) -> Option<String> {
    let git = tree.join(".git");
    // In a further work tree it is a file that says where the folder is.
    let folder = match fs::read_to_string(&git) {
        Ok(text) => PathBuf::from(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        println!("cargo::rerun-if-changed={}", path.display());
        Some(text.trim().to_owned())
    };
    let head = read(folder.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else { return Some(head) };
    let common = read(folder.join("commondir")).map_or_else(|| folder.clone(), |common| folder.join(common));
    read(folder.join(name)).or_else(|| read(common.join(name))).or_else(|| {
        let packed = read(common.join("packed-refs"))?;
        let line = packed.lines().find(|line| line.split(' ').nth(1) == Some(name))?;
        line.split(' ').next().map(str::to_owned)
    })
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

//! Whether this host can boot containers, and what it lacks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) use crate::stage::workspace;

/// A program that the tests call, and the Debian package that has it.
const NEEDED: [(&str, &str); 7] = [
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("minisign", "minisign"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("rpmbuild", "rpm"),
];

/// `CAP_SYS_ADMIN`, without which nothing can be mounted and so no container booted.
const CAP_SYS_ADMIN: u32 = 21;

/// Makes this host able to boot containers. Errors: why it cannot, as the reason for skipping.
pub(super) fn prepare() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("this is not Linux".to_owned());
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Err("booting containers needs root, and this is not root".to_owned());
    }
    if !may_mount() {
        return Err("root without CAP_SYS_ADMIN, as in an ordinary container, can boot nothing".to_owned());
    }
    if !Path::new("/etc/debian_version").exists() {
        return Err("this is not Debian, which the containers are bootstrapped from".to_owned());
    }
    let missing: Vec<_> = NEEDED.iter().filter(|(program, _)| !in_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_capabilities(&status).is_some_and(|set| set & (1 << CAP_SYS_ADMIN) != 0)
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Root's PATH lacks /usr/sbin after a plain `su`, and debootstrap is there.
    std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|folder| folder.join(program).is_file())
}

fn install(packages: &[&str]) -> Result<(), String> {
    println!("installing what the tests need: apt-get install {}", packages.join(" "));
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("start apt-get: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("apt-get {} ended with {status}", arguments.join(" "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_mount_is_read_from_the_effective_set() {
        let status = "CapPrm:\t0000000000000000\nCapEff:\t0000000000200000\nCapBnd:\t0000000000000000\n";
        assert_eq!(effective_capabilities(status), Some(1 << CAP_SYS_ADMIN));
        assert_eq!(effective_capabilities("CapEff:\tnothing"), None);
    }
}

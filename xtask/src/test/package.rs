//! The tree that a package of this project would install, so that the scenarios try what an operator gets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::{Binaries, digest_of};

/// What stands in `systemd/`, and where a package puts it.
const FILES: [(&str, &str); 12] = [
    ("cryfttee.socket", "usr/lib/systemd/system/cryfttee.socket"),
    ("cryftgo-tee.service", "usr/lib/systemd/system/cryftgo-tee.service"),
    ("cryftgo-tee-metrics.socket", "usr/lib/systemd/system/cryftgo-tee-metrics.socket"),
    ("cryftgo-tee-metrics.service", "usr/lib/systemd/system/cryftgo-tee-metrics.service"),
    ("cryftgo-tee-down.service", "usr/lib/systemd/system/cryftgo-tee-down.service"),
    ("cryftgo-tee.sysusers", "usr/lib/sysusers.d/cryftgo-tee.conf"),
    ("cryftgo-tee.tmpfiles", "usr/lib/tmpfiles.d/cryftgo-tee.conf"),
    ("cryftgo-tee.preset", "usr/lib/systemd/system-preset/50-cryftgo-tee.preset"),
    ("cryftgo-tee.catalog", "usr/lib/systemd/catalog/cryftgo-tee.catalog"),
    ("cryftgo-tee.toml", "etc/cryftgo-tee/cryftgo-tee.toml"),
    ("examples/tcp.conf", "usr/share/doc/cryftgo-tee/examples/tcp.conf"),
    // No package has this one: it stands for the Web3Signer of a real host.
    ("dev/cryfttee-devsigner.service", "usr/lib/systemd/system/cryfttee-devsigner.service"),
];

/// A sidecar with the faults that the genuine one cannot be made to show. No package has it either.
const BAD_SIDECAR: &str = "usr/local/lib/cryftgo-tee-tests/bad-sidecar";

/// A staged tree; containers see it as `/package` and copy it over their root.
pub(super) struct Package {
    pub(super) tree: PathBuf,
}

impl Package {
    /// Stages the built binaries, the files of `systemd/`, and the reference value of the sidecar.
    pub(super) fn stage(binaries: &Binaries) -> Result<Self, String> {
        let tree = binaries.target.join("systemd-tests/package");
        if let Err(error) = fs::remove_dir_all(&tree)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("remove {}: {error}", tree.display()));
        }
        let package = Self { tree };
        package.copy(&binaries.verifier, "usr/bin/cryftgo-tee", 0o755)?;
        package.copy(&binaries.sidecar, "usr/bin/cryfttee", 0o755)?;
        package.copy(&binaries.signer, "usr/bin/cryfttee-devsigner", 0o755)?;
        package.copy(&bad_sidecar(&binaries.target)?, BAD_SIDECAR, 0o755)?;
        // This program itself, as the client. By its link in /proc: a build may have replaced the file meanwhile.
        package.copy(Path::new("/proc/self/exe"), "usr/local/bin/xtask", 0o755)?;
        let source = super::host::workspace().join("systemd");
        for (from, to) in FILES {
            package.copy(&source.join(from), to, 0o644)?;
        }
        let digest = digest_of(&binaries.sidecar).map_err(|error| error.to_string())?;
        let digest = digest.to_string();
        let hex = digest.strip_prefix("sha256:").unwrap_or(&digest);
        package.write("usr/lib/cryftgo-tee/pins.d/cryfttee", &format!("{hex}  /usr/bin/cryfttee\n"))?;
        Ok(package)
    }

    fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<(), String> {
        let to = self.place(to)?;
        fs::copy(from, &to).map_err(|error| format!("copy {} to {}: {error}", from.display(), to.display()))?;
        set_mode(&to, mode)
    }

    fn write(&self, to: &str, text: &str) -> Result<(), String> {
        let to = self.place(to)?;
        fs::write(&to, text).map_err(|error| format!("write {}: {error}", to.display()))?;
        set_mode(&to, 0o644)
    }

    /// The path of `to` in the tree, with its folders made: 0755 whatever the umask, because the container's root
    /// takes their modes over.
    fn place(&self, to: &str) -> Result<PathBuf, String> {
        let path = self.tree.join(to);
        let mut folder = self.tree.clone();
        for part in Path::new(to).parent().into_iter().flat_map(Path::components) {
            make_folder(&folder)?;
            folder.push(part);
        }
        make_folder(&folder)?;
        Ok(path)
    }
}

/// Builds the bad sidecar, an example of the root package, and says where it is.
fn bad_sidecar(target: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        // The workspace, as for the other programs: with another selection most dependencies would be compiled again.
        .args(["build", "--release", "--locked", "--workspace", "--example", "bad-sidecar"])
        .current_dir(super::host::workspace())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("start cargo to build the bad sidecar: {error}"))?;
    if status.success() {
        Ok(target.join("release/examples/bad-sidecar"))
    } else {
        Err(format!("cargo build of the bad sidecar failed ({status}); its own message is above"))
    }
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    set_mode(folder, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| format!("set the mode of {}: {error}", path.display()))
}

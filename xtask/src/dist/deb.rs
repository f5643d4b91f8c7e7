//! A `.deb`, by dpkg-deb: it sorts, clamps times to SOURCE_DATE_EPOCH and makes root the owner of everything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::contents::{Content, Package, text};
use super::{Release, Tree, texts, tool};

/// Maintainer scripts, in the order of their lives.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

pub(super) fn build(package: &Package, release: &Release<'_>, work: &Path, into: &Path) -> Result<(), String> {
    let tree = Tree::anew(work.join("deb"))?;
    for entry in &package.entries {
        tree.put(entry)?;
    }
    if let Some(overrides) = package.own("deb", "lintian-overrides")? {
        tree.put(&text(overrides, format!("usr/share/lintian/overrides/{}", package.name)))?;
    }
    let architecture = tool::output("dpkg", &["--print-architecture"], work)?;
    let architecture = architecture.trim();
    let root = tree.root();

    // Before the control files are there: they are none of the installed ones.
    let sums = tool::output("sh", &["-c", "find * -type f | LC_ALL=C sort | xargs -d '\\n' md5sum"], root)?;
    let kilobytes = installed_kilobytes(package, root)?;
    let debian = root.join("DEBIAN");
    fs::create_dir(&debian).map_err(|error| format!("make {}: {error}", debian.display()))?;
    fs::set_permissions(&debian, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("set the mode of {}: {error}", debian.display()))?;
    tree.put(&text(sums, "DEBIAN/md5sums"))?;
    let configs: String =
        package.entries.iter().filter(|entry| entry.is_config()).map(|entry| format!("/{}\n", entry.to)).collect();
    if !configs.is_empty() {
        tree.put(&text(configs, "DEBIAN/conffiles"))?;
    }
    for script in SCRIPTS {
        if let Some(script_text) = package.own("deb", script)? {
            let mut entry = text(script_text, format!("DEBIAN/{script}"));
            entry.mode = 0o755;
            tree.put(&entry)?;
        }
    }
    let depends = [libraries(package, work)?.as_str(), package.depends]
        .into_iter()
        .filter(|some| !some.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    let recommends =
        if package.recommends.is_empty() { String::new() } else { format!("Recommends: {}\n", package.recommends) };
    let control = format!(
        "Package: {}\nVersion: {}\nArchitecture: {architecture}\nMaintainer: {}\nInstalled-Size: {kilobytes}\n\
         Depends: {depends}\n{recommends}Section: admin\nPriority: optional\nDescription: {}\n{}",
        package.name,
        release.version,
        texts::maintainer(),
        package.summary,
        description(package.description)
    );
    tree.put(&text(control, "DEBIAN/control"))?;

    let file = into.join(format!("{}_{}_{architecture}.deb", package.name, release.version));
    // One thread: xz cuts its input by how many there are.
    let compression = if release.quick { ["-Zgzip", "-z1"] } else { ["-Zxz", "--threads-max=1"] };
    tool::run(
        Command::new("dpkg-deb")
            .arg("--root-owner-group")
            .args(compression)
            .arg("--build")
            .arg(root)
            .arg(file)
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string()),
    )?;
    Ok(())
}

/// Which libraries its program needs, in which versions: dpkg-shlibdeps knows.
fn libraries(package: &Package, work: &Path) -> Result<String, String> {
    let Some(Content::File(program)) =
        package.entries.iter().find(|entry| entry.to.starts_with("usr/bin/")).map(|entry| &entry.content)
    else {
        return Ok(String::new());
    };
    let folder = work.join("shlibdeps");
    tool::anew(&folder.join("debian"))?;
    // It wants to stand in a source package.
    let control = format!("Source: {0}\n\nPackage: {0}\nArchitecture: any\n", package.name);
    tool::write(&folder.join("debian/control"), &control)?;
    let said = tool::run(Command::new("dpkg-shlibdeps").arg("-O").arg(program).current_dir(&folder))?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.unwrap_or_default().to_owned())
}

/// As Debian's policy counts: each file in whole kilobytes, and one for each folder.
fn installed_kilobytes(package: &Package, root: &Path) -> Result<u64, String> {
    let mut kilobytes = 0;
    for entry in &package.entries {
        let path = root.join(&entry.to);
        let size = fs::metadata(&path).map_err(|error| format!("look at {}: {error}", path.display()))?.len();
        kilobytes += size.div_ceil(1024);
    }
    Ok(kilobytes)
}

fn description(paragraphs: &str) -> String {
    paragraphs.lines().map(|line| if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") }).collect()
}

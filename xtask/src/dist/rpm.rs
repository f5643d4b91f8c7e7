//! An `.rpm`, by rpmbuild, from a spec that is written here.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::contents::{Package, text};
use super::{Release, Tree, texts, tool};

const SCRIPTS: [&str; 3] = ["post", "preun", "postun"];

/// The same bytes wherever and whenever it is built: no name of this host, no time but the release's. The programs are
/// stripped already, and everything is compressed already.
const DEFINES: [&str; 8] = [
    "_buildhost reproducible",
    "use_source_date_epoch_as_buildtime 1",
    "clamp_mtime_to_source_date_epoch 1",
    "build_mtime_policy clamp_to_source_date_epoch",
    "__os_install_post %{nil}",
    "debug_package %{nil}",
    "_build_id_links none",
    "dist %{nil}",
];

pub(super) fn build(package: &Package, release: &Release<'_>, work: &Path, into: &Path) -> Result<(), String> {
    let tree = Tree::anew(work.join("rpm"))?;
    for entry in &package.entries {
        let path = place(&entry.to);
        tree.put(&super::contents::Entry { to: path, mode: entry.mode, content: entry.content.clone() })?;
    }
    let license = tool::read(&crate::stage::workspace().join("LICENSE"))?;
    let license_file = format!("usr/share/licenses/{}/LICENSE", package.name);
    tree.put(&text(license, &license_file))?;
    let topdir = work.join("rpmbuild");
    tool::anew(&topdir)?;
    let spec = topdir.join(format!("{}.spec", package.name));
    tool::write(&spec, &spec_text(package, release, tree.root(), &license_file)?)?;
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--define", &format!("_topdir {}", topdir.display())]);
    let payload = if release.quick { "_binary_payload w1.gzdio" } else { "_binary_payload w19.zstdio" };
    for define in DEFINES.into_iter().chain([payload]) {
        rpmbuild.args(["--define", define]);
    }
    tool::run(rpmbuild.arg(&spec).env("SOURCE_DATE_EPOCH", release.epoch.to_string()))?;
    let built = super::files(&topdir.join("RPMS").join(std::env::consts::ARCH))?;
    for file in built {
        let to = into.join(tool::name_of(&file));
        fs::copy(&file, &to).map_err(|error| format!("copy {} to {}: {error}", file.display(), to.display()))?;
    }
    Ok(())
}

/// Where systems with rpm look for zsh's completions.
fn place(path: &str) -> String {
    path.replace("usr/share/zsh/vendor-completions/", "usr/share/zsh/site-functions/")
}

fn spec_text(package: &Package, release: &Release<'_>, tree: &Path, license: &str) -> Result<String, String> {
    let mut spec = format!(
        "Name: {}\nVersion: {}\nRelease: 1\nSummary: {}\nLicense: MIT OR Apache-2.0\nPackager: {}\n",
        package.name,
        release.version,
        capital(package.summary),
        texts::maintainer()
    );
    if !package.depends.is_empty() {
        spec.push_str(&format!("Requires: {}\n", package.depends.replace(['(', ')'], "")));
    }
    if !package.recommends.is_empty() {
        spec.push_str(&format!("Recommends: {}\n", package.recommends));
    }
    spec.push_str(&format!("\n%description\n{}\n", package.description));
    spec.push_str(&format!("\n%install\ncp -a {}/. %{{buildroot}}\n", tree.display()));
    for script in SCRIPTS {
        if let Some(text) = package.own("rpm", script)? {
            // Of the text of a script nothing is a macro.
            spec.push_str(&format!("\n%{script}\n{}\n", text.replace('%', "%%")));
        }
    }
    spec.push_str("\n%files\n%defattr(-,root,root,-)\n");
    for entry in &package.entries {
        let kind = if entry.is_config() {
            "%config(noreplace) "
        } else if entry.to.starts_with("usr/share/doc/") || entry.to.starts_with("usr/share/man/") {
            "%doc "
        } else {
            ""
        };
        spec.push_str(&format!("%attr({:04o},root,root) {kind}/{}\n", entry.mode, place(&entry.to)));
    }
    spec.push_str(&format!("%license /{license}\n"));
    for folder in package.folders() {
        spec.push_str(&format!("%dir %attr(0755,root,root) /{folder}\n"));
    }
    spec.push_str(&format!("\n%changelog\n{}", texts::rpm_changelog(release)?));
    Ok(spec)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

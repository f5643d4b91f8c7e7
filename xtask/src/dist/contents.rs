//! What the packages hold: the one list that the `.deb`, the `.rpm` and the scenarios are made from.

use std::path::PathBuf;

use super::{Release, completions, env_file, man, notices, template, texts, tool};
use crate::stage::{Binaries, workspace};

/// The programs that are packaged.
#[derive(Clone)]
pub(crate) struct Programs {
    pub(crate) verifier: PathBuf,
    pub(crate) sidecar: PathBuf,
    pub(crate) signer: PathBuf,
}

impl Programs {
    pub(crate) fn of(binaries: &Binaries) -> Self {
        let Binaries { verifier, sidecar, signer, .. } = binaries;
        Self { verifier: verifier.clone(), sidecar: sidecar.clone(), signer: signer.clone() }
    }

    pub(super) fn all(&self) -> [&PathBuf; 3] {
        [&self.verifier, &self.sidecar, &self.signer]
    }
}

/// One package.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(super) summary: &'static str,
    /// Paragraphs; each line fits into 80 columns.
    pub(super) description: &'static str,
    /// As Debian writes it; the libraries are found out.
    pub(super) depends: &'static str,
    pub(super) recommends: &'static str,
    pub(crate) entries: Vec<Entry>,
}

/// One file.
pub(crate) struct Entry {
    /// The path from the root, without a slash before it.
    pub(crate) to: String,
    pub(crate) mode: u32,
    pub(crate) content: Content,
}

impl Entry {
    /// Operators change it, and no upgrade takes that back.
    pub(super) fn is_config(&self) -> bool {
        self.to.starts_with("etc/")
    }

    /// What people read and packages hold compressed, without name and time inside.
    fn compress(&mut self) -> Result<(), String> {
        let long = self.to.ends_with("/changelog") || self.to.ends_with("/third-party-notices");
        if let Content::Bytes(bytes) = &mut self.content
            && (long || self.to.starts_with("usr/share/man/"))
        {
            *bytes = tool::gzip(bytes)?;
            self.to.push_str(".gz");
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// Where a package puts a file of `systemd/`, by what its name ends in, so that a new unit is packaged by being there.
const PLACES: [(&str, &str); 7] = [
    (".service", "usr/lib/systemd/system/{}.service"),
    (".socket", "usr/lib/systemd/system/{}.socket"),
    (".preset", "usr/lib/systemd/system-preset/50-{}.preset"),
    (".sysusers", "usr/lib/sysusers.d/{}.conf"),
    (".tmpfiles", "usr/lib/tmpfiles.d/{}.conf"),
    // Before those of packages for the same devices, which are called 60-.
    (".rules", "usr/lib/udev/rules.d/50-{}.rules"),
    (".catalog", "usr/lib/systemd/catalog/{}.catalog"),
];

const VERIFIER: &str = "\
cryftgo-tee decides whether the signing sidecar cryfttee may run on a
validator host. It hashes the sidecar's binary, compares the hash with the
ones that are trusted, starts exactly the bytes that it hashed, has the
sidecar attest itself, lets clients in only then, and keeps measuring it.

The keys are in neither of the two: they stay in Web3Signer.";

const SIDECAR: &str = "\
cryfttee serves the staking API on a unix socket, HTTP or HTTPS, and passes
signing requests on to Web3Signer. It holds no keys. The verifier
cryftgo-tee starts it; this package brings the reference value (the pin)
by which the verifier knows it.";

const SIGNER: &str = "\
cryfttee-devsigner stands in for Web3Signer where a developer has none: on
a laptop, in demos, in tests. It makes keys and signs whatever it is asked,
for whoever can connect, on loopback only.

Never give it a key that is worth something.";

/// All packages. Errors: a source that is not there.
pub(crate) fn packages(programs: &Programs, release: &Release<'_>) -> Result<Vec<Package>, String> {
    let mut verifier = Package {
        name: "cryftgo-tee",
        summary: "verifier of the cryfttee signing sidecar",
        description: VERIFIER,
        depends: "systemd (>= 252)",
        recommends: "cryfttee",
        entries: vec![program("cryftgo-tee", &programs.verifier)],
    };
    verifier.entries.extend(units("systemd")?);
    verifier.entries.extend(template::units()?);
    verifier.entries.push(source("systemd/cryftgo-tee.toml", "etc/cryftgo-tee/cryftgo-tee.toml"));
    verifier.entries.extend(examples()?);
    for monitoring in
        ["prometheus/cryftgo-tee.rules.yml", "prometheus/cryftgo-tee.test.yml", "grafana/cryftgo-tee.json"]
    {
        let (from, to) = (format!("packaging/{monitoring}"), format!("usr/share/doc/cryftgo-tee/{monitoring}"));
        verifier.entries.push(source(&from, &to));
    }
    verifier.entries.push(text(man::configuration(release), "usr/share/man/man5/cryftgo-tee.toml.5"));
    verifier.finish(cryftgo_tee::cli::command(), release)?;

    let pin = format!("{}  /usr/bin/cryfttee\n", super::hex_of(&programs.sidecar)?);
    let mut sidecar = Package {
        name: "cryfttee",
        summary: "signing sidecar between a validator node and Web3Signer",
        description: SIDECAR,
        depends: "",
        recommends: "cryftgo-tee",
        entries: vec![
            program("cryfttee", &programs.sidecar),
            text(pin, "usr/lib/cryftgo-tee/pins.d/cryfttee"),
            text(env_file::of(cryfttee::cli::command()), "usr/share/doc/cryfttee/examples/cryfttee.env"),
        ],
    };
    sidecar.finish(cryfttee::cli::command(), release)?;

    let mut signer = Package {
        name: "cryfttee-devsigner",
        summary: "development signer in the shape of Web3Signer",
        description: SIGNER,
        depends: "systemd (>= 252)",
        recommends: "",
        entries: vec![program("cryfttee-devsigner", &programs.signer)],
    };
    signer.entries.extend(units("systemd/dev")?);
    signer.finish(cryfttee_devsigner::cli::command(), release)?;
    Ok(vec![verifier, sidecar, signer])
}

impl Package {
    /// What every package has: man pages, completions, and what says where it comes from.
    fn finish(&mut self, command: clap::Command, release: &Release<'_>) -> Result<(), String> {
        self.entries.extend(completions::of(&command));
        self.entries.extend(man::commands(command, release));
        let doc = format!("usr/share/doc/{}", self.name);
        self.entries.push(text(texts::changelog(self.name, release)?, format!("{doc}/changelog")));
        self.entries.push(text(notices::of(self.name)?, format!("{doc}/third-party-notices")));
        for entry in &mut self.entries {
            entry.compress()?;
        }
        self.entries.push(text(texts::copyright()?, format!("{doc}/copyright")));
        self.entries.sort_by(|left, right| left.to.cmp(&right.to));
        Ok(())
    }

    /// The folders that are this package's own, for rpm.
    pub(super) fn folders(&self) -> std::collections::BTreeSet<String> {
        let above = |entry: &Entry| {
            let folders =
                std::path::Path::new(&entry.to).ancestors().skip(1).map(|folder| folder.display().to_string());
            folders.collect::<Vec<_>>()
        };
        let ours = |folder: &String| folder.split('/').any(|part| part.starts_with("cryft") && !part.contains('.'));
        self.entries.iter().flat_map(above).filter(ours).collect()
    }

    /// A file of `packaging/KIND` for this package, where there is one.
    pub(super) fn own(&self, kind: &str, what: &str) -> Result<Option<String>, String> {
        let path = workspace().join(format!("packaging/{kind}/{}.{what}", self.name));
        if path.exists() { tool::read(&path).map(Some) } else { Ok(None) }
    }
}

fn program(name: &str, from: &std::path::Path) -> Entry {
    Entry { to: format!("usr/bin/{name}"), mode: 0o755, content: Content::File(from.to_owned()) }
}

fn source(from: &str, to: &str) -> Entry {
    Entry { to: to.to_owned(), mode: 0o644, content: Content::File(workspace().join(from)) }
}

pub(super) fn text(text: impl Into<Vec<u8>>, to: impl Into<String>) -> Entry {
    Entry { to: to.into(), mode: 0o644, content: Content::Bytes(text.into()) }
}

fn units(folder: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for file in super::files(&workspace().join(folder))? {
        let name = tool::name_of(&file);
        if let Some(to) = place(&name) {
            entries.push(source(&format!("{folder}/{name}"), &to));
        }
    }
    if entries.is_empty() { Err(format!("no unit in {folder}")) } else { Ok(entries) }
}

fn place(name: &str) -> Option<String> {
    PLACES.iter().find_map(|(end, place)| name.strip_suffix(end).map(|stem| place.replace("{}", stem)))
}

fn examples() -> Result<Vec<Entry>, String> {
    let files = super::files(&workspace().join("systemd/examples"))?;
    let entry = |name: String| {
        source(&format!("systemd/examples/{name}"), &format!("usr/share/doc/cryftgo-tee/examples/{name}"))
    };
    Ok(files.iter().map(|file| entry(tool::name_of(file))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Package> {
        let here = std::env::current_exe().expect("this test");
        let programs = Programs { verifier: here.clone(), sidecar: here.clone(), signer: here };
        packages(&programs, &Release { version: "1.2.3", epoch: 1_700_000_000, quick: true }).expect("contents")
    }

    #[test]
    fn every_file_of_the_systemd_folder_has_a_place_or_is_the_configuration() {
        for file in super::super::files(&workspace().join("systemd")).expect("systemd/") {
            let name = tool::name_of(&file);
            let known = file.is_dir() || name == "cryftgo-tee.toml" || place(&name).is_some();
            assert!(known, "no package takes systemd/{name}");
        }
    }

    #[test]
    fn no_two_packages_hold_one_path() {
        let mut paths: Vec<String> =
            all().into_iter().flat_map(|package| package.entries).map(|entry| entry.to).collect();
        let with_doubles = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), with_doubles);
    }

    #[test]
    fn the_pin_is_the_hash_of_the_packaged_sidecar() {
        let packages = all();
        let entries = packages.iter().flat_map(|package| &package.entries);
        let pin = entries.clone().find(|entry| entry.to == "usr/lib/cryftgo-tee/pins.d/cryfttee").expect("a pin");
        let Content::Bytes(pin) = &pin.content else { panic!("the pin is a file of the build") };
        let here = std::env::current_exe().expect("this test");
        assert_eq!(*pin, format!("{}  /usr/bin/cryfttee\n", super::super::hex_of(&here).expect("hash")).into_bytes());
    }

    #[test]
    fn every_subcommand_has_a_man_page_and_every_program_completions_for_three_shells() {
        let packages = all();
        let has = |path: String| packages.iter().flat_map(|package| &package.entries).any(|entry| entry.to == path);
        for subcommand in cryftgo_tee::cli::command().get_subcommands() {
            let page = format!("usr/share/man/man8/cryftgo-tee-{}.8.gz", subcommand.get_name());
            assert!(has(page.clone()), "{page}");
        }
        for name in ["cryftgo-tee", "cryfttee", "cryfttee-devsigner"] {
            assert!(has(format!("usr/share/man/man8/{name}.8.gz")), "{name}");
            assert!(has(format!("usr/share/bash-completion/completions/{name}")), "{name}");
            assert!(has(format!("usr/share/zsh/vendor-completions/_{name}")), "{name}");
            assert!(has(format!("usr/share/fish/vendor_completions.d/{name}.fish")), "{name}");
        }
        assert!(has("usr/share/man/man5/cryftgo-tee.toml.5.gz".to_owned()));
    }
}

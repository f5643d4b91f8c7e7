//! Man pages: one for each command from its command line, and one for the configuration from the table of settings.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use cryftgo_tee::config::keys::{KEYS, Key, Kind};

use super::Release;
use super::contents::{Entry, text};

/// The page of a program and those of its subcommands, in section 8: they are for who runs the host.
pub(super) fn commands(command: Command, release: &Release<'_>) -> Vec<Entry> {
    // "cryftgo-tee help run" is "cryftgo-tee run --help", and needs no page.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, command.get_name().to_owned(), release, &mut pages);
    pages
}

fn add(command: &Command, name: String, release: &Release<'_>, pages: &mut Vec<Entry>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, format!("{name}-{}", below.get_name()), release, pages);
    }
    let mut page = Vec::new();
    let man = Man::new(command.clone().display_name(name.clone()))
        .section("8")
        .date(day(release))
        .source(format!("cryftgo-tee {}", release.version))
        .manual("cryftgo-tee");
    // Into memory, which does not fail.
    let _ = man.render(&mut page);
    pages.push(text(page, format!("usr/share/man/man8/{name}.8")));
}

fn day(release: &Release<'_>) -> String {
    let time = cryftgo_tee::clock::utc(release.epoch);
    time.get(..10).unwrap_or(&time).to_owned()
}

/// cryftgo-tee.toml(5).
pub(super) fn configuration(release: &Release<'_>) -> String {
    let mut page = Roff::new();
    let source = format!("cryftgo-tee {}", release.version);
    page.control("TH", ["cryftgo-tee.toml", "5", &day(release), &source, "cryftgo-tee"]);
    page.control("SH", ["NAME"]);
    page.text([roman("cryftgo-tee.toml - configuration of the verifier of cryfttee")]);
    page.control("SH", ["FILES"]);
    page.text([roman(
        "/usr/lib/cryftgo-tee, /etc/cryftgo-tee and /run/cryftgo-tee, weakest first; in each, cryftgo-tee.toml and then \
         conf.d/*.toml by name. A variable of the environment beats every file, and a flag beats that. An unknown key is an \
         error that names the key and the file.",
    )]);
    page.control("PP", []);
    page.text([roman(
        "The file is TOML: the key a.b is written as b in the table [a]. Times are a number with ms, s, m or h. In the \
         environment and in flags, lists are separated by commas.",
    )]);
    page.control("SH", ["SETTINGS"]);
    for key in KEYS {
        page.control("TP", []);
        page.text([bold(key.path), roman(" = "), italic(key.value)]);
        page.text([roman(format!("{}.", key.help.trim_end_matches('.')))]);
        page.control("br", []);
        page.text([roman(format!("Default: {}. Flag: ", default(key))), bold(format!("--{}", key.flag()))]);
        page.control("br", []);
        page.text([roman("Variable: "), bold(key.variable())]);
    }
    page.control("SH", ["EXAMPLE"]);
    page.control("nf", []);
    for line in ["[cryfttee]", "signer = true", "", "[web3signer]", "url = \"http://localhost:9000\""] {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("cryftgo-tee"),
        roman("(8), "),
        bold("cryftgo-tee-run"),
        roman("(8), "),
        bold("cryfttee"),
        roman("(8)"),
    ]);
    page.to_roff()
}

fn default(key: &Key) -> String {
    match (key.default, key.kind) {
        ("", Kind::List) => "empty".to_owned(),
        ("", _) => "none".to_owned(),
        (value, _) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_configuration_has_every_key_with_its_default_and_its_variable() {
        let page = configuration(&Release { version: "1.2.3", epoch: 0, quick: true });
        for key in KEYS {
            // roff writes a dash as \-.
            for part in [key.path, &default(key), &key.variable()] {
                assert!(page.contains(&part.replace('-', "\\-")), "{}: {part}", key.path);
            }
        }
    }
}

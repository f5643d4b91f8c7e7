//! Copyright and changelog, in the forms that packages want.

use super::{Release, tool};
use crate::stage::workspace;

/// Who answers for the packages. A distributor who builds its own puts its own name here, as Debian's tools do it.
pub(super) fn maintainer() -> String {
    let or = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    format!("{} <{}>", or("DEBFULLNAME", "cryftgo-tee contributors"), or("DEBEMAIL", "cryftgo-tee@packages.invalid"))
}

/// Debian's copyright file: the licence of this project. Those of what is linked in are in `third-party-notices`.
pub(super) fn copyright() -> Result<String, String> {
    let holder = "2026 the cryftgo-tee contributors";
    let mit = paragraph(&tool::read(&workspace().join("LICENSE-MIT"))?, "Permission is hereby granted");
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: cryftgo-tee\n\
         Comment: The programs are linked with crates under permissive licences;\n \
         third-party-notices.gz beside this file has their names, licences and notices.\n\n\
         Files: *\nCopyright: {holder}\nLicense: Expat or Apache-2.0\n\n\
         License: Expat\n{mit}\n\
         License: Apache-2.0\n On Debian systems the text of the Apache License, Version 2.0, is in\n \
         /usr/share/common-licenses/Apache-2.0.\n"
    ))
}

/// The text from `start` on, indented as a field of the copyright file.
fn paragraph(text: &str, start: &str) -> String {
    let text = text.find(start).and_then(|at| text.get(at..)).unwrap_or(text);
    text.trim_end()
        .lines()
        .map(|line| if line.trim().is_empty() { " .\n".to_owned() } else { format!(" {line}\n") })
        .collect()
}

/// One version of CHANGELOG.md.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    version: String,
    /// `YYYY-MM-DD`, where the heading has one.
    day: Option<String>,
    items: Vec<String>,
}

fn sections(changelog: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_item = false;
    for line in changelog.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (version, rest) = heading.split_once(' ').unwrap_or((heading, ""));
            let day = rest.trim_matches(['(', ')']);
            let day = day.starts_with(|first: char| first.is_ascii_digit()).then(|| day.to_owned());
            sections.push(Section { version: version.to_owned(), day, items: Vec::new() });
            in_item = false;
        } else if let Some(section) = sections.last_mut() {
            if let Some(item) = line.strip_prefix("- ") {
                section.items.push(item.to_owned());
                in_item = true;
            } else if let (true, Some(more), Some(item)) = (in_item, line.strip_prefix("  "), section.items.last_mut())
            {
                item.push(' ');
                item.push_str(more.trim());
            } else {
                in_item = false;
            }
        }
    }
    sections
}

/// Debian's changelog. The newest section is that of the release that is being built, whatever its heading says.
pub(super) fn changelog(package: &str, release: &Release<'_>) -> Result<String, String> {
    let mut text = String::new();
    for (number, section) in sections(&tool::read(&workspace().join("CHANGELOG.md"))?).into_iter().enumerate() {
        let version = if number == 0 { release.version } else { &section.version };
        let date = date("+%a, %d %b %Y %H:%M:%S +0000", number, &section, release)?;
        text.push_str(&format!("{package} ({version}) stable; urgency=medium\n\n"));
        for item in &section.items {
            text.push_str(&wrap(item, "  * ", "    "));
        }
        text.push_str(&format!("\n -- {}  {date}\n\n", maintainer()));
    }
    text.pop();
    Ok(text)
}

/// The same for `%changelog` of the `.rpm`.
pub(super) fn rpm_changelog(release: &Release<'_>) -> Result<String, String> {
    let mut text = String::new();
    for (number, section) in sections(&tool::read(&workspace().join("CHANGELOG.md"))?).into_iter().enumerate() {
        let version = if number == 0 { release.version } else { &section.version };
        let date = date("+%a %b %d %Y", number, &section, release)?;
        text.push_str(&format!("* {date} {} - {version}-1\n", maintainer()));
        for item in &section.items {
            // rpm would take a percent sign for a macro.
            text.push_str(&wrap(&item.replace('%', "%%"), "- ", "  "));
        }
        text.push('\n');
    }
    Ok(text)
}

fn date(format: &str, number: usize, section: &Section, release: &Release<'_>) -> Result<String, String> {
    let at = match &section.day {
        Some(day) if number > 0 => day.clone(),
        _ => format!("@{}", release.epoch),
    };
    let said = tool::output("date", &["--utc", "--date", &at, format], &workspace())?;
    Ok(said.trim().to_owned())
}

/// Lines of at most 78 columns.
fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut wrapped = String::new();
    let mut line = first.to_owned();
    for (number, word) in text.split_whitespace().enumerate() {
        if number > 0 && line.chars().count() + 1 + word.chars().count() > 78 {
            wrapped.push_str(line.trim_end());
            wrapped.push('\n');
            line = rest.to_owned();
        } else if number > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    wrapped + line.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_whole_and_prose_between_them_is_not_an_item() {
        let text = "# Changelog\n\nprose\n\n## 0.2.0 (2027-01-02)\n\nThe second.\n\n- one\n  goes on\n- two\n\n## 0.1.0\n- old\n";
        let section = |version: &str, day: Option<&str>, items: &[&str]| Section {
            version: version.to_owned(),
            day: day.map(str::to_owned),
            items: items.iter().map(|item| (*item).to_owned()).collect(),
        };
        let expected =
            [section("0.2.0", Some("2027-01-02"), &["one goes on", "two"]), section("0.1.0", None, &["old"])];
        assert_eq!(sections(text), expected);
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        let wrapped = wrap(&"word ".repeat(30), "  * ", "    ");
        assert!(wrapped.lines().count() > 1 && wrapped.lines().all(|line| line.len() <= 78), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().filter(|word| *word == "word").count(), 30);
    }
}

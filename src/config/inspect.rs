//! The configuration as a subject: every value and where it came from, and everything that is wrong with it at once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::keys::{KEYS, Key};
use super::layers::{self, CommandLine};
use super::{ConfigError, environment, settings};

/// One setting, as it counts.
#[derive(Debug)]
pub struct Effective {
    /// Which one.
    pub key: &'static Key,
    /// Its value.
    pub value: serde_json::Value,
    /// `flag --…`, `environment variable …`, the path of a file, or `default`.
    pub origin: String,
}

/// What looking through the configuration brought.
#[derive(Debug)]
pub struct Inspection {
    /// The files that were read, weakest first.
    pub files: Vec<PathBuf>,
    /// Every setting, in the order of the table.
    pub values: Vec<Effective>,
    /// Everything that is wrong. Empty: the verifier would take it.
    pub problems: Vec<ConfigError>,
}

/// Looks through flags, environment, files and defaults.
pub fn inspect(command_line: &CommandLine) -> Inspection {
    let names = std::env::vars_os().map(|(name, _)| name);
    let unknown = names.filter_map(|name| environment::refuse_unknown(std::iter::once(name)).err()).collect();
    look(command_line, None, |name| environment::read(name, std::env::var_os(name)), unknown)
}

/// Looks through these files, each stronger than the one before, over the defaults, and nothing else.
pub fn inspect_files(files: &[PathBuf]) -> Inspection {
    look(&CommandLine::default(), Some(files), |_| Ok(None), Vec::new())
}

fn look(
    command_line: &CommandLine,
    named: Option<&[PathBuf]>,
    variable: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    mut problems: Vec<ConfigError>,
) -> Inspection {
    let (mut figment, files) = layers::read_leniently(command_line, named, variable, &mut problems);
    let values = KEYS.iter().map(|key| effective(&figment, key)).collect();
    // A wrong value is told, gives way to the default, and the next one comes to light. Where the default helps nothing, as
    // with two settings that do not go together, its whole table gives way.
    let mut told = BTreeSet::new();
    while let Err(error) = settings::validate(&figment, settings::User::Verifier) {
        let ConfigError::Value { key, .. } = &error else {
            problems.push(error);
            break;
        };
        let key = *key;
        let table = key.split('.').next().unwrap_or_default();
        let tables = [key.to_owned(), format!("{table}.")];
        // The key itself the first time, its table the second.
        let Some(gives_way) = tables.into_iter().find(|prefix| told.insert(prefix.clone())) else { break };
        if gives_way == key {
            problems.push(error);
        }
        let defaults = KEYS.iter().filter(|known| known.path.starts_with(&gives_way)).map(layers::default);
        figment = defaults.fold(figment, |figment, default| figment.merge(default));
    }
    Inspection { files, values, problems }
}

fn effective(figment: &figment::Figment, key: &'static Key) -> Effective {
    let value = figment.find_value(key.path).ok();
    let value = value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_default();
    let origin = figment.find_metadata(key.path).map_or_else(String::new, |found| found.name.to_string());
    Effective { key, value, origin }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("write");
        path
    }

    #[test]
    fn every_problem_is_found_at_once_and_each_names_its_file_and_key() {
        let folder = tempfile::tempdir().expect("folder");
        let first = write(
            folder.path(),
            "a.toml",
            "bogus = 1\nhandoff = \"x\"\n[watch]\ninterval = \"soon\"\nintervall = \"1s\"\n[cryfttee]\nbinary = \"x\"\n",
        );
        let second = write(folder.path(), "b.toml", "[trust\n");
        let third = write(folder.path(), "c.toml", "[trust]\nthreshold = 0\n");
        let files = [first, second, third, folder.path().join("none.toml")];
        let problems: Vec<String> =
            inspect_files(&files).problems.iter().map(|error| crate::text::one_line(error)).collect();
        let expected = [
            ("bogus", "a.toml"),
            ("watch.intervall", "a.toml"),
            ("parse", "b.toml"),
            ("none.toml", "No such file"),
            ("cryfttee.binary", "a.toml"),
            ("handoff", "a.toml"),
            ("watch.interval", "a.toml"),
            ("trust.threshold", "c.toml"),
        ];
        for (key, file) in expected {
            let told = problems.iter().filter(|line| line.contains(key) && line.contains(file)).count();
            assert!(told >= 1, "{key} in {file}: {problems:#?}");
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn settings_that_do_not_go_together_are_told_once() {
        let folder = tempfile::tempdir().expect("folder");
        let file = write(folder.path(), "a.toml", "[trust]\nversion = \"1\"\n[cryfttee]\ntransport = \"https\"\n");
        let problems = inspect_files(&[file]).problems;
        let named = |key: &str| problems.iter().filter(|error| error.to_string().starts_with(key)).count();
        assert_eq!((named("trust.version"), named("cryfttee.tls_cert")), (1, 1), "{problems:?}");
    }

    #[test]
    fn every_setting_is_shown_with_the_layer_it_is_from() {
        let folder = tempfile::tempdir().expect("folder");
        let weak = write(folder.path(), "a.toml", "[watch]\ninterval = \"1s\"\n[watch.restart]\nmax = 9\n");
        let strong = write(folder.path(), "b.toml", "[watch]\ninterval = \"2s\"\n");
        let found = inspect_files(&[weak.clone(), strong.clone()]);
        assert_eq!(found.values.len(), KEYS.len());
        let of = |path: &str| {
            let found = found.values.iter().find(|found| found.key.path == path).expect("there");
            (found.value.clone(), found.origin.clone())
        };
        assert_eq!(of("watch.interval"), ("2s".into(), strong.display().to_string()));
        assert_eq!(of("watch.restart.max"), (9.into(), weak.display().to_string()));
        assert_eq!(of("on_mismatch"), ("kill".into(), "default".to_owned()));
        assert_eq!(of("trust.pins").0, serde_json::json!([]));
        let command_line = CommandLine { file: Some(strong), flags: [("watch.interval", "3s".to_owned())].into() };
        let variable = |name: &str| Ok((name == "CRYFTGO_WATCH_MAPPINGS").then(|| "off".to_owned()));
        let found = look(&command_line, None, variable, Vec::new());
        let origin = |path: &str| {
            found.values.iter().find(|found| found.key.path == path).map(|found| found.origin.clone()).expect("there")
        };
        assert_eq!(origin("watch.interval"), "flag --watch-interval");
        assert_eq!(origin("watch.mappings"), "environment variable CRYFTGO_WATCH_MAPPINGS");
    }
}

//! Where values come from, weakest first: default, `/usr/lib`, `/etc`, `/run`, environment, flag.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::keys::{KEYS, Key, Kind};
use crate::dropins;

/// The folders that hold configuration, weakest first; in each `cryftgo-tee.toml`, then `conf.d/*.toml`.
const FOLDERS: [&str; 3] = ["/usr/lib/cryftgo-tee", "/etc/cryftgo-tee", "/run/cryftgo-tee"];

/// How the origin of a default is called.
const DEFAULT: &str = "default";

/// More than any configuration needs; what is larger is not one.
const MAX_FILE: u64 = 1024 * 1024;

/// What came with the call: flags, and the file that stands in for the system's folders.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// `--config`: read this file and none of the system's.
    pub file: Option<PathBuf>,
    /// Settings given as flags: key to text.
    pub flags: BTreeMap<&'static str, String>,
}

/// Reads every layer. `variable` looks an environment variable up.
pub(super) fn read(
    command_line: &CommandLine,
    variable: impl Fn(&str) -> Result<Option<String>, ConfigError>,
) -> Result<Figment, ConfigError> {
    let mut figment = defaults();
    for file in files(command_line)? {
        figment = figment.merge(File::read(&file)?);
    }
    for key in KEYS {
        let name = key.variable();
        if let Some(text) = variable(&name)? {
            figment = figment.merge(Given::new(key, format!("environment variable {name}"), &text)?);
        }
    }
    for key in KEYS {
        if let Some(text) = command_line.flags.get(key.path) {
            figment = figment.merge(Given::new(key, format!("flag --{}", key.flag()), text)?);
        }
    }
    Ok(figment)
}

/// The weakest layer.
fn defaults() -> Figment {
    KEYS.iter().fold(Figment::new(), |figment, key| figment.merge(default(key)))
}

/// The default of a setting, as a layer.
pub(super) fn default(key: &Key) -> impl Provider + use<> {
    let value = key.read(key.default).expect("the defaults are well formed: tested");
    Given { source: DEFAULT.to_owned(), path: key.path, value }
}

/// Reads every layer as far as it can be read, and gathers what is wrong with them. `files` stand in for those of the command
/// line and of the system.
pub(super) fn read_leniently(
    command_line: &CommandLine,
    named: Option<&[PathBuf]>,
    variable: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    problems: &mut Vec<ConfigError>,
) -> (Figment, Vec<PathBuf>) {
    let mut figment = defaults();
    let files = match named.map_or_else(|| files(command_line), |named| Ok(named.to_vec())) {
        Ok(files) => files,
        Err(error) => {
            problems.push(error);
            Vec::new()
        }
    };
    for file in &files {
        match File::read_known(file) {
            Ok((file, unknown)) => {
                problems.extend(unknown);
                figment = figment.merge(file);
            }
            Err(error) => problems.push(error),
        }
    }
    for key in KEYS {
        let name = key.variable();
        let given = variable(&name).and_then(|text| {
            text.map(|text| Given::new(key, format!("environment variable {name}"), &text)).transpose()
        });
        let flag = command_line.flags.get(key.path);
        let flag = flag.map(|text| Given::new(key, format!("flag --{}", key.flag()), text)).transpose();
        for given in [given, flag] {
            match given {
                Ok(Some(given)) => figment = figment.merge(given),
                Ok(None) => {}
                Err(error) => problems.push(error),
            }
        }
    }
    (figment, files)
}

fn files(command_line: &CommandLine) -> Result<Vec<PathBuf>, ConfigError> {
    if let Some(file) = &command_line.file {
        return Ok(vec![file.clone()]);
    }
    let mut files = Vec::new();
    for folder in FOLDERS.map(Path::new) {
        let main = folder.join("cryftgo-tee.toml");
        if main.try_exists().map_err(|source| ConfigError::Read { path: main.clone(), source })? {
            files.push(main);
        }
        let folder = folder.join("conf.d");
        let listed = dropins::list_folder(&folder, "toml");
        files.extend(listed.map_err(|source| ConfigError::Read { path: folder, source })?);
    }
    Ok(files)
}

/// A configuration file, every key of which is known.
struct File {
    path: PathBuf,
    values: Dict,
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let (file, unknown) = Self::read_known(path)?;
        unknown.into_iter().next().map_or(Ok(file), Err)
    }

    /// What is in a file, and one error for each key that there is not.
    fn read_known(path: &Path) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        fs::File::open(path).map_err(read)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > MAX_FILE {
            return Err(read(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB")));
        }
        let values: Dict = <figment::providers::Toml as figment::providers::Format>::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), reason: source.to_string() })?;
        let mut unknown = Vec::new();
        find_unknown(path, "", &values, &mut unknown);
        Ok((Self { path: path.to_owned(), values }, unknown))
    }
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.path.display().to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::default(), self.values.clone())]))
    }
}

fn find_unknown(file: &Path, prefix: &str, values: &Dict, unknown: &mut Vec<ConfigError>) {
    for (name, value) in values {
        let path = format!("{prefix}{name}");
        let inner = format!("{path}.");
        match value {
            _ if KEYS.iter().any(|key| key.path == path) => {}
            Value::Dict(_, table) if KEYS.iter().any(|key| key.path.starts_with(&inner)) => {
                find_unknown(file, &inner, table, unknown);
            }
            _ => unknown.push(ConfigError::UnknownKey { path: file.to_owned(), hint: super::hint(&path), key: path }),
        }
    }
}

/// One value from a flag or the environment.
struct Given {
    source: String,
    path: &'static str,
    value: Value,
}

impl Given {
    fn new(key: &Key, source: String, text: &str) -> Result<Self, ConfigError> {
        let value =
            key.read(text).map_err(|reason| ConfigError::Value { key: key.path, origin: source.clone(), reason })?;
        Ok(Self { source, path: key.path, value })
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::default(self.path, &self.value).data()
    }
}

impl Key {
    /// Reads text from a flag or the environment as the kind of value that this setting takes.
    fn read(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(Value::from(true)),
                "false" | "0" | "no" | "off" => Ok(Value::from(false)),
                _ => Err(format!("expected true or false, found {text:?}")),
            },
            Kind::Number => {
                text.parse::<u32>().map(Value::from).map_err(|_| format!("expected a number, found {text:?}"))
            }
            Kind::Text | Kind::Time => Ok(Value::from(text)),
            // Empty means none; an empty item among others is a slip.
            Kind::List if text.trim().is_empty() => Ok(Value::from(Vec::<Value>::new())),
            Kind::List => {
                let items: Vec<&str> = text.split(',').map(str::trim).collect();
                if items.contains(&"") {
                    return Err(format!("expected items separated by commas, found an empty one in {text:?}"));
                }
                Ok(Value::from(items.into_iter().map(Value::from).collect::<Vec<_>>()))
            }
        }
    }
}

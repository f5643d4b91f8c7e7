//! The flags of the settings, made from the one table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::CommandLine;
use crate::config::keys::{KEYS, Kind};

/// `--config` and a flag for every setting.
#[derive(Debug, Clone)]
pub(super) struct SettingArgs(CommandLine);

impl SettingArgs {
    pub(super) const fn command_line(&self) -> &CommandLine {
        &self.0
    }
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Read this configuration file and none of the system's");
        let flags = KEYS.iter().map(|key| {
            let default = if key.default.is_empty() { "none" } else { key.default };
            let flag = Arg::new(key.path)
                .long(key.flag())
                .value_name(key.value)
                .help(key.help)
                .long_help(format!("{}\n[default: {default}] [key: {}] [env: {}]", key.help, key.path, key.variable()))
                .help_heading("Settings");
            match key.kind {
                // `--cryfttee-signer` alone means true, as a user of the document would write it.
                Kind::Switch => flag.num_args(0..=1).default_missing_value("true").overrides_with(key.path),
                Kind::List => flag.action(clap::ArgAction::Append),
                // The last one counts, so that a drop-in or a wrapper can append to a command line.
                Kind::Text | Kind::Number | Kind::Time => flag.overrides_with(key.path),
            }
        });
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = BTreeMap::new();
        for key in KEYS {
            let given: Vec<&String> = matches.get_many(key.path).into_iter().flatten().collect();
            if !given.is_empty() {
                let given: Vec<&str> = given.into_iter().map(String::as_str).collect();
                flags.insert(key.path, given.join(","));
            }
        }
        Ok(Self(CommandLine { file: matches.get_one::<PathBuf>("config").cloned(), flags }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

//! `cryftgo-tee config check` and `config show`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use contract::exit;

use super::call::json;
use super::print;
use super::settings::SettingArgs;
use crate::config::{self, Effective, Inspection};
use crate::text::{one_line, sanitise};

const CHECK_HELP: &str = "\
Example:
  $ cryftgo-tee config check /etc/cryftgo-tee/conf.d/mine.toml
  unknown key \"watch.intervall\" in /etc/cryftgo-tee/conf.d/mine.toml; did you mean \"watch.interval\"?

Without a file, what the service would read is checked: flags, environment and the system's files. With files, these
alone, each stronger than the one before, over the defaults. One line for each problem; nothing is started.

Exit codes: 0 nothing is wrong; 78 something is.";

const SHOW_HELP: &str = "\
Example:
  $ cryftgo-tee config show --origin | grep interval
  watch.interval = \"10s\"  # default

Values are what counts in the end: flag, environment, /run, /etc, /usr/lib, default.

Exit codes: 0 printed; 78 printed, and something is wrong with it.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with the configuration, all of it at once
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Print every setting as it counts
    #[command(after_help = SHOW_HELP)]
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Check these instead of what the service would read
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Say where each value came from
    #[arg(long)]
    origin: bool,
    /// Print {KEY: {"value", "origin", "default"}}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    match &args.command {
        Command::Check(args) => check(args),
        Command::Show(args) => show(args),
    }
}

fn check(args: &CheckArgs) -> ExitCode {
    let Inspection { files, problems, .. } = match args.files.as_slice() {
        [] => config::inspect(args.settings.command_line()),
        files => config::inspect_files(files),
    };
    if problems.is_empty() {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let files = if files.is_empty() { "no file: the defaults".to_owned() } else { files.join(" ") };
        return print(&format!("ok {}", sanitise(&files)));
    }
    let _ = print(&lines(&problems));
    ExitCode::from(exit::CONFIG)
}

fn lines(problems: &[config::ConfigError]) -> String {
    problems.iter().map(|problem| one_line(problem)).collect::<Vec<_>>().join("\n")
}

fn show(args: &ShowArgs) -> ExitCode {
    let Inspection { values, problems, .. } = config::inspect(args.settings.command_line());
    let printed = print(&if args.json { as_json(&values) } else { as_text(&values, args.origin) });
    if problems.is_empty() {
        return printed;
    }
    for line in lines(&problems).lines() {
        eprintln!("cryftgo-tee: {line}");
    }
    ExitCode::from(exit::CONFIG)
}

fn as_json(values: &[Effective]) -> String {
    let object = values.iter().map(|Effective { key, value, origin }| {
        (key.path.to_owned(), serde_json::json!({ "value": value, "origin": origin, "default": key.default }))
    });
    json(&object.collect::<serde_json::Map<_, _>>().into())
}

/// `watch.interval = "10s"  # default`: dotted keys are TOML, so this can be read back.
fn as_text(values: &[Effective], origin: bool) -> String {
    let line = |Effective { key, value, origin: from }: &Effective| {
        // Text is printed as JSON spells it, which TOML reads too, and which steers no terminal.
        let value = json(value);
        if origin { format!("{} = {value}  # {}", key.path, sanitise(from)) } else { format!("{} = {value}", key.path) }
    };
    values.iter().map(line).collect::<Vec<_>>().join("\n")
}

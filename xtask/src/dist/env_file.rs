//! The sidecar's settings as a file of variables, each with its default, from its command line.

use clap::Command;

/// An environment file as systemd reads it; everything is commented out.
pub(super) fn of(command: Command) -> String {
    let mut text = String::from(
        "# Settings of cryfttee when it is run by hand, each with its default; for EnvironmentFile= or a shell.\n\
         # Under the verifier none of this is read: there, the settings are those of /etc/cryftgo-tee/cryftgo-tee.toml.\n",
    );
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else { continue };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let default = argument.get_default_values().first().map(|value| value.display().to_string());
        text.push_str(&format!("\n# {help}.\n#{}={}\n", variable.display(), default.unwrap_or_default()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_stands_with_its_default() {
        let text = of(cryfttee::cli::command());
        assert!(text.contains("\n#CRYFTTEE_WEB3SIGNER_URL=http://localhost:9000\n"), "{text}");
        for argument in cryfttee::cli::command().get_arguments() {
            let Some(variable) = argument.get_env() else { continue };
            assert!(text.contains(&format!("\n#{}=", variable.display())), "{}", variable.display());
        }
    }
}

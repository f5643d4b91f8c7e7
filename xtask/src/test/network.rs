//! A network for the containers of one scenario, which leads nowhere else.

use std::process::{Command, Stdio};

use super::rootfs::Suite;

/// A bridge without an address; it is gone with this value.
pub(super) struct Network {
    name: String,
}

impl Network {
    /// One for a container of `suite`. Errors: what `ip` said.
    pub(super) fn make(suite: Suite) -> Result<Self, String> {
        // Names of interfaces have 15 bytes at most.
        let network = Self { name: format!("cg{}-{}", suite as u8, std::process::id()) };
        ip(&["link", "add", &network.name, "type", "bridge"])?;
        ip(&["link", "set", &network.name, "up"])?;
        Ok(network)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(reason) = ip(&["link", "delete", &self.name]) {
            eprintln!("{reason}");
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("ip")
        .args(arguments)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("start ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {} ended with {}: {}", arguments.join(" "), output.status, said.trim()))
}

//! A TPM in software for one boot of a container, which finds it in `/share`: like the TPM of a host, it is reset by a boot and
//! keeps its keys.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where it listens, in the folder that the container shares.
const SOCKET: &str = "tpm.sock";

/// Runs until it is dropped.
pub(super) struct SoftTpm(Child);

impl SoftTpm {
    /// Errors: why it cannot be had, as the reason for skipping.
    pub(super) fn start(share: &Path) -> Result<Self, String> {
        let describe = |error: std::io::Error| format!("swtpm (Debian: swtpm): {error}");
        std::fs::create_dir_all(share.join("tpm")).map_err(describe)?;
        let _ = std::fs::remove_file(share.join(SOCKET));
        let swtpm = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", "dir=tpm", "--flags", "not-need-init,startup-clear"])
            .args(["--server", &format!("type=unixio,path={SOCKET}")])
            // By a short name: the path of a socket has room for a hundred characters.
            .current_dir(share)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(describe)?;
        let mut started = Self(swtpm);
        let until = Instant::now() + Duration::from_secs(10);
        while !share.join(SOCKET).exists() {
            if let Some(status) = started.0.try_wait().map_err(describe)? {
                return Err(format!("swtpm ended with {status}"));
            }
            if Instant::now() > until {
                return Err("swtpm made no socket".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(started)
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

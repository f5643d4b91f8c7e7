//! One run of the verifier as a service: systemd's part of the conversation.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use contract::Digest;

use super::heard::Heard;
use super::helper::exec_at;
use super::interrupt::{Interrupt, Interrupted};
use super::notify::NotifySocket;
use super::process::{Gifts, Process, ProcessError};
use super::signer::SignerSettings;

/// How long a start may take before the stand-in for systemd gives up (`TimeoutStartSec=`).
const START_TIMEOUT: Duration = Duration::from_secs(45);
/// `WatchdogSec=` of the stand-in.
const WATCHDOG: Duration = Duration::from_secs(30);
/// How long a stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What one run of the verifier is started with.
pub(crate) struct UnitSettings {
    pub(crate) verifier: PathBuf,
    /// A private folder for its sockets, its state and its log.
    pub(crate) folder: PathBuf,
    pub(crate) sidecar: PathBuf,
    /// The one reference value it trusts.
    pub(crate) pin: Digest,
    pub(crate) signer: SignerSettings,
    /// The time between re-checks; `None` is the verifier's default.
    pub(crate) watch_interval: Option<Duration>,
    /// Further flags of the verifier, with their values.
    pub(crate) flags: Vec<(&'static str, OsString)>,
}

/// A verifier that was started.
pub(crate) struct Unit {
    // Dropped first: the process must be gone before the socket it talks to.
    process: Process,
    notify: NotifySocket,
    exec_at: Option<Instant>,
    /// The public socket, as clients know it.
    pub(crate) socket: PathBuf,
    /// Where it keeps what it knows of its identity.
    pub(crate) state: PathBuf,
}

/// Something that the verifier did.
pub(crate) enum Event {
    /// It said `STATUS=`.
    Status { after: Duration, text: String },
    /// It said `READY=1`.
    Ready { after: Duration },
    /// It said `WATCHDOG=1`.
    Watchdog,
    /// It said `STOPPING=1`.
    Stopping,
    /// It ended.
    Ended(ExitStatus),
}

/// How a stop went.
pub(crate) struct Stopped {
    pub(crate) took: Duration,
    /// It said `STOPPING=1`.
    pub(crate) announced: bool,
    pub(crate) status: ExitStatus,
}

/// Why a unit did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnitError {
    #[error("verifier: {0}")]
    Process(#[from] ProcessError),
    #[error("prepare {}: {source}", path.display())]
    Prepare { path: PathBuf, source: std::io::Error },
    #[error("read the notify socket: {0}")]
    Notify(#[source] std::io::Error),
    #[error("the verifier ended ({status}) before {awaited}: {said}")]
    Ended { status: ExitStatus, awaited: &'static str, said: String },
    #[error("no {awaited} from the verifier within {} s; it last wrote: {said}", within.as_secs())]
    Silent { awaited: &'static str, within: Duration, said: String },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Unit {
    /// Makes the folder and both sockets, and starts the verifier.
    pub(crate) fn start(settings: &UnitSettings) -> Result<Self, UnitError> {
        Self::start_with(settings, None)
    }

    /// The same, with what the verifier says on stderr heard line by line, as it comes.
    pub(crate) fn start_heard(settings: &UnitSettings) -> Result<(Self, Heard), UnitError> {
        let log = settings.folder.join("verifier.log");
        let (heard, stderr) = Heard::listen(&log).map_err(unprepared(&log))?;
        Ok((Self::start_with(settings, Some(stderr))?, heard))
    }

    fn start_with(settings: &UnitSettings, stderr: Option<OwnedFd>) -> Result<Self, UnitError> {
        let folder = &settings.folder;
        let at = |name: &str| folder.join(name);
        for path in [folder.clone(), at("pins.d"), at("run"), at("state")] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(unprepared(&path))?;
        }
        // An empty file of our own, so that the configuration of this host has no part in what is shown.
        let config = at("empty.toml");
        std::fs::write(&config, "").map_err(unprepared(&config))?;

        let socket = at("api.sock");
        let notify_path = at("notify.sock");
        for path in [&socket, &notify_path] {
            remove_if_there(path).map_err(unprepared(path))?;
        }
        let listener = UnixListener::bind(&socket).map_err(unprepared(&socket))?;
        let notify = NotifySocket::bind(&notify_path).map_err(unprepared(&notify_path))?;

        let gifts = Gifts {
            listener: Some((listener.into(), contract::defaults::API_FD_NAME)),
            notify_socket: Some(&notify_path),
            notify: true,
            watchdog: Some(WATCHDOG),
            stderr,
        };
        let arguments = settings.arguments(&config, &socket);
        let process = Process::start(&settings.verifier, &arguments, &[], gifts, at("verifier.log"))?;
        Ok(Self { process, notify, exec_at: None, socket, state: at("state") })
    }

    /// The pid of the verifier.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The last line that the verifier wrote.
    pub(crate) fn last_line(&self) -> String {
        self.process.last_line()
    }

    /// What happened next, if anything did within a tick. One datagram may hold several events.
    pub(crate) fn look(&mut self) -> Result<Vec<Event>, UnitError> {
        let Some(datagram) = self.notify.receive().map_err(UnitError::Notify)? else {
            return Ok(self.process.ended()?.map(Event::Ended).into_iter().collect());
        };
        // NotifyAccess=main: whoever else writes here is not heard.
        if u32::try_from(datagram.sender).ok() != Some(self.process.pid()) {
            return Ok(Vec::new());
        }
        if let Some(exec) = exec_at(&datagram.text) {
            self.exec_at = Some(exec);
            return Ok(Vec::new());
        }
        let after = self.exec_at.map(|exec| datagram.at.saturating_duration_since(exec)).unwrap_or_default();
        let mut events: Vec<Event> = datagram
            .text
            .lines()
            .filter_map(|line| match line.split_once('=')? {
                ("STATUS", text) => Some(Event::Status { after, text: text.to_owned() }),
                ("READY", "1") => Some(Event::Ready { after }),
                ("WATCHDOG", "1") => Some(Event::Watchdog),
                ("STOPPING", "1") => Some(Event::Stopping),
                _ => None,
            })
            .collect();
        // The status that comes with READY is read before it, so that it is shown before it.
        events.sort_by_key(|event| !matches!(event, Event::Status { .. }));
        Ok(events)
    }

    /// Waits for READY; the time is counted from exec. Every STATUS on the way goes to `step`.
    pub(crate) fn wait_ready(
        &mut self,
        interrupt: &Interrupt,
        mut step: impl FnMut(Duration, &str),
    ) -> Result<Duration, UnitError> {
        self.wait("READY", START_TIMEOUT, interrupt, |event| match event {
            Event::Status { after, text } => {
                step(after, &text);
                None
            }
            Event::Ready { after } => Some(after),
            _ => None,
        })
    }

    /// Waits for one ping of the watchdog.
    pub(crate) fn wait_watchdog(&mut self, within: Duration, interrupt: &Interrupt) -> Result<(), UnitError> {
        self.wait("WATCHDOG=1", within, interrupt, |event| matches!(event, Event::Watchdog).then_some(()))
    }

    /// Takes what it said meanwhile, so that it never waits for a listener. Err once it has ended.
    pub(crate) fn keep_up(&mut self) -> Result<(), UnitError> {
        loop {
            let events = self.look()?;
            if events.is_empty() {
                return Ok(());
            }
            if let Some(Event::Ended(status)) = events.into_iter().find(|event| matches!(event, Event::Ended(_))) {
                return Err(UnitError::Ended { status, awaited: "the end of the bench", said: self.last_line() });
            }
        }
    }

    /// Waits for its end, whatever it says on the way; true beside the status if it ever said READY.
    pub(crate) fn wait_end(&mut self, interrupt: &Interrupt) -> Result<(ExitStatus, bool), UnitError> {
        let mut was_ready = false;
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            for event in self.look()? {
                match event {
                    Event::Ready { .. } => was_ready = true,
                    Event::Ended(status) => return Ok((status, was_ready)),
                    _ => {}
                }
            }
            interrupt.check()?;
        }
        Err(UnitError::Silent { awaited: "end", within: START_TIMEOUT, said: self.last_line() })
    }

    /// SIGTERM, and everything up to the exit. Ctrl-C does not cut this short.
    pub(crate) fn stop(mut self) -> Result<Stopped, UnitError> {
        let asked = Instant::now();
        self.process.terminate()?;
        let mut announced = false;
        while asked.elapsed() < STOP_TIMEOUT {
            for event in self.look()? {
                match event {
                    Event::Stopping => announced = true,
                    Event::Ended(status) => return Ok(Stopped { took: asked.elapsed(), announced, status }),
                    _ => {}
                }
            }
        }
        Err(UnitError::Silent { awaited: "end after SIGTERM", within: STOP_TIMEOUT, said: self.last_line() })
    }

    fn wait<T>(
        &mut self,
        awaited: &'static str,
        within: Duration,
        interrupt: &Interrupt,
        mut wanted: impl FnMut(Event) -> Option<T>,
    ) -> Result<T, UnitError> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            for event in self.look()? {
                if let Event::Ended(status) = event {
                    return Err(UnitError::Ended { status, awaited, said: self.last_line() });
                }
                if let Some(found) = wanted(event) {
                    return Ok(found);
                }
            }
            interrupt.check()?;
        }
        Err(UnitError::Silent { awaited, within, said: self.last_line() })
    }
}

impl UnitSettings {
    fn arguments(&self, config: &Path, socket: &Path) -> Vec<OsString> {
        let at = |name: &str| self.folder.join(name);
        let pin = self.pin.to_string();
        let interval = self.watch_interval.map(|time| format!("{}ms", time.as_millis()));
        let mut flags: Vec<(&str, &OsStr)> = vec![("--cryfttee-signer", "true".as_ref())];
        let (pins, control, state) = (at("pins.d"), at("run/control.sock"), at("state"));
        let (verifier_state, identity) = (at("verifier"), at("identity.json"));
        let state_file = at("state.json");
        flags.extend([
            ("--config", config.as_os_str()),
            ("--cryfttee-binary", self.sidecar.as_os_str()),
            ("--cryfttee-socket", socket.as_os_str()),
            ("--web3signer-url", self.signer.url.as_ref()),
            ("--web3signer-key-generation", self.signer.key_generation.as_ref()),
            ("--control-socket", control.as_os_str()),
            ("--identity-state-dir", state.as_os_str()),
            ("--identity-file", identity.as_os_str()),
            ("--state-file", state_file.as_os_str()),
            // The tamper mark of the flipped byte belongs to the demo, not to the host.
            ("--state-dir", verifier_state.as_os_str()),
            // A build folder is often its group's too, and cargo links a binary under two names.
            ("--launch-check-path", "false".as_ref()),
            // That of this machine, if it has one, is not ours to change.
            ("--tpm-mode", "off".as_ref()),
            ("--trust-pins", pin.as_ref()),
            ("--trust-pins-d", pins.as_os_str()),
            ("--trust-require", "always".as_ref()),
        ]);
        flags.extend(self.signer.eth1_url.as_deref().map(|url| ("--web3signer-eth1-url", OsStr::new(url))));
        flags.extend(interval.as_deref().map(|interval| ("--watch-interval", OsStr::new(interval))));
        flags.extend(self.flags.iter().map(|(flag, value)| (*flag, value.as_os_str())));
        let flat = flags.iter().flat_map(|(flag, value)| [OsString::from(flag), (*value).to_owned()]);
        [OsString::from("run")].into_iter().chain(flat).collect()
    }
}

/// Names the path that could not be prepared.
fn unprepared(path: &Path) -> impl FnOnce(std::io::Error) -> UnitError {
    let path = path.to_owned();
    move |source| UnitError::Prepare { path, source }
}

/// A socket of an earlier run would stand in the way of bind.
pub(super) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

//! The program: settings, sockets, runtime, and one exit code.

use std::error::Error;
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use contract::wire::attestation::HashSource;
use contract::{env, exit};
use cryfttee::cli::Cli;
use cryfttee::config::{ConfigError, Settings};
use cryfttee::listen::{ListenError, Listeners};
use cryfttee::{Evidence, HashSelf, Protection, ServeError, Sidecar, log, serve};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and a closed stdout is nobody's.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { exit::OK } else { exit::USAGE });
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            eprintln!("cryfttee: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    hide_memory();
    let mut settings = Settings::read(cli, std::env::var(env::VERIFIED_BINARY_HASH).ok().as_deref())?;
    // Before anything opens a file: inherited descriptors are taken by number.
    let listeners = Listeners::open(&settings.transport)?;
    log::start(settings.log_level);
    settings.limits.fit_open_files(raise_open_files());
    let protection = Protection::prepare(&settings)?;
    let evidence = Evidence::gather(settings.verified_hash)?;
    if evidence.source() == HashSource::SelfReported {
        tracing::warn!(
            "{} is not set: the attestation says \"self-reported\", which proves nothing",
            env::VERIFIED_BINARY_HASH
        );
    }
    // One thread, which alone serves as long as there are few connections (crew.rs).
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Only the resolver, the making of a key and long lists of keys leave it.
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let outcome = runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(serve(listeners, Sidecar::new(&settings, evidence, protection), stop).await?)
    });
    // Not dropped: that would wait for a resolver that may be stuck for longer than the drain may take.
    runtime.shutdown_background();
    outcome
}

/// Keeps other processes of this user from reading or changing this one's memory. Not where the verifier is this
/// user too, as in development: then it could not read which program runs here.
fn hide_memory() {
    let parent = std::fs::metadata(format!("/proc/{}", nix::unistd::getppid()));
    // A parent that cannot even be seen is another user's, behind hidepid.
    if parent.is_ok_and(|parent| parent.uid() == nix::unistd::geteuid().as_raw()) {
        return;
    }
    if let Err(cause) = nix::sys::prctl::set_dumpable(false) {
        eprintln!("cryfttee: hide memory from other processes: {cause}");
    }
}

/// Raises the soft limit on open files as far as it may be and returns it: a client's connection takes one, and one
/// more towards the signer.
fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::MAX };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(Failure::Signal)
}

/// Why the sidecar ends other than asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("read the configuration")]
    Config(#[from] ConfigError),
    #[error("open the listeners")]
    Listen(#[from] ListenError),
    #[error("gather the evidence")]
    Evidence(#[from] HashSelf),
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals")]
    Signal(#[source] std::io::Error),
    #[error("serve")]
    Serve(#[from] ServeError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::CONFIG,
            Self::Evidence(_) => exit::IO,
            Self::Listen(_) | Self::Runtime(_) | Self::Signal(_) | Self::Serve(_) => exit::OS,
        }
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

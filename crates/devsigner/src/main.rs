//! `cryfttee-devsigner`: the command line of the development signer.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use contract::exit;
use cryfttee_devsigner::cli::Cli;
use cryfttee_devsigner::options::{Extension, Options};
use cryfttee_devsigner::{ServeError, Server, Store, StoreError, server};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long work outside of requests may take to finish at the end.
const FINISH: Duration = Duration::from_secs(1);

/// Why the signer ended badly.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("load the keys")]
    Store(#[from] StoreError),
    #[error("start the server")]
    Serve(#[from] ServeError),
    #[error("start the threads that serve")]
    Runtime(#[source] io::Error),
    #[error("listen for signals")]
    Signals(#[source] io::Error),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where not even this can be written, nobody is there to read it.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let Some(options) = cli.options() else {
        eprintln!("cryfttee-devsigner: {}", cli.two_lines());
        return ExitCode::from(exit::USAGE);
    };
    match run(&cli, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            ExitCode::from(code(&failure))
        }
    }
}

fn run(cli: &Cli, options: Options) -> Result<(), Failure> {
    // Before the keys are loaded, which may take its time.
    server::check(cli.listen)?;
    let raw = if options.has(Extension::Raw) { "signs any raw bytes, " } else { "" };
    eprintln!("cryfttee-devsigner: FOR DEVELOPMENT ONLY: {raw}no access control, no TLS.");
    std::thread::sleep(cli.load_delay);
    let store = Store::open_for(&cli.keys, cli.password_file.as_deref(), &options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let outcome = runtime.block_on(async {
        // Before the address is announced: a signal that comes right after it must find its handler.
        let (term, int) = signals().map_err(Failure::Signals)?;
        let server = Server::bind_with(cli.listen, store, options).await?;
        announce(server.address());
        server.serve(either(term, int)).await;
        Ok(())
    });
    // Keystores that are still being opened may take minutes, and a key half taken in is no key: files are whole or
    // not there.
    runtime.shutdown_timeout(FINISH);
    outcome
}

/// The one line that a parent process waits for. One that closed its end does not care.
fn announce(address: SocketAddr) {
    let mut out = io::stdout();
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
}

fn signals() -> io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

async fn either(mut term: Signal, mut int: Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn tell(failure: &Failure) {
    eprint!("cryfttee-devsigner: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
}

/// The contract's exit codes, where one fits.
fn code(failure: &Failure) -> u8 {
    match failure {
        Failure::Serve(ServeError::NotLoopback(_)) => exit::USAGE,
        Failure::Serve(ServeError::Listen { .. }) => exit::UNAVAILABLE,
        Failure::Runtime(_) | Failure::Signals(_) => exit::OS,
        Failure::Store(error) => match error {
            StoreError::MakeFolder { .. }
            | StoreError::List { .. }
            | StoreError::Read { .. }
            | StoreError::Write { .. } => exit::IO,
            StoreError::BadPassword { .. }
            | StoreError::LostPassword { .. }
            | StoreError::BadKeyFile { .. }
            | StoreError::Open { .. }
            | StoreError::NoKey { .. }
            | StoreError::OtherKey { .. } => exit::DATA,
            StoreError::Random(_) | StoreError::Generate(_) | StoreError::Seal(_) => exit::OS,
        },
    }
}

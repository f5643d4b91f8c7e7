//! Diagnostics: what helps to find a fault. Not the audit trail, which has its own way out.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::journald;

/// Sends diagnostics to journald where this process was started by systemd, else to standard error.
pub fn install() {
    let journal = if journald::stderr_is_journal() { tracing_journald::layer().ok() } else { None };
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_ansi(false);
    // tracing-journald waits for a journald that takes nothing, for ever where it is stopped. Standard error leads to
    // the same journald, but by a stream, with room of its own for the little that is said here.
    let with_journal = journal.is_some();
    let journal =
        journal.map(|layer| layer.with_field_prefix(None).with_filter(dynamic_filter_fn(|_, _| journald::takes())));
    let text = text.with_filter(dynamic_filter_fn(move |_, _| !with_journal || !journald::takes()));
    tracing_subscriber::registry().with(journal).with(text).with(LevelFilter::INFO).init();
}

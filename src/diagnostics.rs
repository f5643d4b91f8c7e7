//! Diagnostics: what helps to find a fault. Not the audit trail, which has its own way out.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sends diagnostics to journald where this process was started by systemd, else to standard error.
pub fn install() {
    let level = LevelFilter::INFO;
    if crate::audit::stderr_is_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        tracing_subscriber::registry().with(journal.with_field_prefix(None)).with(level).init();
        return;
    }
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_ansi(false);
    tracing_subscriber::registry().with(text).with(level).init();
}

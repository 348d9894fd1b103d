//! Logs: one event a line, JSON in a cluster, readable on a terminal.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON unless standard error is a terminal.
    Auto,
    /// JSON.
    Json,
    /// Readable.
    Text,
}

/// Sets the process's log up, once. `filter` is in tracing's form, such as `info` or `multi_eni_controller=debug`.
pub fn init(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = match format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !std::io::stderr().is_terminal(),
    };
    // A second set-up (tests) keeps the first.
    let _ = if json { builder.json().flatten_event(true).try_init() } else { builder.with_target(false).try_init() };
}

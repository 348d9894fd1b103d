//! The log: one event per line, as JSON in a cluster and as text on a terminal.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON unless standard error is a terminal.
    Auto,
    /// JSON.
    Json,
    /// Text.
    Text,
}

/// Sets up the log of the process, once. `filter` has the form of tracing, such as `info` or `multi_eni_controller=debug`.
pub fn init(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = has_colours(std::io::stderr().is_terminal(), std::env::var("NO_COLOR").ok().as_deref());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let json = match format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !std::io::stderr().is_terminal(),
    };
    // If the log is set up already (in tests), the first set-up stays.
    let _ = if json { builder.json().flatten_event(true).try_init() } else { builder.with_target(false).try_init() };
}

/// Whether the log has colours: on a terminal only, and not if `NO_COLOR` is set to something (no-color.org).
fn has_colours(is_terminal: bool, no_color: Option<&str>) -> bool {
    is_terminal && no_color.is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_no_colour_codes() {
        assert!(has_colours(true, None) && has_colours(true, Some("")));
        assert!(!has_colours(false, None) && !has_colours(true, Some("1")));
    }
}

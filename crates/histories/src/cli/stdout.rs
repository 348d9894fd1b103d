//! What commands print on standard output.

use std::io::Write;

/// Prints lines on standard output. A full disk is an error, not a panic.
pub(super) fn say(lines: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{lines}").map_err(|error| format!("cannot write to standard output: {error}"))
}

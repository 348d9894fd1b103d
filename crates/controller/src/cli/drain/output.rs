//! Prints to standard output.

use std::io::Write;

/// Prints the text at once. A reader that has gone away does not end the removal.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

//! Prints to standard output. A reader that has gone away, such as head, is no error.

use miette::IntoDiagnostic;
use std::io::{ErrorKind, Write};

/// Prints the result of a command.
pub(super) fn print(text: &str) -> miette::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).into_diagnostic(),
        _ => Ok(()),
    }
}

/// Prints what a command does at this moment. An error does not end the command.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

//! The command `multi-eni crds`: prints the CRDs.

use miette::IntoDiagnostic;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run() -> miette::Result<ExitCode> {
    let yaml = multi_eni_api::crds::yaml().into_diagnostic()?;
    // A closed pipe (head, less) is not an error.
    match std::io::stdout().write_all(yaml.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).into_diagnostic(),
        _ => Ok(ExitCode::SUCCESS),
    }
}

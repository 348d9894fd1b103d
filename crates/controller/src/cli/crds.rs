//! The command `multi-eni crds`: prints the CRDs.

use super::output::print;
use miette::IntoDiagnostic;
use std::process::ExitCode;

pub(super) fn run() -> miette::Result<ExitCode> {
    let yaml = multi_eni_api::crds::yaml().into_diagnostic()?;
    print(&yaml)?;
    Ok(ExitCode::SUCCESS)
}

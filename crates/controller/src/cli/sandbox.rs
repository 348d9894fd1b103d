//! The command `multi-eni sandbox`.

use super::runtime::{interrupted, runtime};
use crate::logs::{self, Format};
use crate::sandbox;
use std::process::ExitCode;

pub(super) fn run(flags: sandbox::Flags) -> miette::Result<ExitCode> {
    if flags.shows_log() {
        logs::init(Format::Text, "info");
    }
    Ok(runtime()?.block_on(sandbox::run(flags, interrupted())))
}

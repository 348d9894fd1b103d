//! Scenarios: scripts that are kept as files, each beside the golden trace that its history must have.

use crate::checker::{Detail, Violation};
use crate::history;
use crate::script::Script;
use std::path::{Path, PathBuf};

/// The outcome of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The trace is the golden one.
    AsKept,
    /// There is no golden trace yet.
    New,
    /// The trace was written as the golden one.
    Written,
    /// An invariant was violated.
    Broke(Violation),
    /// The trace differs from the golden one.
    Differs {
        /// The number of the first line that differs, from 1.
        line: usize,
        /// The line of the golden trace.
        kept: String,
        /// The line of this trace.
        now: String,
    },
}

/// The scripts in a directory, sorted by name.
///
/// # Errors
/// If the directory cannot be read, or has no scripts.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", directory.display());
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(unreadable));
    let mut files: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    if files.is_empty() { Err(format!("{} has no scenarios", directory.display())) } else { Ok(files) }
}

/// Runs a scenario and compares its trace with the golden one beside its script, or writes the golden trace.
///
/// # Errors
/// If the golden trace cannot be read or written.
pub fn play(path: &Path, script: &Script, update: bool) -> Result<Outcome, String> {
    let report = history::run(script, Detail::Story);
    if let Some(breach) = report.breach {
        return Ok(Outcome::Broke(breach));
    }
    let golden = path.with_extension("trace");
    let now = report.trace.join("\n") + "\n";
    if update {
        std::fs::write(&golden, now).map_err(|error| format!("cannot write {}: {error}", golden.display()))?;
        return Ok(Outcome::Written);
    }
    match std::fs::read_to_string(&golden) {
        Ok(kept) => Ok(difference(&kept, &now)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Outcome::New),
        Err(error) => Err(format!("cannot read {}: {error}", golden.display())),
    }
}

fn difference(kept: &str, now: &str) -> Outcome {
    if kept == now {
        return Outcome::AsKept;
    }
    let (mut kept, mut now, mut line) = (kept.lines(), now.lines(), 1);
    loop {
        let (was, is) = (kept.next(), now.next());
        if was != is || was.is_none() {
            let text = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
            return Outcome::Differs { line, kept: text(was), now: text(is) };
        }
        line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), Outcome::AsKept);
        let differs = |line, kept: &str, now: &str| Outcome::Differs { line, kept: kept.into(), now: now.into() };
        assert_eq!(difference("a\nb\n", "a\nc\n"), differs(2, "b", "c"));
        assert_eq!(difference("a\n", "a\nc\n"), differs(2, "(the end)", "c"));
    }
}

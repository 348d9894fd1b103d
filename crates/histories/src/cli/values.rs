//! Reads the arguments that several commands share: a seed or a script's file, a range of seeds, the number of jobs.

use crate::generator;
use crate::script::Script;
use std::ops::Range;
use std::path::Path;

/// The script of a seed or of a file.
pub(super) fn script(named: &str) -> Result<Script, String> {
    if let Ok(seed) = named.parse::<u64>() {
        return Ok(generator::script(seed));
    }
    read(Path::new(named))
}

/// Reads a script's file.
pub(super) fn read(path: &Path) -> Result<Script, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} is neither a seed nor a file that can be read: {error}", path.display()))?;
    let script = Script::parse(&text).map_err(|error| format!("{} is not a script: {error}", path.display()))?;
    match script.senseless() {
        Some(why) => Err(format!("{} cannot be run: {why}", path.display())),
        None => Ok(script),
    }
}

/// Parses `A..B`: from A to before B.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?));
    match parsed {
        Some(range) if range.start < range.end => Ok(range),
        Some(_) => Err(format!("{text} has no seeds: the first number must be smaller than the second")),
        None => Err(format!("{text} is not a range of seeds such as 0..1000")),
    }
}

/// The number of this machine's cores.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

//! Removes what a sandbox left that was killed: its namespaces, the agents in them, and its directory.

use super::foundation::{prefix, process_of};
use super::namespaces::{Namespaces, all_names};
use std::collections::BTreeSet;
use std::path::Path;

/// Removes what earlier sandboxes left, and returns a sentence for each. A sandbox that runs keeps its own.
pub fn remove_leftovers(directories: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directories).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let sandboxes: BTreeSet<u32> = all_names().into_iter().chain(files).filter_map(|name| process_of(&name)).collect();
    sandboxes.into_iter().filter(|process| !is_sandbox(*process)).map(|process| remove(process, directories)).collect()
}

fn remove(process: u32, directories: &Path) -> String {
    let (count, failed) = Namespaces::new(prefix(process)).remove_all();
    // Without the directory there is nothing to remove.
    let _ = std::fs::remove_dir_all(directories.join(prefix(process)));
    let left = format!(
        "an earlier sandbox (process {process}) has left {}",
        multi_eni_plan::counted::counted(count, "namespace")
    );
    if failed.is_empty() {
        format!("{left}; removed")
    } else {
        format!("{left}, and not all could be removed: {}", failed.join("; "))
    }
}

/// Whether the process is another one, runs, and is of the same program. Process IDs are used again, also for this process, which has
/// made nothing yet.
fn is_sandbox(process: u32) -> bool {
    if process == std::process::id() {
        return false;
    }
    let program = |process: &str| std::fs::read_to_string(format!("/proc/{process}/comm")).ok();
    program(&process.to_string()).is_some_and(|name| Some(name) == program("self"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_with_the_id_of_this_process_has_left_is_a_leftover() {
        assert!(!is_sandbox(std::process::id()));
    }
}

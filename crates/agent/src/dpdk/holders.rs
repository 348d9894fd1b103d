//! Which processes hold a device, as their open files show. The agent sees the processes of the node only if it is in the node's PID
//! namespace; otherwise it sees none, and the kernel waits for them.

use std::fmt;
use std::fs;
use std::path::Path;

/// The most processes that a sentence names.
const MOST: usize = 5;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its ID.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
    /// The file by which it holds the device.
    pub file: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}, {})", self.pid, self.program, self.file)
    }
}

/// The processes that have one of the files open.
pub fn of(proc: &Path, files: &[String]) -> Vec<Holder> {
    if files.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| holder(proc, pid, files)).take(MOST).collect()
}

fn holder(proc: &Path, pid: u32, files: &[String]) -> Option<Holder> {
    let directory = proc.join(pid.to_string());
    let open = fs::read_dir(directory.join("fd")).ok()?.flatten();
    let mut targets = open.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()));
    let file = targets.find(|target| files.contains(target))?;
    let program = fs::read_to_string(directory.join("comm")).unwrap_or_default().trim().to_owned();
    Some(Holder { pid, program, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_process_with_the_file_open_is_found_and_others_are_not() {
        let proc = std::env::temp_dir().join(format!("multi-eni-holders-{}", std::process::id()));
        let _ = fs::remove_dir_all(&proc);
        for (pid, target) in [("7", "/dev/vfio/3"), ("8", "/dev/vfio/33"), ("self", "/dev/vfio/3")] {
            fs::create_dir_all(proc.join(pid).join("fd")).unwrap();
            symlink(target, proc.join(pid).join("fd/5")).unwrap();
            fs::write(proc.join(pid).join("comm"), "testpmd\n").unwrap();
        }
        let files = ["/dev/vfio/3".to_owned(), "/dev/vfio/noiommu-3".to_owned()];
        let found: Vec<String> = of(&proc, &files).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["process 7 (testpmd, /dev/vfio/3)"]);
        assert_eq!(of(&proc, &[]), []);
        assert_eq!(of(&proc.join("none"), &files), []);
    }
}

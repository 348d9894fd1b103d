//! Which processes hold a device, as their open files show. The agent sees the processes of the node only if it is in the node's PID
//! namespace; otherwise it sees none, and the kernel waits for them.

use std::fmt;
use std::fs;
use std::io;
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

/// What the open files of all processes show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holders {
    /// The first processes that have one of the files open.
    pub seen: Vec<Holder>,
    /// How many processes do not show the agent their files. Each of them may hold the device.
    pub unseen: usize,
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seen.is_empty() {
            write!(f, "no process that is seen")?;
        }
        for (index, holder) in self.seen.iter().enumerate() {
            write!(f, "{}{holder}", if index == 0 { "" } else { ", " })?;
        }
        unseen_sentence(self.unseen).map_or(Ok(()), |sentence| write!(f, "; {sentence}"))
    }
}

/// What a person should hear of processes that do not show their files. The kernel may refuse even an agent with both capabilities.
pub fn unseen_sentence(unseen: usize) -> Option<String> {
    let processes = if unseen == 1 { "process" } else { "processes" };
    let sentence = || {
        format!(
            "the agent cannot see the files of {unseen} {processes}: DAC_READ_SEARCH or SYS_PTRACE is missing, or the kernel refuses \
             all the same"
        )
    };
    (unseen > 0).then(sentence)
}

/// The processes that have one of the files open.
pub fn of(proc: &Path, files: &[String]) -> Holders {
    let mut found = Holders::default();
    if files.is_empty() {
        return found;
    }
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        match open_file(&proc.join(pid.to_string()).join("fd"), files) {
            Ok(Some(file)) if found.seen.len() < MOST => {
                let comm = fs::read_to_string(proc.join(pid.to_string()).join("comm"));
                found.seen.push(Holder { pid, program: comm.unwrap_or_default().trim().to_owned(), file });
            }
            Ok(_) => {}
            // A process that has ended holds nothing.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {}
            Err(_) => found.unseen = found.unseen.saturating_add(1),
        }
    }
    found
}

/// Which of the files a process has open. The kernel asks for a right to list them, and for another one to see what each is.
fn open_file(directory: &Path, files: &[String]) -> io::Result<Option<String>> {
    for entry in fs::read_dir(directory)? {
        match fs::read_link(entry?.path()) {
            Ok(target) => {
                let target = target.to_string_lossy().into_owned();
                if files.contains(&target) {
                    return Ok(Some(target));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            // The process has closed it meanwhile.
            Err(_) => {}
        }
    }
    Ok(None)
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
        assert_eq!(of(&proc, &files).to_string(), "process 7 (testpmd, /dev/vfio/3)");
        assert_eq!(of(&proc, &[]), Holders::default());
        assert_eq!(of(&proc.join("none"), &files).to_string(), "no process that is seen");
    }
}

//! One process at a time changes the node: `run` and `clean` hold a lock on a file in `--state-dir` until they end. What the one sets up,
//! the other would take back, and the ledgers are in the memory of the agent that runs. The kernel releases the lock of a process that is
//! killed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often a lock that is held is tried again: the holder may be an agent that ends now, or a `doctor` that looks.
const TRIES: usize = 6;
const AGAIN: Duration = Duration::from_millis(200);
/// The name of the program, as the kernel has it.
const PROGRAM: &str = "multi-eni-agent";

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{holder} is at work with the state directory {state_dir}, and would undo what this command does: stop it first. In a cluster it \
         is the agent's pod on this node"
    )]
    Held {
        /// The other process.
        holder: String,
        /// The directory.
        state_dir: String,
    },
    /// The file of the lock failed.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The error.
        error: io::Error,
    },
}

/// The lock. It is released with the value, and its file goes.
#[derive(Debug)]
pub struct StateLock {
    path: PathBuf,
    file: File,
}

impl StateLock {
    /// Takes the lock for this process, which runs the command of this name.
    ///
    /// # Errors
    /// If another process has it, or if its file fails.
    pub fn take(state_dir: &Path, command: &str) -> Result<Self, LockError> {
        let path = lock_path(state_dir);
        let failed = |error| LockError::File { path: path.display().to_string(), error };
        fs::create_dir_all(state_dir).map_err(failed)?;
        for _ in 0..TRIES {
            if let Some(lock) = open(&path).and_then(|file| Self::lock(file, &path, command)).map_err(failed)? {
                return Ok(lock);
            }
            sleep(AGAIN);
        }
        let holder = fs::read_to_string(&path).unwrap_or_default();
        let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
        Err(LockError::Held { holder, state_dir: state_dir.display().to_string() })
    }

    fn lock(mut file: File, path: &Path, command: &str) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                if holder_has_ended(&mut file)? && is_at(&file, path) {
                    fs::remove_file(path)?;
                }
                return Ok(None);
            }
        }
        // The holder of before has removed the file: the lock of a file that nobody finds is none.
        if !is_at(&file, path) {
            return Ok(None);
        }
        file.set_len(0)?;
        file.write_all(format!("{PROGRAM} {command} (process {})", std::process::id()).as_bytes())?;
        Ok(Some(Self { path: path.to_owned(), file }))
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the file of the lock cannot be removed");
        }
    }
}

/// The process that has the lock, in words. None: no process has it. Nothing is changed.
///
/// # Errors
/// If the file cannot be read.
pub fn holder(state_dir: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(lock_path(state_dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok((!holder_has_ended(&mut file)?).then_some(text))
        }
    }
}

fn lock_path(state_dir: &Path) -> PathBuf {
    state_dir.join("agent.lock")
}

/// Opens the file, and makes it if it is not there. Whoever may open it may lock it.
fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether the path still leads to the file.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    file.metadata().map(id).ok() == fs::metadata(path).map(id).ok()
}

/// Whether the process that has the lock is killed, and only a thread of it is left that waits in the kernel for a device. That thread
/// keeps the lock, and changes nothing else.
fn holder_has_ended(file: &mut File) -> io::Result<bool> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    let process = text.split_once("(process ").and_then(|(_, rest)| rest.strip_suffix(')'));
    let process: Option<u32> = process.and_then(|number| number.parse().ok());
    // A process of another PID namespace is not seen here, and counts as alive.
    let stat = process.and_then(|number| fs::read_to_string(format!("/proc/{number}/stat")).ok());
    Ok(stat.is_some_and(|stat| is_remains(&stat)))
}

/// Reads `/proc/PID/stat`: whether the agent has ended and its remains are there.
fn is_remains(stat: &str) -> bool {
    let Some((head, state)) = stat.rsplit_once(") ") else { return false };
    head.ends_with(&format!("({PROGRAM}")) && state.starts_with('Z')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("multi-eni-lock-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_process_is_refused_until_the_first_has_ended_and_no_file_is_left() {
        let directory = directory("second");
        assert_eq!(holder(&directory).unwrap(), None);
        assert!(!directory.exists(), "a look makes nothing");
        let first = StateLock::take(&directory, "run").unwrap();
        let own = format!("multi-eni-agent run (process {})", std::process::id());
        assert_eq!(holder(&directory).unwrap().as_deref(), Some(own.as_str()));
        assert_eq!(fs::metadata(lock_path(&directory)).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = StateLock::take(&directory, "clean").unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{own} is at work")) && refused.contains("stop it first"), "{refused}");
        drop(first);
        assert_eq!((holder(&directory).unwrap(), fs::read_dir(&directory).unwrap().count()), (None, 0));
        drop(StateLock::take(&directory, "clean").unwrap());
    }

    #[test]
    fn a_file_that_the_holder_of_before_has_removed_is_no_lock() {
        let directory = directory("removed");
        let first = StateLock::take(&directory, "run").unwrap();
        let path = lock_path(&directory);
        let opened = open(&path).unwrap();
        drop(first);
        assert!(StateLock::lock(opened, &path, "clean").unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_a_killed_process_has_left_is_no_lock() {
        let directory = directory("left");
        fs::create_dir_all(&directory).unwrap();
        fs::write(lock_path(&directory), "multi-eni-agent run (process 1)").unwrap();
        assert_eq!(holder(&directory).unwrap(), None);
        StateLock::take(&directory, "run").unwrap();
    }

    #[test]
    fn the_lock_that_a_hanging_thread_of_a_killed_agent_keeps_is_none() {
        let directory = directory("hanging");
        fs::create_dir_all(&directory).unwrap();
        // A process of that name that has ended, and that nobody has waited for.
        let program = directory.join(PROGRAM);
        fs::copy("/bin/true", &program).unwrap();
        let mut ended = Command::new(&program).spawn().unwrap();
        let stat = || fs::read_to_string(format!("/proc/{}/stat", ended.id())).unwrap();
        while !stat().contains(") Z ") {
            sleep(Duration::from_millis(5));
        }
        // The lock is this test's: it stands for the thread.
        let mut kept = File::create(lock_path(&directory)).unwrap();
        kept.write_all(format!("{PROGRAM} run (process {})", ended.id()).as_bytes()).unwrap();
        kept.lock().unwrap();
        assert_eq!(holder(&directory).unwrap(), None);
        let next = StateLock::take(&directory, "run").unwrap();
        assert!(StateLock::take(&directory, "clean").is_err(), "the next agent has a lock as any other");
        drop(next);
        ended.wait().unwrap();
    }

    #[test]
    fn only_remains_of_the_agent_have_ended() {
        assert!(is_remains("7 (multi-eni-agent) Z 1 7"));
        assert!(!is_remains("7 (multi-eni-agent) D 1 7"));
        assert!(!is_remains("7 (sh) Z 1 7"));
        assert!(!is_remains(""));
    }
}

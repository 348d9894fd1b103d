//! Makes, enters and removes the network namespaces of one sandbox. They have names, so that `ip netns` shows them, and a later
//! sandbox finds those of one that was killed.

use super::ip_command::ip;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;

/// Where iproute2 keeps the names of namespaces.
const NAMES: &str = "/run/netns";

/// The network namespaces of one sandbox, by how their names begin.
#[derive(Debug, Clone)]
pub struct Namespaces {
    prefix: String,
}

impl Namespaces {
    /// The namespaces whose names begin so.
    pub fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The full name of a namespace.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Makes a namespace, with its loopback link up.
    pub fn make(&self, name: &str) -> Result<(), String> {
        let full = self.full_name(name);
        ip(&["netns", "add", &full])?;
        ip(&["-n", &full, "link", "set", "lo", "up"]).map(drop)
    }

    /// Sets a sysctl of a namespace, by its path in /proc/sys/net.
    pub fn set_sysctl(&self, name: &str, (path, value): (&str, &str)) -> Result<(), String> {
        self.enter(name, || {
            let path = format!("/proc/sys/net/{path}");
            std::fs::write(&path, value).map_err(|error| format!("cannot write {path}: {error}"))
        })?
    }

    /// Runs something on a thread that is in the namespace. Sockets and processes that it makes stay there.
    pub fn enter<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> Result<T, String> {
        let path = Path::new(NAMES).join(self.full_name(name));
        let file = File::open(&path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        let entered = std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| format!("cannot enter a namespace: {error}"))?;
                Ok(work())
            });
            thread.join()
        });
        entered.unwrap_or_else(|_| Err("a thread in a namespace panicked".to_owned()))
    }

    /// Removes all namespaces of the sandbox, and ends the processes in them. Returns how many there were, and what failed.
    pub fn remove_all(&self) -> (usize, Vec<String>) {
        let start = format!("{}-", self.prefix);
        let names: Vec<String> = all_names().into_iter().filter(|name| name.starts_with(&start)).collect();
        let failed = names.iter().filter_map(|name| remove(name).err()).collect();
        (names.len(), failed)
    }
}

/// The names of all named network namespaces of this machine.
pub fn all_names() -> Vec<String> {
    let entries = std::fs::read_dir(NAMES).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// A process keeps its namespace, with all links, after the name is gone.
fn remove(full_name: &str) -> Result<(), String> {
    for process in ip(&["netns", "pids", full_name]).unwrap_or_default().split_whitespace() {
        if let Ok(process) = process.parse() {
            // It fails only if the process has ended by itself.
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
    ip(&["netns", "del", full_name]).map(drop)
}

//! A child process with its log in a file. It never outlives this process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

type Job = (Command, Sender<io::Result<Child>>);

/// A running program. When dropped it is killed, by its own pid only.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` and appends its stdout and stderr to `log`. `set` adds arguments and environment.
    pub fn start(name: &str, program: &Path, log: &Path, set: impl FnOnce(&mut Command)) -> Result<Self, String> {
        let failed = |e: io::Error| format!("cannot start {name} ({}): {e}", program.display());
        let out = File::options().create(true).append(true).open(log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let mut command = dying_with_us(program);
        set(&mut command);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = spawn(command).map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGTERM and returns at once.
    pub fn terminate(&self) -> Result<(), String> {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("SIGTERM to {}: {other:?}", self.name)),
        }
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|e| format!("{}: {e}", self.name))
    }

    /// Waits until the process ends by itself.
    pub fn wait_end(&mut self, timeout: Duration) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if begun.elapsed() > timeout {
                return Err(format!("{} still runs after {timeout:?}\n{}", self.name, self.tail()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `ready` is true. An error has the last lines of the log.
    pub fn wait_until(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !ready() {
            if let Some(status) = self.ended()? {
                return Err(format!("{} ended: {status}\n{}", self.name, self.tail()));
            }
            if begun.elapsed() > timeout {
                return Err(format!("{} is not ready after {timeout:?}\n{}", self.name, self.tail()));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|e| format!("({e})"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last 40 lines of its log, under a heading.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(40);
        format!("--- {} ({}), last lines:\n{}\n", self.name, self.log.display(), lines[from..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A test that is killed runs no Drop. `setpriv` (util-linux) makes the kernel kill the child in that case. It then becomes the
/// program, so the pid is the program's. Without `setpriv` only this protection is missing.
fn dying_with_us(program: &Path) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let there = *SETPRIV.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    if there {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Spawns on a thread that lives as long as this process. The kernel's "parent death" is the death of the *thread* that spawned,
/// and the thread of a test or of a runtime may end before the child should.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in jobs {
                // The caller waits for the answer, so the send cannot fail.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = || io::Error::other("the spawner thread has ended");
    let (answer, spawned) = channel();
    spawner.send((command, answer)).map_err(|_| gone())?;
    spawned.recv().map_err(|_| gone())?
}

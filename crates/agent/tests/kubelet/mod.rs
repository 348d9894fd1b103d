//! The stand-in for kubelet: kubelet's own code for device plugins in a process of its own (tools/kubelet).

#![allow(dead_code, reason = "each test binary uses a part of it")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A kubelet with a directory of its own.
pub struct Kubelet {
    /// The directory.
    pub directory: PathBuf,
    process: Child,
    commands: ChildStdin,
    lines: Receiver<Value>,
    /// What it has said and no test has looked at.
    pub unread: Vec<Value>,
}

/// The path of the binary, which is built if it is not there.
fn binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/kubelet-stand-in");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{script} failed: this test needs Go and the modules of tools/kubelet");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// An empty directory with a short path: a socket's path has at most 107 bytes.
pub fn directory() -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mek{}x{number}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

impl Kubelet {
    /// A kubelet that has not started to serve.
    pub fn new(directory: &Path) -> Self {
        let mut command = Command::new(binary());
        command.arg("-directory").arg(directory);
        Self::spawn(directory, command)
    }

    /// Kubelet's whole device manager. Kubelet's path is built into it, so it has a mount namespace of its own.
    pub fn whole(directory: &Path) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test makes a mount namespace and must be run as root");
        let script = "mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/device-plugins \
            && mount --bind \"$0\" /var/lib/kubelet/device-plugins && exec \"$1\" -manager";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(directory).arg(binary());
        Self::spawn(directory, command)
    }

    fn spawn(directory: &Path, mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                let line = line.unwrap();
                if send.send(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))).is_err() {
                    return;
                }
            }
        });
        let commands = process.stdin.take().unwrap();
        Self { directory: directory.to_owned(), process, commands, lines, unread: Vec::new() }
    }

    /// Gives a command and waits until it is done. The result is what the command has said, or its error.
    pub fn run(&mut self, command: &str) -> Result<Option<Value>, String> {
        writeln!(self.commands, "{command}").unwrap();
        let verb = command.split(' ').next().unwrap();
        let done = format!("done {verb}");
        let answer = ["allocated", "preferred", "prestarted", "capacity"];
        let mut said = None;
        loop {
            let line = self.next(command);
            match line["event"].as_str().unwrap() {
                event if event == done => return Ok(said),
                "error" if line.get("resource").is_none() => return Err(line["error"].as_str().unwrap().to_owned()),
                event if answer.contains(&event) => said = Some(line),
                _ => self.unread.push(line),
            }
        }
    }

    /// Waits for an event that fits. Earlier ones are forgotten.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = if self.unread.is_empty() { self.next(what) } else { self.unread.remove(0) };
            if fits(&line) {
                return line;
            }
        }
    }

    /// Waits until kubelet is connected to the plugin of this resource.
    pub fn connected(&mut self, resource: &str) -> Value {
        self.wait(&format!("connected to {resource}"), |line| {
            line["event"] == "connected" && line["resource"] == resource
        })
    }

    /// Waits until the devices of this resource are these: IDs, and whether they are healthy.
    pub fn devices(&mut self, resource: &str, expected: &[(&str, bool)]) -> Value {
        self.wait(&format!("{expected:?} for {resource}"), |line| {
            let devices = line["devices"].as_array().cloned().unwrap_or_default();
            let shown: Vec<(&str, bool)> =
                devices.iter().map(|device| (device["id"].as_str().unwrap(), device["health"] == "Healthy")).collect();
            line["event"] == "devices" && line["resource"] == resource && shown == expected
        })
    }

    /// Everything that it says within this time.
    pub fn says_within(&mut self, time: Duration) -> Vec<Value> {
        let end = Instant::now() + time;
        let mut said = std::mem::take(&mut self.unread);
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            said.push(line);
        }
        said
    }

    fn next(&mut self, what: &str) -> Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                println!("kubelet: {line}");
                line
            }
            Err(RecvTimeoutError::Timeout) => panic!("kubelet did not say within {} s: {what}", PATIENCE.as_secs()),
            Err(RecvTimeoutError::Disconnected) => panic!("the stand-in for kubelet has ended: {what}"),
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

//! The controller process that is measured: this repository's, or another one by its command line.

use multi_eni_control_plane::{ControlPlane, Process};
use std::fs;
use std::path::Path;

/// The name of this repository's controller in the report.
pub const OURS: &str = "multi-eni";

/// A controller to measure.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name in the report.
    pub name: String,
    /// Its command line, for `sh`.
    pub command: String,
    /// Its CRDs, as YAML.
    pub crds: String,
}

impl Candidate {
    /// This repository's controller: the file `multi-eni` beside this program, with this share of EC2's rates.
    ///
    /// # Errors
    /// If the file does not exist, or the CRDs cannot be made.
    pub fn ours(share: f64) -> Result<Self, String> {
        let here = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = here.with_file_name("multi-eni");
        if !program.exists() {
            return Err(format!(
                "{} does not exist: build it with cargo build --release --bin multi-eni",
                program.display()
            ));
        }
        let anywhere = "--metrics-addr 127.0.0.1:0 --health-addr 127.0.0.1:0";
        Ok(Self {
            name: OURS.to_owned(),
            command: format!("'{}' controller {anywhere} --leader-elect --budget-share {share}", program.display()),
            crds: multi_eni_api::crds::yaml().map_err(|error| error.to_string())?,
        })
    }

    /// Another controller: its command line, and the file with its CRDs.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn peer(command: &str, crds: &Path) -> Result<Self, String> {
        let crds = fs::read_to_string(crds).map_err(|error| format!("{}: {error}", crds.display()))?;
        Ok(Self { name: "peer".to_owned(), command: command.to_owned(), crds })
    }

    /// Starts the controller. It gets nothing of this process's environment.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, plane: &ControlPlane, endpoint: &str, region: &str) -> Result<Running, String> {
        let log = plane.dir().join(format!("{}.log", self.name));
        let process = Process::start(&self.name, Path::new("/bin/sh"), &log, |command| {
            command.arg("-c").arg(format!("exec {}", self.command)).current_dir(plane.dir());
            command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", plane.dir());
            command.env("KUBECONFIG", plane.admin_kubeconfig());
            command.env("POD_NAME", &self.name).env("POD_NAMESPACE", "default");
            command.env("AWS_ACCESS_KEY_ID", "bench").env("AWS_SECRET_ACCESS_KEY", "bench");
            command.env("AWS_EC2_METADATA_DISABLED", "true");
            command.env("AWS_REGION", region).env("AWS_ENDPOINT_URL", endpoint);
        })?;
        Ok(Running { process })
    }
}

/// A running controller. It is killed when dropped.
#[derive(Debug)]
pub struct Running {
    process: Process,
}

/// The resources that a process has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The largest resident memory, in MiB.
    pub peak_mib: f64,
    /// CPU time in user and kernel mode, in seconds.
    pub cpu_seconds: f64,
}

/// The unit in which the kernel shows CPU time: USER_HZ, 100 on every architecture that EC2 has.
const TICKS_A_SECOND: f64 = 100.0;

impl Running {
    /// The resources used so far.
    ///
    /// # Errors
    /// If the process has ended; the message has the last lines of its log.
    pub fn usage(&mut self) -> Result<Usage, String> {
        if let Some(status) = self.process.ended()? {
            return Err(format!("the controller has ended: {status}\n{}", self.process.tail()));
        }
        let of = |file: &str| {
            let path = format!("/proc/{}/{file}", self.process.pid());
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
        };
        let (status, stat) = (of("status")?, of("stat")?);
        let usage = peak_mib(&status).zip(cpu_seconds(&stat));
        usage.map(|(peak_mib, cpu_seconds)| Usage { peak_mib, cpu_seconds }).ok_or_else(|| {
            format!("cannot read the memory and CPU of process {} from /proc: {stat}", self.process.pid())
        })
    }
}

fn peak_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// The name in the second field may contain spaces. It ends with the last parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, kernel) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user + kernel) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_parsed() {
        let stat = "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(peak_mib("Name:\tx\nVmHWM:\t   52224 kB\nVmRSS:\t 1 kB\n"), Some(51.0));
        assert_eq!((cpu_seconds("1"), peak_mib("")), (None, None));
    }

    #[test]
    fn a_process_can_be_read() {
        let of = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        assert!(peak_mib(&of("status")).unwrap() > 1.0);
        assert!(cpu_seconds(&of("stat")).unwrap() >= 0.0);
    }
}

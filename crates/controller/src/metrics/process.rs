//! The metrics of the process, from Linux' `/proc/self`. Their names are those of Prometheus' client libraries, without our prefix,
//! because dashboards for any process expect them.

use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};
use nix::unistd::{SysconfVar, sysconf};
use std::fs;

const CPU: Metric =
    Metric::stable("process_cpu_seconds", Kind::Counter, &[], "CPU time of the process, in user and system mode");
const MEMORY: Metric =
    Metric::stable("process_resident_memory_bytes", Kind::Gauge, &[], "Memory that the process has in RAM");
const OPEN_FDS: Metric = Metric::stable("process_open_fds", Kind::Gauge, &[], "Open file descriptors of the process");
const START: Metric =
    Metric::stable("process_start_time_seconds", Kind::Gauge, &[], "When the process started, in seconds since 1970");

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[CPU, MEMORY, OPEN_FDS, START];

/// What Linux shows of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessNumbers {
    /// CPU time, in seconds.
    pub cpu: f64,
    /// Bytes in RAM.
    pub memory: i64,
    /// Open file descriptors.
    pub open_fds: usize,
    /// When the process started, in seconds since 1970.
    pub start: f64,
}

impl ProcessNumbers {
    /// Reads them. None where there is no `/proc`.
    pub fn read() -> Option<Self> {
        let (stat, boot) = (fs::read_to_string("/proc/self/stat").ok()?, fs::read_to_string("/proc/stat").ok()?);
        let constant = |var| sysconf(var).ok().flatten();
        let (ticks, page) = (constant(SysconfVar::CLK_TCK)?, constant(SysconfVar::PAGE_SIZE)?);
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count();
        Self::parse(&stat, &boot, ticks, page, open_fds)
    }

    /// Parses `/proc/self/stat` and the boot time of `/proc/stat`: proc(5). `ticks`: clock ticks a second. `page`: bytes a page.
    fn parse(stat: &str, boot: &str, ticks: i64, page: i64, open_fds: usize) -> Option<Self> {
        // The second field is the name of the program in parentheses, which may contain spaces and parentheses.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // The first of these fields is number 3 of the manual.
        let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<i64>().ok()?;
        let (user, system, started, pages) = (field(14)?, field(15)?, field(22)?, field(24)?);
        Some(Self {
            cpu: seconds(user.saturating_add(system), ticks)?,
            memory: pages.saturating_mul(page),
            open_fds,
            start: seconds(boot.saturating_mul(ticks).saturating_add(started), ticks)?,
        })
    }

    /// Writes them.
    pub fn write(&self, out: &mut Exposition) {
        out.one(&CPU, Value::Seconds(self.cpu));
        out.one(&MEMORY, Value::Whole(self.memory));
        out.one(&OPEN_FDS, Value::number_of(self.open_fds));
        out.one(&START, Value::Number(self.start));
    }
}

/// Seconds of so many clock ticks.
#[allow(clippy::cast_precision_loss, reason = "ticks since 1970 need 38 bits, and f64 has 52")]
fn seconds(ticks: i64, a_second: i64) -> Option<f64> {
    (a_second > 0).then(|| ticks as f64 / a_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let stat =
            "77 (a (b) c) S 1 77 77 0 -1 4194560 900 0 3 0 150 50 0 0 20 0 9 0 12345 99999 321 18446744073709551615 1";
        let boot = "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n";
        let read = ProcessNumbers::parse(stat, boot, 100, 4096, 12).unwrap();
        let expected = ProcessNumbers { cpu: 2.0, memory: 321 * 4096, open_fds: 12, start: 1_700_000_123.45 };
        assert_eq!(read, expected);
        assert_eq!(ProcessNumbers::parse("nonsense", boot, 100, 4096, 0), None);
        assert_eq!(ProcessNumbers::parse(stat, "", 100, 4096, 0), None);
    }

    #[test]
    fn this_process_has_memory_open_files_and_a_start_in_the_past() {
        let read = ProcessNumbers::read().unwrap();
        assert!(read.memory > 1 << 20 && read.open_fds > 2 && read.cpu >= 0.0, "{read:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!(read.start < now + 1.0 && read.start > now - 1e6, "{read:?}");
    }
}

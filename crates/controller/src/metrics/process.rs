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
const VIRTUAL_MEMORY: Metric =
    Metric::stable("process_virtual_memory_bytes", Kind::Gauge, &[], "Virtual memory of the process");
const OPEN_FDS: Metric = Metric::stable("process_open_fds", Kind::Gauge, &[], "Open file descriptors of the process");
const MAX_FDS: Metric = Metric::stable(
    "process_max_fds",
    Kind::Gauge,
    &[],
    "How many file descriptors the process may have open. Without a limit the metric is not there",
);
const START: Metric =
    Metric::stable("process_start_time_seconds", Kind::Gauge, &[], "When the process started, in seconds since 1970");

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[CPU, MEMORY, VIRTUAL_MEMORY, OPEN_FDS, MAX_FDS, START];

/// What Linux shows of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessNumbers {
    /// CPU time, in seconds.
    pub cpu: f64,
    /// Bytes in RAM.
    pub memory: i64,
    /// Bytes of virtual memory.
    pub virtual_memory: i64,
    /// Open file descriptors.
    pub open_fds: usize,
    /// How many file descriptors may be open. None: there is no limit.
    pub max_fds: Option<i64>,
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
        let max_fds = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(max_open_files);
        Some(Self { max_fds, ..Self::parse(&stat, &boot, ticks, page, open_fds)? })
    }

    /// Parses `/proc/self/stat` and the boot time of `/proc/stat`: proc(5). `ticks`: clock ticks a second. `page`: bytes a page.
    fn parse(stat: &str, boot: &str, ticks: i64, page: i64, open_fds: usize) -> Option<Self> {
        // The second field is the name of the program in parentheses, which may contain spaces and parentheses.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // The first of these fields is number 3 of the manual.
        let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<i64>().ok()?;
        let (user, system, started) = (field(14)?, field(15)?, field(22)?);
        let (virtual_memory, pages) = (field(23)?, field(24)?);
        Some(Self {
            cpu: seconds(user.saturating_add(system), ticks)?,
            memory: pages.saturating_mul(page),
            virtual_memory,
            open_fds,
            max_fds: None,
            start: seconds(boot.saturating_mul(ticks).saturating_add(started), ticks)?,
        })
    }

    /// Writes them.
    pub fn write(&self, out: &mut Exposition) {
        out.one(&CPU, Value::Seconds(self.cpu));
        out.one(&MEMORY, Value::Whole(self.memory));
        out.one(&VIRTUAL_MEMORY, Value::Whole(self.virtual_memory));
        out.one(&OPEN_FDS, Value::number_of(self.open_fds));
        if let Some(max) = self.max_fds {
            out.one(&MAX_FDS, Value::Whole(max));
        }
        out.one(&START, Value::Number(self.start));
    }
}

/// The soft limit of open files in `/proc/self/limits`. None: unlimited.
fn max_open_files(limits: &str) -> Option<i64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
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
        let expected = ProcessNumbers {
            cpu: 2.0,
            memory: 321 * 4096,
            virtual_memory: 99999,
            open_fds: 12,
            max_fds: None,
            start: 1_700_000_123.45,
        };
        assert_eq!(read, expected);
        assert_eq!(ProcessNumbers::parse("nonsense", boot, 100, 4096, 0), None);
        assert_eq!(ProcessNumbers::parse(stat, "", 100, 4096, 0), None);
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             126832               126832               processes \n\
                 Max open files            {soft:<20} 524288               files     \n"
            )
        };
        assert_eq!(max_open_files(&limits("1024")), Some(1024));
        assert_eq!(max_open_files(&limits("unlimited")), None);
        assert_eq!(max_open_files(""), None);
    }

    #[test]
    fn this_process_has_memory_open_files_and_a_start_in_the_past() {
        let read = ProcessNumbers::read().unwrap();
        assert!(read.memory > 1 << 20 && read.open_fds > 2 && read.cpu >= 0.0, "{read:?}");
        assert!(read.virtual_memory >= read.memory, "{read:?}");
        assert!(read.max_fds.is_none_or(|max| usize::try_from(max).is_ok_and(|max| max >= read.open_fds)), "{read:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!(read.start < now + 1.0 && read.start > now - 1e6, "{read:?}");
    }
}

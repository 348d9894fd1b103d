//! What the tests of the agent's memory measure. `MULTI_ENI_AGENT` names a release build, which is measured instead of the build of the
//! tests.

use std::path::PathBuf;
use std::time::Duration;

/// ENIs of the node. No instance type has more than 15 interfaces on a network card.
pub const ENIS: u8 = 15;
/// The design's goal for a release build, and a bound for the build of the tests, in KiB.
const GOAL: u64 = 16 * 1024;
const OF_A_TEST_BUILD: u64 = 40 * 1024;

/// A value of /proc/PID/status.
fn status(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// CPU time of the process in clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The binary, and the bound of its peak.
pub fn binary() -> (PathBuf, u64) {
    let released = std::env::var_os("MULTI_ENI_AGENT").map(PathBuf::from);
    let bound = if released.is_some() { GOAL } else { OF_A_TEST_BUILD };
    (released.unwrap_or_else(|| env!("CARGO_BIN_EXE_multi-eni-agent").into()), bound)
}

/// Prints the memory of an agent that has nothing to do, and asserts that it is within the bound.
pub fn measure(what: &str, pid: u32, bound: u64) {
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(pid);
    std::thread::sleep(Duration::from_secs(10));
    let idle = ticks(pid) - before;
    let (peak, now) = (status(pid, "VmHWM:"), status(pid, "VmRSS:"));
    let (anonymous, file) = (status(pid, "RssAnon:"), status(pid, "RssFile:"));
    println!(
        "{ENIS} ENIs{what}: peak {peak} KiB, now {now} KiB ({anonymous} KiB anonymous, {file} KiB of files); 10 idle seconds: {idle} ticks"
    );
    assert!(peak <= bound, "the peak is {peak} KiB, and the bound is {bound} KiB");
    assert!(idle <= 2, "{idle} ticks in 10 idle seconds");
}

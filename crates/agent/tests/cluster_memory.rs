//! The peak memory of the node agent with a real API server, as the container of the chart's DaemonSet.
//!
//! `MULTI_ENI_AGENT` names a release build, which is measured instead of the build of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod rig;

use container::attachments::{attached, condition, read};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::{Rig, eni, until};
use std::path::PathBuf;
use std::time::Duration;

/// ENIs of the node. No instance type has more than 15 interfaces on a network card.
const ENIS: u8 = 15;
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

#[test]
fn the_memory_of_the_agent_is_bounded_and_an_idle_agent_does_nothing() -> Result<(), Failure> {
    let released = std::env::var_os("MULTI_ENI_AGENT").map(PathBuf::from);
    let bound = if released.is_some() { GOAL } else { OF_A_TEST_BUILD };
    let binary = released.unwrap_or_else(|| env!("CARGO_BIN_EXE_multi-eni-agent").into());
    let rig = Rig::new();
    let plane = ControlPlane::start()?;
    let set = container::install(&plane)?;
    let token = container::token(&plane, &set, "node1")?;
    let agent = container::start(&plane, &set, "node1", &token, &binary)?;
    let names: Vec<String> =
        (1..=ENIS).map(|number| attached(&plane, "node1", number)).collect::<Result<_, Failure>>()?;
    (1..=ENIS).for_each(|number| rig.attach(&eni(number)));
    for name in &names {
        until(&format!("{name} is configured: {}", agent.log()), || {
            condition(&read(&plane, name), "Configured").is_some_and(|condition| condition["status"] == "True")
        });
    }
    // Each object changes, and the watch shows it.
    for name in &names {
        plane.kubectl(&["label", "eniattachment", name, "seen=yes"])?.success()?;
    }
    let metrics = container::get(61691, "/metrics");
    assert!(metrics.contains(&format!("multi_eni_agent_enis{{reason=\"Configured\"}} {ENIS}\n")), "{metrics}");
    assert!(container::get(61690, "/readyz").starts_with("HTTP/1.1 200"));
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(agent.pid());
    std::thread::sleep(Duration::from_secs(10));
    let idle = ticks(agent.pid()) - before;
    let (peak, now) = (status(agent.pid(), "VmHWM:"), status(agent.pid(), "VmRSS:"));
    let (anonymous, file) = (status(agent.pid(), "RssAnon:"), status(agent.pid(), "RssFile:"));
    println!(
        "{ENIS} ENIs: peak {peak} KiB, now {now} KiB ({anonymous} KiB anonymous, {file} KiB of files); 10 idle seconds: {idle} ticks"
    );
    assert!(peak <= bound, "the peak is {peak} KiB, and the bound is {bound} KiB");
    assert!(idle <= 2, "{idle} ticks in 10 idle seconds");
    plane.passed();
    Ok(())
}

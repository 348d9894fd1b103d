//! The commands of docs/node-agent.md in the container of the chart: `doctor` beside the agent, and `clean` in a pod of its own. The test is
//! a process of its own: the programs of a control plane are started in the network namespace of the first test of a process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod rig;

use container::Machine;
use container::attachments::{attached, condition, read};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::{Rig, eni, until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The DaemonSet with another command, and without the arguments that only `run` takes.
fn with_command(set: &Value, command: &str) -> Value {
    let mut set = set.clone();
    let arguments = set["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap();
    assert_eq!(arguments[0], "run");
    arguments[0] = json!(command);
    let is_of_run = |argument: &Value| {
        ["--metrics-addr=", "--health-addr="].iter().any(|flag| argument.as_str().unwrap().starts_with(flag))
    };
    arguments.retain(|argument| !is_of_run(argument));
    set
}

#[test]
fn doctor_sees_the_agent_and_clean_gives_the_node_back_when_the_agent_has_stopped() -> Result<(), Failure> {
    let rig = Rig::new();
    let plane = ControlPlane::start()?;
    let set = container::install(&plane)?;
    let token = container::token(&plane, &set, "node1")?;
    let name = attached(&plane, "node1", 1)?;
    let binary = Path::new(env!("CARGO_BIN_EXE_multi-eni-agent"));
    rig.attach(&eni(1));
    let bare = rig.state();
    let mut agent = container::start(&plane, &set, "node1", &token, binary)?;
    until("the agent has reported", || {
        assert!(agent.ended().unwrap().is_none(), "{}", agent.log());
        condition(&read(&plane, &name), "Configured").is_some_and(|condition| condition["status"] == "True")
    });
    let run = |command: &str, log: &'static str| -> Result<(bool, String), Failure> {
        let machine = Machine { node: "node1", token: &token, sysfs: Path::new("/sys"), has_own_pids: false, log };
        let mut process = container::start_on(&plane, &with_command(&set, command), &machine, binary)?;
        let ended = process.wait_end(Duration::from_secs(30))?;
        Ok((ended.success(), process.log()))
    };
    let configured = rig.state();
    let (is_done, said) = run("doctor", "doctor.log")?;
    assert!(is_done && said.contains("Agent: multi-eni-agent run (process "), "{said}");
    assert!(said.contains(&format!("  {name}: link ens6, as asked\n")), "{said}");
    let (is_done, said) = run("clean", "refused.log")?;
    assert!(!is_done && said.contains("is at work with the state directory /var/lib/multi-eni"), "{said}");
    assert_eq!(rig.state(), configured);

    agent.terminate()?;
    assert!(agent.wait_end(Duration::from_secs(10))?.success(), "{}", agent.log());
    let (is_done, said) = run("clean", "clean.log")?;
    assert!(is_done, "{said}");
    assert_eq!(rig.state(), bare);
    // Nobody says that the interface is not configured any more.
    assert_eq!(condition(&read(&plane, &name), "Configured").unwrap()["status"], "True");
    plane.passed();
    Ok(())
}

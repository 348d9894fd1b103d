//! The peak memory of the node agent with a real API server, as the container of the chart's DaemonSet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod memory;
mod rig;

use container::attachments::{attached, condition, read};
use memory::{ENIS, binary, measure};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::{Rig, eni, until};

#[test]
fn the_memory_of_the_agent_is_bounded_and_an_idle_agent_does_nothing() -> Result<(), Failure> {
    let (binary, bound) = binary();
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
    measure("", agent.pid(), bound);
    plane.passed();
    Ok(())
}

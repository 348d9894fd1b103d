//! The node agent while the API server restarts. The test is a process of its own: the programs of a control plane are started in the
//! network namespace of the first test of a process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod rig;

use container::attachments::{attached, condition, read};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::{Rig, eni, until};
use std::path::Path;
use std::time::{Duration, Instant};

/// The watch ends with the API server, and begins anew with the next one.
#[test]
fn what_changes_after_the_api_server_has_restarted_is_followed() -> Result<(), Failure> {
    let rig = Rig::new();
    let mut plane = ControlPlane::start()?;
    let set = container::install(&plane)?;
    let token = container::token(&plane, &set, "node1")?;
    let first = attached(&plane, "node1", 1)?;
    let binary = Path::new(env!("CARGO_BIN_EXE_multi-eni-agent"));
    let mut agent = container::start(&plane, &set, "node1", &token, binary)?;
    rig.attach(&eni(1));
    let is_configured = |plane: &ControlPlane, name: &str| {
        condition(&read(plane, name), "Configured").is_some_and(|condition| condition["status"] == "True")
    };
    until("the agent has reported", || is_configured(&plane, &first));
    let configured = rig.state();
    plane.restart_apiserver()?;
    assert_eq!(rig.state(), configured, "nothing is taken back while the API server does not answer");

    let second = attached(&plane, "node1", 2)?;
    rig.attach(&eni(2));
    // The watch waits longer after each failure, up to half a minute.
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_configured(&plane, &second) {
        assert!(agent.ended()?.is_none() && Instant::now() < deadline, "{}", agent.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    plane.kubectl(&["delete", "eniattachment", &first])?.success()?;
    until("the agent has taken back what it did", || !rig.state().contains("lookup 10001"));
    assert!(rig.state().contains("from 10.0.1.12 lookup 10002"), "{}", rig.state());
    agent.terminate()?;
    assert!(agent.wait_end(Duration::from_secs(10))?.success(), "{}", agent.log());
    plane.passed();
    Ok(())
}

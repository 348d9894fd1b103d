//! Two replicas: the leader dies or is told to go, and the other carries on.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Failure, SOON, Stage};
use std::time::{Duration, Instant};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn holder(stage: &Stage) -> Result<String, Failure> {
    stage.kubectl(&["get", "lease", "multi-eni-controller", "-n", "multi-eni", "-o", "jsonpath={.spec.holderIdentity}"])
}

#[test]
fn a_killed_leader_is_followed_and_a_leaving_one_hands_over() -> Result<(), Failure> {
    let mut stage = Stage::with_a_controller()?;
    stage.start_replica(&[])?;
    stage.assert_eq("the first leads", holder(&stage)?.as_str(), "multi-eni-1");
    stage.node("node1", INSTANCE)?;
    for (name, subnet, index) in [("one", SUBNET_A, 1), ("two", SUBNET_B, 2)] {
        let spec =
            [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]"), format!("deviceIndex: {index}")];
        stage.apply(&nodeeni(name, &spec.each_ref().map(String::as_str)))?;
    }
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1, 2], SOON)?;

    stage.replicas[0].kill9();
    stage.kubectl(&["delete", "nodeeni", "two", "--wait=false"])?;
    stage.until("the second leads", SOON, || {
        let holder = holder(&stage)?;
        if holder == "multi-eni-2" { Ok(()) } else { Err(holder.into()) }
    })?;
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.until("NodeENI two gone", SOON, || {
        let names = stage.names("nodeenis")?;
        if names.len() == 1 { Ok(()) } else { Err(format!("{names:?}").into()) }
    })?;

    // SIGTERM: it ends within ten seconds and gives the Lease up, so that nobody waits for its end.
    stage.start_replica(&[])?;
    let told = Instant::now();
    let status = stage.replicas[1].sigterm(Duration::from_secs(10))?;
    assert!(status.success(), "{status}");
    stage.until("the third leads", Duration::from_secs(10), || {
        let holder = holder(&stage)?;
        if holder == "multi-eni-3" { Ok(()) } else { Err(holder.into()) }
    })?;
    assert!(told.elapsed() < Duration::from_secs(15), "{:?}: a Lease's length, not a handover", told.elapsed());
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    stage.clean(SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

//! Two replicas: the leader is killed or terminated, and the other one goes on.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use std::time::{Duration, Instant};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn holder(environment: &Environment) -> Result<String, Failure> {
    environment.kubectl(&[
        "get",
        "lease",
        "multi-eni-controller",
        "-n",
        "multi-eni",
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ])
}

#[test]
fn a_killed_leader_is_followed_and_a_leaving_one_hands_over() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    environment.start_replica(&[])?;
    environment.assert_eq("the first leads", holder(&environment)?.as_str(), "multi-eni-1");
    environment.node("node1", INSTANCE)?;
    for (name, subnet, index) in [("one", SUBNET_A, 1), ("two", SUBNET_B, 2)] {
        let spec =
            [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]"), format!("deviceIndex: {index}")];
        environment.apply(&nodeeni(name, &spec.each_ref().map(String::as_str)))?;
    }
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1, 2], SOON)?;

    environment.replicas[0].kill9();
    environment.kubectl(&["delete", "nodeeni", "two", "--wait=false"])?;
    environment.until("the second leads", SOON, || {
        let holder = holder(&environment)?;
        if holder == "multi-eni-2" { Ok(()) } else { Err(holder.into()) }
    })?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.until("NodeENI two gone", SOON, || {
        let names = environment.names("nodeenis")?;
        if names.len() == 1 { Ok(()) } else { Err(format!("{names:?}").into()) }
    })?;

    // SIGTERM: the leader ends within ten seconds and releases the Lease, so that the next one need not wait for the Lease's end.
    environment.start_replica(&[])?;
    let terminated_at = Instant::now();
    let status = environment.replicas[1].sigterm(Duration::from_secs(10))?;
    assert!(status.success(), "{status}");
    environment.until("the third leads", Duration::from_secs(10), || {
        let holder = holder(&environment)?;
        if holder == "multi-eni-3" { Ok(()) } else { Err(holder.into()) }
    })?;
    assert!(
        terminated_at.elapsed() < Duration::from_secs(15),
        "{:?}: a Lease's length, not a handover",
        terminated_at.elapsed()
    );
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

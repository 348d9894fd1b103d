//! What only EC2 can know: a condition that says what to do, no call over and over, and the good ones work.

use super::nodeeni;
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Failure, SOON, Stage};
use std::thread;
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const NOWHERE: &str = "subnet-0123456789abcdef0";

fn one(name: &str, subnet: &str, index: u32) -> String {
    let spec = [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]"), format!("deviceIndex: {index}")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

#[test]
fn wrong_ones_beside_a_good_one() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", INSTANCE)?;
    stage.node("fargate", "i-0ccccccccccccccc3")?;
    for (name, subnet, index) in [("nowhere", NOWHERE, 1), ("far", FAR_SUBNET, 2), ("good", SUBNET_A, 3)] {
        stage.apply(&one(name, subnet, index))?;
    }
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[3], SOON)?;
    // The younger of two wants what the older holds.
    stage.apply(&one("late", SUBNET_B, 3))?;
    for (name, reason, words) in [
        ("nowhere", "SubnetNotFound", NOWHERE),
        ("far", "NoSubnetInZone", "add a subnet of that zone"),
        ("late", "DeviceIndexConflict", "held by NodeENI good"),
    ] {
        let (found, message) = stage.condition(name, "Degraded", "True", SOON)?;
        stage.assert_eq(name, found.as_str(), reason);
        assert!(message.contains(words) && message.contains("node1"), "{name}: {message}");
        stage.condition(name, "Ready", "False", SOON)?;
    }
    stage.condition("good", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.assert_eq("Creates", stage.account.tally().get("CreateNetworkInterface"), Some(&1));
    stage.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    stage.clean(SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

#[test]
fn a_missing_permission_is_named_and_not_tried_over_and_over() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", INSTANCE)?;
    stage.account.ec2.deny("CreateNetworkInterface");
    stage.apply(&one("one", SUBNET_A, 1))?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let (reason, message) = stage.condition("one", "Degraded", "True", SOON)?;
    stage.assert_eq("reason", reason.as_str(), "Unauthorized");
    assert!(message.contains("ec2:CreateNetworkInterface"), "{message}");
    thread::sleep(Duration::from_secs(5));
    let refused = stage.account.tally().get("CreateNetworkInterface: UnauthorizedOperation").copied();
    // Three that may pass by themselves, and the one that is said; then one a minute.
    stage.assert_eq("refused Creates", refused, Some(4));
    // Never created: nothing to wait for.
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    stage.clean(SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

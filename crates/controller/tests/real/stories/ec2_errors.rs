//! Errors that only EC2 can report: a condition explains each, no call is repeated without end, and good NodeENIs work.

use super::nodeeni;
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
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
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    environment.node("fargate", "i-0ccccccccccccccc3")?;
    for (name, subnet, index) in [("nowhere", NOWHERE, 1), ("far", FAR_SUBNET, 2), ("good", SUBNET_A, 3)] {
        environment.apply(&one(name, subnet, index))?;
    }
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[3], SOON)?;
    // The younger of two NodeENIs asks for the index that the older one has.
    environment.apply(&one("late", SUBNET_B, 3))?;
    for (name, reason, words) in
        [("nowhere", "SubnetNotFound", NOWHERE), ("late", "DeviceIndexConflict", "reserved for NodeENI good")]
    {
        let (found, message) = environment.condition(name, "Degraded", "True", SOON)?;
        environment.assert_eq(name, found.as_str(), reason);
        assert!(message.contains(words) && message.contains("node1"), "{name}: {message}");
        environment.condition(name, "Ready", "False", SOON)?;
    }
    environment.condition("good", "Ready", "True", SOON)?;
    let (reason, message) = environment.condition("far", "ZonesCovered", "False", SOON)?;
    environment.assert_eq("far", reason.as_str(), "NoSubnetInZone");
    assert!(message.contains("add a subnet of that zone") && message.contains("node1"), "{message}");
    environment.condition("far", "Ready", "True", SOON)?;
    environment.condition("far", "Degraded", "False", SOON)?;
    environment.idle()?;
    environment.assert_eq("Creates", environment.account.call_counts().get("CreateNetworkInterface"), Some(&1));
    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn a_missing_permission_is_named_and_not_retried_without_end() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    environment.account.ec2.deny("CreateNetworkInterface");
    environment.apply(&one("one", SUBNET_A, 1))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "Unauthorized");
    assert!(message.contains("ec2:CreateNetworkInterface"), "{message}");
    thread::sleep(Duration::from_secs(5));
    let refused = environment.account.call_counts().get("CreateNetworkInterface: UnauthorizedOperation").copied();
    // Three refusals that may be transient, and the one that is reported; after that one a minute.
    environment.assert_eq("refused Creates", refused, Some(4));
    // The ENI was never created, so the deletion waits for nothing.
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

//! A label or a Node that is missing for less than its grace period causes no EC2 call.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_api::names::ANNOTATION_DESELECTED_SINCE;
use serde_json::json;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn set() -> Result<Environment, Failure> {
    let mut environment = Environment::start()?;
    // Longer than kubectl takes on a busy machine.
    environment.start_replica(&[("MULTI_ENI_LABEL_GRACE", "8s"), ("MULTI_ENI_NODE_GONE_GRACE", "8s")])?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    Ok(environment)
}

/// Since when the node no longer asks for the one ENIAttachment.
fn deselected(environment: &Environment) -> Result<Option<String>, Failure> {
    let objects = environment.get(&["eniattachments"])?;
    Ok(objects["items"][0]["metadata"]["annotations"][ANNOTATION_DESELECTED_SINCE].as_str().map(ToOwned::to_owned))
}

fn noticed(environment: &Environment) -> Result<String, Failure> {
    environment.until("deselectedSince", SOON, || deselected(environment)?.ok_or_else(|| "not set".into()))
}

#[test]
fn a_label_and_a_node_that_come_back_in_time_cost_nothing() -> Result<(), Failure> {
    let environment = set()?;
    let before = environment.account.ours();
    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    noticed(&environment)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.until("asked for again", SOON, || match deselected(&environment)? {
        None => Ok(()),
        Some(since) => Err(since.into()),
    })?;
    // A Node that is registered again on the same instance is the same node.
    environment.kubectl(&["delete", "node", "node1"])?;
    noticed(&environment)?;
    environment.register("node1", INSTANCE, json!({ "ng": "multi-eni" }))?;
    environment.until("asked for again", SOON, || match deselected(&environment)? {
        None => Ok(()),
        Some(since) => Err(since.into()),
    })?;
    environment.idle()?;
    environment.assert_eq("mutations", environment.account.mutations().len(), 0);
    environment.assert_eq("ENIs", environment.account.ours(), before);
    environment.condition("one", "Ready", "True", SOON)?;
    environment.passed();
    Ok(())
}

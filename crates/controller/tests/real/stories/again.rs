//! What is away for less than its grace costs no EC2 call.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};
use serde_json::json;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn set() -> Result<Stage, Failure> {
    let mut stage = Stage::set()?;
    // Longer than a kubectl on a busy machine takes.
    stage.start_replica(&[("MULTI_ENI_LABEL_GRACE", "8s"), ("MULTI_ENI_NODE_GONE_GRACE", "8s")])?;
    stage.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    Ok(stage)
}

/// Since when the one ENIAttachment is no longer asked for.
fn deselected(stage: &Stage) -> Result<Option<String>, Failure> {
    let objects = stage.get(&["eniattachments"])?;
    Ok(objects["items"][0]["spec"]["deselectedSince"].as_str().map(ToOwned::to_owned))
}

fn noticed(stage: &Stage) -> Result<String, Failure> {
    stage.until("deselectedSince", SOON, || deselected(stage)?.ok_or_else(|| "not set".into()))
}

#[test]
fn a_label_and_a_node_that_come_back_in_time_cost_nothing() -> Result<(), Failure> {
    let stage = set()?;
    let before = stage.account.ours();
    stage.kubectl(&["label", "node", "node1", "ng-"])?;
    noticed(&stage)?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.until("asked for again", SOON, || match deselected(&stage)? {
        None => Ok(()),
        Some(since) => Err(since.into()),
    })?;
    // A Node registered again on the same instance is the same node.
    stage.kubectl(&["delete", "node", "node1"])?;
    noticed(&stage)?;
    stage.register("node1", INSTANCE, json!({ "ng": "multi-eni" }))?;
    stage.until("asked for again", SOON, || match deselected(&stage)? {
        None => Ok(()),
        Some(since) => Err(since.into()),
    })?;
    stage.idle()?;
    stage.assert_eq("mutations", stage.account.mutations().len(), 0);
    stage.assert_eq("ENIs", stage.account.ours(), before);
    stage.condition("one", "Ready", "True", SOON)?;
    stage.passed();
    Ok(())
}

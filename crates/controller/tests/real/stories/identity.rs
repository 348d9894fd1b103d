//! Identity is the instance, and EC2 says where it is: a host that registers under another name, and labels that say something else.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};
use serde_json::json;
use std::time::Duration;

const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";
const LABEL: &str = "topology.kubernetes.io/zone=use1-az4";

fn set(nodes: &[(&str, &str)]) -> Result<Stage, Failure> {
    let stage = Stage::with_a_controller()?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    for (name, instance) in nodes {
        stage.node(name, instance)?;
        stage.kubectl(&["label", "node", name, "ng=multi-eni"])?;
        stage.attached(instance, &[1], SOON)?;
    }
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    Ok(stage)
}

fn node_of(stage: &Stage) -> Result<(String, String), Failure> {
    let list = stage.get(&["eniattachments"])?;
    let text = |pointer: &str| list.pointer(pointer).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    Ok((text("/items/0/spec/nodeName"), text("/items/0/spec/nodeUID")))
}

#[test]
fn an_eniattachment_follows_its_instance_to_the_node_of_another_name() -> Result<(), Failure> {
    let stage = set(&[("node1", FIRST)])?;
    let eni = stage.account.ours_on(FIRST).remove(&1).map(|eni| eni.id);
    stage.register("renamed", FIRST, json!({ "ng": "multi-eni" }))?;
    let (reason, message) = stage.condition("one", "Degraded", "True", SOON)?;
    stage.assert_eq("reason", reason.as_str(), "DuplicateNode");
    stage.assert_eq("says which counts", message.contains("node1 counts"), true);
    stage.idle()?;
    stage.kubectl(&["delete", "node", "node1"])?;
    stage.until("the ENIAttachment names the new Node", SOON, || match node_of(&stage)? {
        (name, _) if name == "renamed" => Ok(()),
        other => Err(format!("{other:?}").into()),
    })?;
    let uid = stage.get(&["node", "renamed"])?["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    stage.assert_eq("UID of the Node", node_of(&stage)?.1, uid);
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    let tally = stage.account.tally();
    stage.assert_eq("Detach", tally.get("DetachNetworkInterface"), None);
    stage.assert_eq("Create", tally.get("CreateNetworkInterface"), None);
    stage.assert_eq("the same ENI", stage.account.ours_on(FIRST).remove(&1).map(|eni| eni.id), eni);
    stage.passed();
    Ok(())
}

#[test]
fn a_zone_label_that_is_overwritten_detaches_nothing() -> Result<(), Failure> {
    let stage = set(&[("node1", FIRST), ("node2", SECOND)])?;
    stage.kubectl(&["label", "node", "node1", "node2", LABEL, "--overwrite"])?;
    let (reason, message) = stage.condition("one", "Degraded", "True", SOON)?;
    stage.assert_eq("reason", reason.as_str(), "ZoneContradiction");
    stage.assert_eq("names the label's zone", message.contains("use1-az4"), true);
    std::thread::sleep(Duration::from_secs(5));
    stage.kubectl(&["label", "node", "node1", "topology.kubernetes.io/zone-", "node.kubernetes.io/instance-type-"])?;
    stage.kubectl(&["label", "node", "node2", "topology.kubernetes.io/zone=eu-central-1a", "--overwrite"])?;
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.assert_eq("calls that change something", stage.account.tally().len(), 0);
    stage.passed();
    Ok(())
}

#[test]
fn an_instance_that_dies_before_its_node_costs_no_call_and_no_warning() -> Result<(), Failure> {
    let mut stage = set(&[("node1", FIRST)])?;
    stage.account.ec2.terminate_instance(FIRST).map_err(|e| e.to_string())?;
    // A new leader sweeps at once.
    stage.crash()?;
    stage.until("the ENIAttachment says that its instance is gone", SOON * 5, || {
        let list = stage.get(&["eniattachments"])?;
        let text = list["items"][0]["status"]["conditions"].to_string();
        if text.contains("InstanceGone") { Ok(()) } else { Err(text.into()) }
    })?;
    stage.condition("one", "Degraded", "False", SOON)?;
    stage.assert_eq("calls that change something", stage.account.tally().len(), 0);
    let events = stage.kubectl(&["get", "events", "-A", "-o", "json"])?;
    stage.assert_eq("a Warning", events.contains("\"Warning\""), false);
    stage.kubectl(&["delete", "node", "node1"])?;
    stage.clean(SOON * 4)?;
    stage.passed();
    Ok(())
}

//! The instance is the identity of a node, and EC2 decides in which zone it is. A host registers under another name, and labels
//! state another zone.

use super::nodeeni;
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use serde_json::json;
use std::time::Duration;

const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";
const LABEL: &str = "topology.kubernetes.io/zone=use1-az4";

fn set(nodes: &[(&str, &str)]) -> Result<Environment, Failure> {
    let environment = Environment::with_a_controller()?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    for (name, instance) in nodes {
        environment.node(name, instance)?;
        environment.kubectl(&["label", "node", name, "ng=multi-eni"])?;
        environment.attached(instance, &[1], SOON)?;
    }
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    Ok(environment)
}

fn node_of(environment: &Environment) -> Result<(String, String), Failure> {
    let list = environment.get(&["eniattachments"])?;
    let text = |pointer: &str| list.pointer(pointer).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    Ok((text("/items/0/spec/nodeName"), text("/items/0/spec/nodeUID")))
}

#[test]
fn an_eniattachment_follows_its_instance_to_the_node_of_another_name() -> Result<(), Failure> {
    let environment = set(&[("node1", FIRST)])?;
    let eni = environment.account.ours_on(FIRST).remove(&1).map(|eni| eni.id);
    environment.register("renamed", FIRST, json!({ "ng": "multi-eni" }))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "DuplicateNode");
    environment.assert_eq("says which counts", message.contains("node1 counts"), true);
    environment.idle()?;
    environment.kubectl(&["delete", "node", "node1"])?;
    environment.until("the ENIAttachment names the new Node", SOON, || match node_of(&environment)? {
        (name, _) if name == "renamed" => Ok(()),
        other => Err(format!("{other:?}").into()),
    })?;
    let uid = environment.get(&["node", "renamed"])?["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    environment.assert_eq("UID of the Node", node_of(&environment)?.1, uid);
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    let call_counts = environment.account.call_counts();
    environment.assert_eq("Detach", call_counts.get("DetachNetworkInterface"), None);
    environment.assert_eq("Create", call_counts.get("CreateNetworkInterface"), None);
    environment.assert_eq("the same ENI", environment.account.ours_on(FIRST).remove(&1).map(|eni| eni.id), eni);
    environment.passed();
    Ok(())
}

#[test]
fn a_stray_node_of_an_instance_concerns_no_nodeeni_that_does_not_cover_the_instance() -> Result<(), Failure> {
    let environment = set(&[("node1", FIRST)])?;
    environment.apply(&nodeeni("far", &[&format!("subnetID: {FAR_SUBNET}")]))?;
    environment.condition("far", "Ready", "True", SOON)?;
    environment.register("stray", FIRST, json!({ "unrelated": "yes" }))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "DuplicateNode");
    environment.assert_eq(&message, message.contains("The NodeENI selects only node1"), true);
    environment.idle()?;
    for (kind, status) in [("Degraded", "False"), ("Ready", "True")] {
        environment.condition("far", kind, status, SOON)?;
    }
    environment.kubectl(&["delete", "node", "stray"])?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.assert_eq("calls that change something", environment.account.call_counts().len(), 0);
    environment.passed();
    Ok(())
}

#[test]
fn a_zone_label_that_is_overwritten_detaches_nothing() -> Result<(), Failure> {
    let environment = set(&[("node1", FIRST), ("node2", SECOND)])?;
    environment.kubectl(&["label", "node", "node1", "node2", LABEL, "--overwrite"])?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "ZoneContradiction");
    environment.assert_eq("names the label's zone", message.contains("use1-az4"), true);
    std::thread::sleep(Duration::from_secs(5));
    environment.kubectl(&[
        "label",
        "node",
        "node1",
        "topology.kubernetes.io/zone-",
        "node.kubernetes.io/instance-type-",
    ])?;
    environment.kubectl(&["label", "node", "node2", "topology.kubernetes.io/zone=eu-central-1a", "--overwrite"])?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.assert_eq("calls that change something", environment.account.call_counts().len(), 0);
    environment.passed();
    Ok(())
}

#[test]
fn an_instance_that_dies_before_its_node_costs_no_call_and_no_warning() -> Result<(), Failure> {
    let mut environment = set(&[("node1", FIRST)])?;
    environment.account.ec2.terminate_instance(FIRST).map_err(|e| e.to_string())?;
    // A new leader resyncs at once.
    environment.crash()?;
    environment.until("the ENIAttachment says that its instance is gone", SOON * 5, || {
        let list = environment.get(&["eniattachments"])?;
        let text = list["items"][0]["status"]["conditions"].to_string();
        if text.contains("InstanceGone") { Ok(()) } else { Err(text.into()) }
    })?;
    environment.condition("one", "Degraded", "False", SOON)?;
    environment.assert_eq("calls that change something", environment.account.call_counts().len(), 0);
    let events = environment.kubectl(&["get", "events", "-A", "-o", "json"])?;
    environment.assert_eq("a Warning", events.contains("\"Warning\""), false);
    environment.kubectl(&["delete", "node", "node1"])?;
    environment.clean(SOON * 4)?;
    environment.passed();
    Ok(())
}

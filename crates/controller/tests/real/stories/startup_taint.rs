//! The startup taint: it goes when all ENIs of the Node are Ready or none is wanted there, whenever it appears, and stays for an ENI
//! that fails, with one Event. With the node agent, Ready waits for the agent's report about this ENI.

use super::nodeeni;
use crate::harness::account::{GROUP, NODE_SUBNET, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

const SELECTED: &str = "i-0aaaaaaaaaaaaaaa1";
const OTHER: &str = "i-0bbbbbbbbbbbbbbb2";
const TAINT: &str = "networking.k8s.aws/eni-not-ready";

fn one() -> String {
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    nodeeni("one", &spec.each_ref().map(String::as_str))
}

/// The taints of a Node, as `key:effect`.
fn taints(environment: &Environment, node: &str) -> Result<Vec<String>, Failure> {
    let object = environment.get(&["node", node])?;
    let text = |taint: &Value, field: &str| taint[field].as_str().unwrap_or_default().to_owned();
    let taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
    // The control plane has no kubelet: its controllers may add taints of their own.
    let taints = taints.iter().filter(|taint| !text(taint, "key").starts_with("node.kubernetes.io/"));
    Ok(taints.map(|taint| format!("{}:{}", text(taint, "key"), text(taint, "effect"))).collect())
}

fn has_no_startup_taint(environment: &Environment, node: &str) -> Result<(), Failure> {
    environment.until(&format!("{node} without the startup taint"), SOON, || {
        let taints = taints(environment, node)?;
        if taints.iter().any(|taint| taint.starts_with(TAINT)) { Err(format!("{taints:?}").into()) } else { Ok(()) }
    })
}

fn kept_events(environment: &Environment) -> Result<Vec<String>, Failure> {
    let events = environment.get(&["events", "-n", "default", "--field-selector", "reason=StartupTaintKept"])?;
    let items = events["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect())
}

#[test]
fn it_goes_when_nothing_is_wanted_or_all_is_ready_and_stays_for_an_eni_that_fails() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.apply(&one())?;
    environment.node("node2", OTHER)?;
    environment.kubectl(&[
        "taint",
        "node",
        "node2",
        &format!("{TAINT}=:NoSchedule"),
        "example.com/kept=:NoSchedule",
    ])?;
    has_no_startup_taint(&environment, "node2")?;
    environment.assert_eq(
        "taints of node2",
        taints(&environment, "node2")?,
        vec!["example.com/kept:NoSchedule".into()],
    );

    // The ENI fails: EC2 does not attach it.
    environment.account.ec2.deny("AttachNetworkInterface");
    environment.account.ec2.run_instance(SELECTED, "m5.xlarge", NODE_SUBNET).map_err(|e| e.to_string())?;
    environment.register("node1", SELECTED, json!({ "ng": "multi-eni" }))?;
    let effects = [format!("{TAINT}=starting:NoSchedule"), format!("{TAINT}=starting:NoExecute")];
    environment.kubectl(&["taint", "node", "node1", &effects[0], "example.com/kept=:NoSchedule", &effects[1]])?;
    let events = environment.until("an Event on node1", SOON * 3, || match kept_events(&environment)? {
        events if events.is_empty() => Err("none".into()),
        events => Ok(events),
    })?;
    assert!(events[0].contains("Unauthorized") && events[0].contains("ENIAttachment one-"), "{events:?}");
    thread::sleep(Duration::from_secs(5));
    environment.assert_eq("Events", kept_events(&environment)?.len(), 1);
    environment.assert_eq("number of taints", taints(&environment, "node1")?.len(), 3);

    environment.account.ec2.allow("AttachNetworkInterface");
    environment.kubectl(&["annotate", "nodeeni", "one", "networking.k8s.aws/reconcile-at=now"])?;
    environment.attached(SELECTED, &[1], SOON * 3)?;
    has_no_startup_taint(&environment, "node1")?;
    environment.assert_eq(
        "taints of node1",
        taints(&environment, "node1")?,
        vec!["example.com/kept:NoSchedule".into()],
    );
    environment.idle()?;

    // It goes whenever it appears.
    environment.kubectl(&["taint", "node", "node1", &effects[1]])?;
    has_no_startup_taint(&environment, "node1")?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

/// The agent's report on the only ENIAttachment, about the ENI with this MAC address.
fn agent_reports(environment: &Environment, mac: &str, status: &str, reason: &str) -> Result<(), Failure> {
    let name = environment.names("eniattachments")?.pop().ok_or("no ENIAttachment")?;
    let object = environment.get(&[&name])?;
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let place = conditions.iter().position(|condition| condition["type"] == "Configured");
    let condition = json!({ "type": "Configured", "status": status, "reason": reason, "message": "the agent's words",
        "observedGeneration": object["metadata"]["generation"], "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let (op, path) = match place {
        Some(place) => ("replace", format!("/status/conditions/{place}")),
        None => ("add", "/status/conditions/-".to_owned()),
    };
    let patch = json!([
        { "op": op, "path": path, "value": condition },
        { "op": "add", "path": "/status/node", "value": { "macAddress": mac } },
    ]);
    environment.kubectl(&["patch", &name, "--subresource=status", "--type=json", "-p", &patch.to_string()])?;
    Ok(())
}

/// Waits until the only ENIAttachment has this condition Ready. Returns its MAC address.
fn ready(environment: &Environment, status: &str, reason: &str) -> Result<String, Failure> {
    environment.until(&format!("Ready={status} {reason}"), SOON, || {
        let list = environment.get(&["eniattachments"])?;
        let object = &list["items"][0];
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        match conditions.iter().find(|condition| condition["type"] == "Ready") {
            Some(ready) if ready["status"] == status && ready["reason"] == reason => {
                Ok(object["status"]["macAddress"].as_str().unwrap_or_default().to_owned())
            }
            other => Err(format!("{other:?}").into()),
        }
    })
}

#[test]
fn with_the_node_agent_it_stays_until_the_agent_has_configured_this_eni() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    environment.start_replica(&[("MULTI_ENI_NODE_AGENT", "true")])?;
    environment.apply(&one())?;
    environment.account.ec2.run_instance(SELECTED, "m5.xlarge", NODE_SUBNET).map_err(|e| e.to_string())?;
    environment.register("node1", SELECTED, json!({ "ng": "multi-eni" }))?;
    environment.kubectl(&["taint", "node", "node1", &format!("{TAINT}=:NoSchedule")])?;
    environment.attached(SELECTED, &[1], SOON)?;
    let mac = ready(&environment, "False", "Configuring")?;
    environment.condition("one", "Ready", "False", SOON)?;
    environment.assert_eq("number of taints", taints(&environment, "node1")?.len(), 1);
    agent_reports(&environment, &mac, "True", "Configured")?;
    ready(&environment, "True", "Ready")?;
    environment.condition("one", "Ready", "True", SOON)?;
    has_no_startup_taint(&environment, "node1")?;
    environment.idle()?;
    // Created, the answers of EC2, attached, the agent's report, Ready.
    let writes = environment.writes_to("eniattachments")?;
    assert!(writes <= 5, "{writes} writes to the ENIAttachment");

    // The agent loses the interface, and then reports on another ENI.
    agent_reports(&environment, &mac, "False", "LinkAbsent")?;
    ready(&environment, "False", "LinkAbsent")?;
    environment.kubectl(&["taint", "node", "node1", &format!("{TAINT}=:NoSchedule")])?;
    agent_reports(&environment, "02:00:00:00:00:99", "True", "Configured")?;
    ready(&environment, "False", "Configuring")?;
    environment.assert_eq("number of taints", taints(&environment, "node1")?.len(), 1);
    agent_reports(&environment, &mac, "True", "Configured")?;
    ready(&environment, "True", "Ready")?;
    has_no_startup_taint(&environment, "node1")?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

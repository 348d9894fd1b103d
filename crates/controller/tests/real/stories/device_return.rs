//! A device that is bound to a driver for DPDK: the NodeENI shows it, a report of an earlier boot does not count, and the ENI is detached
//! when the node agent has given the device back, or two minutes after the deletion. The story reports as the agent.

use super::nodeeni;
use crate::harness::account::{GROUP, NODE_SUBNET, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_api::names::AGENT_FIELD_MANAGER;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const HELD: &str = "process 4711 (testpmd) has /dev/vfio/3 open";

/// The agent reports on the only ENIAttachment.
fn reports(environment: &Environment, boot: &str, driver: &str, reason: &str, message: &str) -> Result<(), Failure> {
    let name = environment.names("eniattachments")?.pop().ok_or("no ENIAttachment")?;
    let object = environment.get(&[&name])?;
    let status = if reason == "BoundToDriver" { "True" } else { "False" };
    let condition = json!({ "type": "Configured", "status": status, "reason": reason, "message": message,
        "observedGeneration": object["metadata"]["generation"], "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let node = json!({ "macAddress": object["status"]["macAddress"], "driver": driver, "pciAddress": "0000:00:06.0",
        "bootID": boot, "message": message });
    let part = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": { "name": object["metadata"]["name"] },
        "status": { "node": node, "conditions": [condition] },
    });
    let (plane, manager) = (&environment.plane, format!("--field-manager={AGENT_FIELD_MANAGER}"));
    let apply = ["apply", "--server-side", "--force-conflicts", "--subresource=status", &manager, "-f", "-"];
    plane.kubectl_as(&plane.admin_kubeconfig(), &apply, &part.to_string())?.success()?;
    Ok(())
}

/// The kubelet reports this boot of the Node.
fn boots(environment: &Environment, boot: &str) -> Result<(), Failure> {
    let patch = json!({ "status": { "nodeInfo": { "bootID": boot } } }).to_string();
    environment.kubectl(&["patch", "node", "node1", "--subresource=status", "--type=merge", "-p", &patch])?;
    Ok(())
}

/// Waits until a condition of the only ENIAttachment has this reason. Returns its message.
fn says(environment: &Environment, kind: &str, reason: &str, within: Duration) -> Result<String, Failure> {
    environment.until(&format!("{kind} {reason}"), within, || {
        let list = environment.get(&["eniattachments"])?;
        let conditions = list["items"][0]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        match conditions.iter().find(|condition| condition["type"] == kind) {
            Some(found) if found["reason"] == reason => Ok(found["message"].as_str().unwrap_or_default().to_owned()),
            other => Err(format!("{other:?}").into()),
        }
    })
}

/// The entry of the only ENI in the NodeENI's status has these fields.
fn shows(environment: &Environment, fields: &Value) -> Result<(), Failure> {
    environment.until(&format!("status.attachments with {fields}"), SOON, || {
        let object = environment.get(&["nodeeni", "one"])?;
        let entry = &object["status"]["attachments"][0];
        let is_so = fields.as_object().into_iter().flatten().all(|(field, value)| entry[field] == *value);
        if is_so { Ok(()) } else { Err(format!("{entry}").into()) }
    })
}

fn detaches(environment: &Environment) -> usize {
    environment.account.call_counts().get("DetachNetworkInterface").copied().unwrap_or(0)
}

fn events(environment: &Environment) -> Result<Vec<String>, Failure> {
    let events = environment.get(&["events", "-n", "default", "--field-selector", "reason=DeviceNotReturned"])?;
    let items = events["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect())
}

/// An ENI whose device the agent has bound.
fn bound() -> Result<Environment, Failure> {
    let mut environment = Environment::start()?;
    environment.start_replica(&[("MULTI_ENI_NODE_AGENT", "true")])?;
    let spec = [
        format!("subnetID: {SUBNET_A}"),
        format!("securityGroupIDs: [{GROUP}]"),
        "enableDPDK: true".to_owned(),
        "dpdkResourceName: example.com/fast".to_owned(),
    ];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    environment.account.ec2.run_instance(INSTANCE, "m5.xlarge", NODE_SUBNET).map_err(|e| e.to_string())?;
    environment.register("node1", INSTANCE, json!({ "ng": "multi-eni" }))?;
    boots(&environment, "boot-1")?;
    environment.attached(INSTANCE, &[1], SOON)?;
    says(&environment, "Ready", "Configuring", SOON)?;
    reports(&environment, "boot-1", "vfio-pci", "BoundToDriver", "it is bound")?;
    says(&environment, "Ready", "Ready", SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    Ok(environment)
}

#[test]
fn it_is_shown_lost_with_a_reboot_and_given_back_before_the_detach() -> Result<(), Failure> {
    let environment = bound()?;
    let device = json!({ "dpdkBound": true, "dpdkDriver": "vfio-pci", "dpdkPCIAddress": "0000:00:06.0",
        "dpdkResourceName": "example.com/fast" });
    shows(&environment, &device)?;

    boots(&environment, "boot-2")?;
    says(&environment, "Ready", "Configuring", SOON)?;
    environment.condition("one", "Ready", "False", SOON)?;
    shows(&environment, &json!({ "dpdkBound": null }))?;
    reports(&environment, "boot-2", "vfio-pci", "BoundToDriver", "it is bound")?;
    says(&environment, "Ready", "Ready", SOON)?;
    shows(&environment, &device)?;
    environment.idle()?;

    environment.kubectl(&["label", "node", "node1", "ng-"])?;
    let message = says(&environment, "Attached", "ReturningDevice", SOON)?;
    assert!(message.contains("node1") && message.contains("0000:00:06.0"), "{message}");
    let (_, message) = environment.condition("one", "Progressing", "True", SOON)?;
    assert!(message.contains("waiting for the node agent to give a device back"), "{message}");
    reports(&environment, "boot-2", "vfio-pci", "DeviceHeld", HELD)?;
    environment.until("the process that holds the device", SOON, || {
        let message = says(&environment, "Attached", "ReturningDevice", SOON)?;
        if message.contains(HELD) { Ok(()) } else { Err(message.into()) }
    })?;
    environment.assert_eq("detaches", detaches(&environment), 0);
    reports(&environment, "boot-2", "ena", "Restored", "it has its kernel driver")?;
    environment.clean(SOON)?;
    environment.assert_eq("detaches", detaches(&environment), 1);
    environment.assert_eq("Events", events(&environment)?, Vec::new());
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn after_two_minutes_it_is_detached_anyway_and_an_event_says_who_has_it() -> Result<(), Failure> {
    let environment = bound()?;
    let begun = Instant::now();
    environment.kubectl(&["delete", "nodeeni", "one", "--wait=false"])?;
    reports(&environment, "boot-1", "vfio-pci", "DeviceHeld", HELD)?;
    says(&environment, "Attached", "ReturningDevice", SOON)?;
    thread::sleep(Duration::from_secs(100).saturating_sub(begun.elapsed()));
    environment.assert_eq("detaches", detaches(&environment), 0);
    environment.clean(SOON * 2)?;
    // The API server cuts the time of the deletion to whole seconds.
    assert!(begun.elapsed() > Duration::from_secs(118), "{:?}", begun.elapsed());
    environment.assert_eq("detaches", detaches(&environment), 1);
    let events = events(&environment)?;
    assert!(events.len() == 1 && events[0].contains(HELD) && events[0].contains("anyway"), "{events:?}");
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn nobody_waits_for_the_agent_of_a_node_that_is_not_reached() -> Result<(), Failure> {
    let environment = bound()?;
    environment.kubectl(&["delete", "nodeeni", "one", "--wait=false"])?;
    says(&environment, "Attached", "ReturningDevice", SOON)?;
    environment.kubectl(&["taint", "node", "node1", "node.kubernetes.io/unreachable=:NoExecute"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

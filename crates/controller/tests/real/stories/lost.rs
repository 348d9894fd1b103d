//! All ENIAttachments are lost while no controller runs, as when etcd is restored from an older state. The ENIs stay attached
//! where they are desired, and get new ENIAttachments.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use std::collections::BTreeMap;

/// More than the number of orphans that may be deleted at once.
const NODES: usize = 12;

/// The ENI of each node, from the statuses of the ENIAttachments that are Ready.
fn ready(environment: &Environment) -> Result<BTreeMap<String, String>, Failure> {
    let list = environment.get(&["eniattachments"])?;
    let items = list["items"].as_array().cloned().unwrap_or_default().into_iter();
    let is_ready = |item: &serde_json::Value| {
        let conditions = item["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(items.filter(is_ready).map(|item| (text(&item["spec"]["nodeName"]), text(&item["status"]["eniID"]))).collect())
}

/// Sets up this many nodes with an ENI each. Returns the ENIs.
fn attached(environment: &Environment, nodes: usize) -> Result<BTreeMap<String, String>, Failure> {
    for n in 1..=nodes {
        environment.node(&format!("node{n:02}"), &format!("i-0aaaaaaaaaaaaaa{n:02}"))?;
    }
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    environment.apply(&nodeeni("one", &[&subnet, &group]))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    environment.until("an ENI on each node", SOON * 2, || {
        let found = ready(environment)?.len();
        if found == nodes { Ok(()) } else { Err(format!("{found} are ready").into()) }
    })?;
    let there = ready(environment)?;
    environment.idle()?;
    Ok(there)
}

/// Starts a controller and waits until each node has the ENI that it had before.
fn restarts_with_the_same_enis(
    environment: &mut Environment,
    before: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    environment.account.ec2.clear_calls();
    environment.start_replica(&[])?;
    environment.until("the same ENI for each node", SOON * 6, || {
        let now = ready(environment)?;
        if now == *before { Ok(()) } else { Err(format!("{now:#?}").into()) }
    })?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()
}

/// Kills the controller and removes all ENIAttachments.
fn remove_attachments(environment: &mut Environment) -> Result<(), Failure> {
    for mut replica in environment.replicas.drain(..) {
        replica.kill9();
    }
    let names = environment.names("eniattachments")?;
    environment.kubectl(&["delete", "eniattachments", "--all", "--wait=false"])?;
    for name in &names {
        environment.kubectl(&["patch", name, "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])?;
    }
    environment.assert_eq("ENIAttachments", environment.names("eniattachments")?.len(), 0);
    Ok(())
}

#[test]
fn enis_whose_eniattachments_are_lost_are_adopted_in_place() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    let before = attached(&environment, NODES)?;
    remove_attachments(&mut environment)?;
    restarts_with_the_same_enis(&mut environment, &before)?;
    let call_counts = environment.account.call_counts();
    environment.assert_eq("what was done on EC2", call_counts, BTreeMap::from([("CreateTags".to_owned(), NODES)]));
    let adoptions = format!("multi_eni_adoptions_total {NODES}");
    let metrics = environment.replicas[0].metrics()?;
    environment.assert_eq("counted adoptions", metrics.lines().any(|line| line == adoptions), true);

    // A finalizer, label and owner that somebody removes are restored.
    let one = environment.names("eniattachments")?.remove(0);
    let label = "networking.k8s.aws/nodeeni-uid";
    let uid = environment.get(&["nodeeni", "one"])?["metadata"]["uid"].clone();
    let torn =
        format!("{{\"metadata\":{{\"finalizers\":null,\"ownerReferences\":null,\"labels\":{{\"{label}\":null}}}}}}");
    environment.kubectl(&["patch", &one, "--type=merge", "-p", &torn])?;
    environment.until("finalizer, label and owner are back", SOON, || {
        let meta = environment.get(&[&one])?["metadata"].clone();
        let back = meta["finalizers"][0] == "networking.k8s.aws/eni"
            && meta["labels"][label] == uid
            && meta["ownerReferences"][0]["uid"] == uid;
        if back { Ok(()) } else { Err(format!("{meta:#}").into()) }
    })?;

    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

/// The ENIAttachments as in a backup: without status, finalizers and UIDs.
fn backup(environment: &Environment) -> Result<Vec<String>, Failure> {
    let list = environment.get(&["eniattachments"])?;
    let items = list["items"].as_array().cloned().unwrap_or_default().into_iter();
    let bare = |item: serde_json::Value| {
        let meta = &item["metadata"];
        let kept = serde_json::json!({
            "name": meta["name"], "labels": meta["labels"], "ownerReferences": meta["ownerReferences"],
        });
        let (version, kind, spec) = (&item["apiVersion"], &item["kind"], &item["spec"]);
        serde_json::json!({ "apiVersion": version, "kind": kind, "metadata": kept, "spec": spec }).to_string()
    };
    Ok(items.map(bare).collect())
}

#[test]
fn enis_whose_eniattachments_are_restored_from_a_backup_stay_in_place() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    let before = attached(&environment, 4)?;
    let saved = backup(&environment)?;
    remove_attachments(&mut environment)?;
    for object in &saved {
        environment.apply(object)?;
    }
    restarts_with_the_same_enis(&mut environment, &before)?;
    let detached = environment.account.call_counts().get("DetachNetworkInterface").copied().unwrap_or(0);
    environment.assert_eq("ENIs detached", detached, 0);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

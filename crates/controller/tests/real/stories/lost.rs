//! All ENIAttachments are torn away while no controller runs, as when etcd is restored from an older state: the ENIs stay attached
//! where they are wanted, and get new ENIAttachments.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use std::collections::BTreeMap;

/// More than the brake lets go at once.
const NODES: usize = 12;

/// The ENI of each node, by the statuses of the ENIAttachments that are ready.
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

/// So many nodes with an ENI each; answers which.
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

/// A controller starts, and each node has the ENI that it had.
fn starts_and_finds(environment: &mut Environment, before: &BTreeMap<String, String>) -> Result<(), Failure> {
    environment.account.ec2.clear_calls();
    environment.start_replica(&[])?;
    environment.until("the same ENI for each node", SOON * 6, || {
        let now = ready(environment)?;
        if now == *before { Ok(()) } else { Err(format!("{now:#?}").into()) }
    })?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()
}

/// The controller dies, and all ENIAttachments go.
fn tear_away(environment: &mut Environment) -> Result<(), Failure> {
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
fn enis_whose_eniattachments_are_torn_away_are_adopted_where_they_are() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    let before = attached(&environment, NODES)?;
    tear_away(&mut environment)?;
    starts_and_finds(&mut environment, &before)?;
    let tally = environment.account.tally();
    environment.assert_eq("what was done on EC2", tally, BTreeMap::from([("CreateTags".to_owned(), NODES)]));

    // A mark that somebody takes off is put back.
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

/// The ENIAttachments as a backup has them: without status, finalizers and UIDs.
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
fn enis_whose_eniattachments_come_back_from_a_backup_stay_where_they_are() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    let before = attached(&environment, 4)?;
    let saved = backup(&environment)?;
    tear_away(&mut environment)?;
    for object in &saved {
        environment.apply(object)?;
    }
    starts_and_finds(&mut environment, &before)?;
    let detached = environment.account.tally().get("DetachNetworkInterface").copied().unwrap_or(0);
    environment.assert_eq("ENIs detached", detached, 0);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

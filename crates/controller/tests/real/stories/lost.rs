//! All ENIAttachments are torn away while no controller runs, as when etcd is restored from an older state: the ENIs stay attached
//! where they are wanted, and get new ENIAttachments.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};
use std::collections::BTreeMap;

/// More than the brake lets go at once.
const NODES: usize = 12;

/// The ENI of each node, by the statuses of the ENIAttachments that are ready.
fn ready(stage: &Stage) -> Result<BTreeMap<String, String>, Failure> {
    let list = stage.get(&["eniattachments"])?;
    let items = list["items"].as_array().cloned().unwrap_or_default().into_iter();
    let is_ready = |item: &serde_json::Value| {
        let conditions = item["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(items.filter(is_ready).map(|item| (text(&item["spec"]["nodeName"]), text(&item["status"]["eniID"]))).collect())
}

/// So many nodes with an ENI each; answers which.
fn attached(stage: &Stage, nodes: usize) -> Result<BTreeMap<String, String>, Failure> {
    for n in 1..=nodes {
        stage.node(&format!("node{n:02}"), &format!("i-0aaaaaaaaaaaaaa{n:02}"))?;
    }
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    stage.apply(&nodeeni("one", &[&subnet, &group]))?;
    stage.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    stage.until("an ENI on each node", SOON * 2, || {
        let found = ready(stage)?.len();
        if found == nodes { Ok(()) } else { Err(format!("{found} are ready").into()) }
    })?;
    let there = ready(stage)?;
    stage.idle()?;
    Ok(there)
}

/// A controller starts, and each node has the ENI that it had.
fn starts_and_finds(stage: &mut Stage, before: &BTreeMap<String, String>) -> Result<(), Failure> {
    stage.account.ec2.clear_calls();
    stage.start_replica(&[])?;
    stage.until("the same ENI for each node", SOON * 6, || {
        let now = ready(stage)?;
        if now == *before { Ok(()) } else { Err(format!("{now:#?}").into()) }
    })?;
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()
}

/// The controller dies, and all ENIAttachments go.
fn tear_away(stage: &mut Stage) -> Result<(), Failure> {
    for mut replica in stage.replicas.drain(..) {
        replica.kill9();
    }
    let names = stage.names("eniattachments")?;
    stage.kubectl(&["delete", "eniattachments", "--all", "--wait=false"])?;
    for name in &names {
        stage.kubectl(&["patch", name, "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])?;
    }
    stage.assert_eq("ENIAttachments", stage.names("eniattachments")?.len(), 0);
    Ok(())
}

#[test]
fn enis_whose_eniattachments_are_torn_away_are_adopted_where_they_are() -> Result<(), Failure> {
    let mut stage = Stage::with_a_controller()?;
    let before = attached(&stage, NODES)?;
    tear_away(&mut stage)?;
    starts_and_finds(&mut stage, &before)?;
    let tally = stage.account.tally();
    stage.assert_eq("what was done on EC2", tally, BTreeMap::from([("CreateTags".to_owned(), NODES)]));

    // A mark that somebody takes off is put back.
    let one = stage.names("eniattachments")?.remove(0);
    let label = "networking.k8s.aws/nodeeni-uid";
    let uid = stage.get(&["nodeeni", "one"])?["metadata"]["uid"].clone();
    let torn =
        format!("{{\"metadata\":{{\"finalizers\":null,\"ownerReferences\":null,\"labels\":{{\"{label}\":null}}}}}}");
    stage.kubectl(&["patch", &one, "--type=merge", "-p", &torn])?;
    stage.until("finalizer, label and owner are back", SOON, || {
        let meta = stage.get(&[&one])?["metadata"].clone();
        let back = meta["finalizers"][0] == "networking.k8s.aws/eni"
            && meta["labels"][label] == uid
            && meta["ownerReferences"][0]["uid"] == uid;
        if back { Ok(()) } else { Err(format!("{meta:#}").into()) }
    })?;

    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    stage.clean(SOON)?;
    stage.passed();
    Ok(())
}

/// The ENIAttachments as a backup has them: without status, finalizers and UIDs.
fn backup(stage: &Stage) -> Result<Vec<String>, Failure> {
    let list = stage.get(&["eniattachments"])?;
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
    let mut stage = Stage::with_a_controller()?;
    let before = attached(&stage, 4)?;
    let saved = backup(&stage)?;
    tear_away(&mut stage)?;
    for object in &saved {
        stage.apply(object)?;
    }
    starts_and_finds(&mut stage, &before)?;
    let detached = stage.account.tally().get("DetachNetworkInterface").copied().unwrap_or(0);
    stage.assert_eq("ENIs detached", detached, 0);
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    stage.clean(SOON)?;
    stage.passed();
    Ok(())
}

//! The architecture page's first example, from the label to an empty account, with the chart's rights and no more.

use multi_eni_api::names as n;
use std::collections::BTreeMap;

use crate::harness::account::{GROUP, NODE_SUBNET, SUBNET_A, SUBNET_B};
use crate::harness::{Failure, SOON, Stage};

const MANIFESTS: &str = include_str!("../../../manifests/multiple-nodeenis.yaml");
const NODE: &str = "ip-10-0-0-10.eu-central-1.compute.internal";
const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(action, count)| (action.to_owned(), count)).collect()
}

#[test]
fn both_enis_come_with_the_label_and_go_with_it() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    let (ec2, account) = (&stage.account.ec2, &stage.account);
    stage.node(NODE, INSTANCE)?;
    // Foreign: the primary interfaces, one made by hand in the very subnet, and one as the VPC CNI makes them.
    let foreign_instance = "i-0bbbbbbbbbbbbbbb2";
    stage.node("unlabelled", foreign_instance)?;
    let by_hand = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    ec2.hand_create(SUBNET_A, &[("Name", "somebody's")]).map_err(by_hand)?;
    let cni = [("node.k8s.amazonaws.com/instance_id", INSTANCE), ("cluster.k8s.amazonaws.com/name", "another")];
    let cni = ec2.hand_create(NODE_SUBNET, &cni).map_err(by_hand)?;
    ec2.hand_attach(&cni, INSTANCE, 0, 3).map_err(by_hand)?;
    let foreign = account.foreign();
    assert_eq!(foreign.len(), 4);

    stage.apply(MANIFESTS)?;
    let (reason, _) = stage.condition("nodeeni-subnet-a", "Ready", "True", SOON)?;
    stage.assert_eq("reason before any node has the label", reason.as_str(), "NoNodeMatches");
    stage.assert_eq("ENIs before the label", account.ours().len(), 0);
    ec2.clear_calls();

    stage.kubectl(&["label", "node", NODE, "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1, 2], SOON)?;
    for nodeeni in ["nodeeni-subnet-a", "nodeeni-subnet-b"] {
        let wanted = "jsonpath={.status.attached}=1";
        stage.kubectl(&["wait", "--for", wanted, &format!("nodeeni/{nodeeni}"), "--timeout=30s"])?;
        stage.kubectl(&["wait", "--for=condition=Ready", &format!("nodeeni/{nodeeni}"), "--timeout=30s"])?;
    }
    let every = ["wait", "--for=condition=Ready", "eniattachment", "--all", "--timeout=30s"];
    stage.kubectl(&every)?;
    as_asked(&stage, "nodeeni-subnet-a", 1, SUBNET_A, "10.0.1.0/24", "ENI for subnet A")?;
    as_asked(&stage, "nodeeni-subnet-b", 2, SUBNET_B, "10.0.2.0/24", "ENI for subnet B")?;
    stage.idle()?;
    stage.assert_eq("writes to two ENIAttachments", stage.writes_to("eniattachments")?, 6);
    let three_each =
        [("CreateNetworkInterface", 2), ("AttachNetworkInterface", 2), ("ModifyNetworkInterfaceAttribute", 2)];
    stage.assert_eq("mutations for two ENIs", account.tally(), counts(three_each));
    stage.assert_eq("foreign ENIs", account.foreign(), foreign.clone());
    told(&stage, "node", NODE, &["ENIAttached", "nodeeni-subnet-a", "device index 2"])?;
    told(&stage, "nodeeni", "nodeeni-subnet-b", &["Ready", "1 of 1 ENIs are ready on 1 nodes"])?;

    ec2.clear_calls();
    stage.kubectl(&["label", "node", NODE, "ng-"])?;
    stage.clean(SOON)?;
    stage.idle()?;
    let two_each = [("DetachNetworkInterface", 2), ("DeleteNetworkInterface", 2)];
    stage.assert_eq("mutations for two ENIs removed", account.tally(), counts(two_each));
    for nodeeni in ["nodeeni-subnet-a", "nodeeni-subnet-b"] {
        let status = &stage.get(&["nodeeni", nodeeni])?["status"];
        stage.assert_eq("attachments in status", status["attachments"].as_array().map(Vec::len), Some(0));
        stage.assert_eq("attached in status", status["attached"].as_i64(), Some(0));
    }
    told(&stage, "node", NODE, &["ENIDeleted"])?;

    stage.kubectl(&["label", "node", NODE, "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1, 2], SOON)?;
    stage.idle()?;
    ec2.clear_calls();
    stage.kubectl(&["delete", "nodeeni", "nodeeni-subnet-a", "nodeeni-subnet-b", "--timeout=30s"])?;
    stage.assert_eq("NodeENIs left", stage.names("nodeenis")?.len(), 0);
    stage.assert_eq("ENIAttachments left", stage.names("eniattachments")?.len(), 0);
    stage.assert_eq("ENIs left", account.ours().len(), 0);
    stage.idle()?;
    stage.assert_eq("mutations for two ENIs deleted", account.tally(), counts(two_each));
    stage.assert_eq("foreign ENIs", account.foreign(), foreign);
    stage.passed();
    Ok(())
}

/// One NodeENI of the page against its status, its ENIAttachment and EC2.
fn as_asked(stage: &Stage, nodeeni: &str, index: u32, subnet: &str, cidr: &str, about: &str) -> Result<(), Failure> {
    let object = stage.get(&["nodeeni", nodeeni])?;
    let status = &object["status"];
    for (field, wanted) in [("matchedNodes", 1), ("desired", 1), ("attached", 1), ("ready", 1), ("failed", 0)] {
        stage.assert_eq(field, status[field].as_i64(), Some(wanted));
    }
    stage.assert_eq("observedGeneration", &status["observedGeneration"], &object["metadata"]["generation"]);
    let there = stage.account.ours_on(INSTANCE);
    let eni = there.get(&index).ok_or("no ENI at the index")?;
    let at = eni.attachment.as_ref().ok_or("not attached")?;
    stage.assert_eq("status.attachments", status["attachments"].as_array().map(Vec::len), Some(1));
    let entry = &status["attachments"][0];
    for (field, wanted) in [
        ("nodeID", NODE),
        ("instanceID", INSTANCE),
        ("eniID", &eni.id),
        ("attachmentID", &at.id),
        ("subnetID", subnet),
        ("subnetCIDR", cidr),
        ("status", "attached"),
    ] {
        stage.assert_eq(field, entry[field].as_str(), Some(wanted));
    }
    stage.assert_eq("deviceIndex", entry["deviceIndex"].as_u64(), Some(index.into()));
    assert!(entry["lastUpdated"].is_string(), "{entry:#}");

    stage.assert_eq("subnet on EC2", eni.subnet_id.as_str(), subnet);
    stage.assert_eq("groups on EC2", eni.groups.clone(), vec![GROUP.to_owned()]);
    stage.assert_eq("description on EC2", eni.description.as_str(), about);
    stage.until("deleteOnTermination on EC2", SOON, || {
        let at = stage.account.ours_on(INSTANCE).remove(&index).and_then(|eni| eni.attachment);
        if at.is_some_and(|at| at.delete_on_termination) { Ok(()) } else { Err("still false".into()) }
    })?;
    let cluster = stage.kubectl(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"])?;
    let objects = stage.get(&["eniattachments"])?;
    let mine = |object: &&serde_json::Value| object["spec"]["nodeENIName"] == nodeeni;
    let attachment = objects["items"].as_array().into_iter().flatten().find(mine).ok_or("no ENIAttachment")?;
    let uid = |object: &serde_json::Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    for (tag, wanted) in [
        (n::TAG_CLUSTER, cluster.clone()),
        (n::TAG_CLUSTER_NAME, cluster),
        (n::TAG_NODEENI, nodeeni.to_owned()),
        (n::TAG_NODEENI_UID, uid(&object)),
        (n::TAG_NODE, NODE.to_owned()),
        (n::TAG_ATTACHMENT_UID, uid(attachment)),
        (n::TAG_NO_MANAGE, "true".to_owned()),
        ("Name", format!("{nodeeni}-{NODE}")),
    ] {
        stage.assert_eq(tag, eni.tags.get(tag), Some(&wanted));
    }
    stage.assert_eq("phase", attachment["status"]["phase"].as_str(), Some("Attached"));
    stage.assert_eq("eniID", attachment["status"]["eniID"].as_str(), Some(eni.id.as_str()));
    stage.assert_eq("macAddress", attachment["status"]["macAddress"].as_str(), Some(eni.mac_address.as_str()));
    Ok(())
}

/// What `kubectl describe` says of an object in the end.
fn told(stage: &Stage, kind: &str, name: &str, words: &[&str]) -> Result<(), Failure> {
    stage.until(&format!("events of {kind} {name} with {words:?}"), SOON, || {
        let described = stage.kubectl(&["describe", kind, name])?;
        let events = described.rsplit_once("\nEvents:").map_or("", |(_, events)| events);
        if words.iter().all(|word| events.contains(word)) { Ok(()) } else { Err(described.into()) }
    })
}

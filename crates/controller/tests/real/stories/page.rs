//! The architecture page's first example, from the label to an account without ENIs, with no more rights than the chart's.

use multi_eni_api::names as n;
use std::collections::BTreeMap;

use crate::harness::account::{GROUP, NODE_SUBNET, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};

const MANIFESTS: &str = include_str!("../../../manifests/multiple-nodeenis.yaml");
const NODE: &str = "ip-10-0-0-10.eu-central-1.compute.internal";
const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(action, count)| (action.to_owned(), count)).collect()
}

#[test]
fn both_enis_are_attached_with_the_label_and_removed_with_it() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let (ec2, account) = (&environment.account.ec2, &environment.account);
    environment.node(NODE, INSTANCE)?;
    // Foreign ENIs: the primary interfaces, one made by hand in the same subnet, and one as the VPC CNI makes them.
    let foreign_instance = "i-0bbbbbbbbbbbbbbb2";
    environment.node("unlabelled", foreign_instance)?;
    let by_hand = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    ec2.hand_create(SUBNET_A, &[("Name", "somebody's")]).map_err(by_hand)?;
    let cni = [("node.k8s.amazonaws.com/instance_id", INSTANCE), ("cluster.k8s.amazonaws.com/name", "another")];
    let cni = ec2.hand_create(NODE_SUBNET, &cni).map_err(by_hand)?;
    ec2.hand_attach(&cni, INSTANCE, 0, 3).map_err(by_hand)?;
    let foreign = account.foreign();
    assert_eq!(foreign.len(), 4);

    environment.apply(MANIFESTS)?;
    let (reason, _) = environment.condition("nodeeni-subnet-a", "Ready", "Unknown", SOON)?;
    environment.assert_eq("reason before any node has the label", reason.as_str(), "NoNodeMatches");
    environment.assert_eq("ENIs before the label", account.ours().len(), 0);
    ec2.clear_calls();

    environment.kubectl(&["label", "node", NODE, "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1, 2], SOON)?;
    for nodeeni in ["nodeeni-subnet-a", "nodeeni-subnet-b"] {
        let expected = "jsonpath={.status.attached}=1";
        environment.kubectl(&["wait", "--for", expected, &format!("nodeeni/{nodeeni}"), "--timeout=30s"])?;
        environment.kubectl(&["wait", "--for=condition=Ready", &format!("nodeeni/{nodeeni}"), "--timeout=30s"])?;
    }
    let every = ["wait", "--for=condition=Ready", "eniattachment", "--all", "--timeout=30s"];
    environment.kubectl(&every)?;
    as_asked(&environment, "nodeeni-subnet-a", 1, SUBNET_A, "10.0.1.0/24", "ENI for subnet A")?;
    as_asked(&environment, "nodeeni-subnet-b", 2, SUBNET_B, "10.0.2.0/24", "ENI for subnet B")?;
    environment.idle()?;
    environment.assert_eq("writes to two ENIAttachments", environment.writes_to("eniattachments")?, 6);
    let three_each =
        [("CreateNetworkInterface", 2), ("AttachNetworkInterface", 2), ("ModifyNetworkInterfaceAttribute", 2)];
    environment.assert_eq("mutations for two ENIs", account.call_counts(), counts(three_each));
    environment.assert_eq("foreign ENIs", account.foreign(), foreign.clone());
    has_events(&environment, "node", NODE, &["ENIAttached", "nodeeni-subnet-a", "device index 2"])?;
    has_events(&environment, "nodeeni", "nodeeni-subnet-b", &["Ready", "1 of 1 ENI is ready on 1 node"])?;

    ec2.clear_calls();
    environment.kubectl(&["label", "node", NODE, "ng-"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    let two_each = [("DetachNetworkInterface", 2), ("DeleteNetworkInterface", 2)];
    environment.assert_eq("mutations for two ENIs removed", account.call_counts(), counts(two_each));
    for nodeeni in ["nodeeni-subnet-a", "nodeeni-subnet-b"] {
        let status = &environment.get(&["nodeeni", nodeeni])?["status"];
        environment.assert_eq("attachments in status", status["attachments"].as_array().map(Vec::len), Some(0));
        environment.assert_eq("attached in status", status["attached"].as_i64(), Some(0));
    }
    has_events(&environment, "node", NODE, &["ENIDeleted"])?;

    environment.kubectl(&["label", "node", NODE, "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1, 2], SOON)?;
    environment.idle()?;
    ec2.clear_calls();
    environment.kubectl(&["delete", "nodeeni", "nodeeni-subnet-a", "nodeeni-subnet-b", "--timeout=30s"])?;
    environment.assert_eq("NodeENIs left", environment.names("nodeenis")?.len(), 0);
    environment.assert_eq("ENIAttachments left", environment.names("eniattachments")?.len(), 0);
    environment.assert_eq("ENIs left", account.ours().len(), 0);
    environment.idle()?;
    environment.assert_eq("mutations for two ENIs deleted", account.call_counts(), counts(two_each));
    environment.assert_eq("foreign ENIs", account.foreign(), foreign);
    environment.passed();
    Ok(())
}

/// Compares one NodeENI of the page with its status, its ENIAttachment and EC2.
fn as_asked(
    environment: &Environment,
    nodeeni: &str,
    index: u32,
    subnet: &str,
    cidr: &str,
    about: &str,
) -> Result<(), Failure> {
    let object = environment.get(&["nodeeni", nodeeni])?;
    let status = &object["status"];
    for (field, expected) in [("matchedNodes", 1), ("desired", 1), ("attached", 1), ("ready", 1), ("failed", 0)] {
        environment.assert_eq(field, status[field].as_i64(), Some(expected));
    }
    let both = environment.kubectl(&["get", "multi-eni", "-o", "name"])?;
    for kind in ["nodeeni", "eniattachment"] {
        assert!(both.contains(&format!("{kind}.networking.k8s.aws/{nodeeni}")), "the category lacks a {kind}: {both}");
    }
    environment.assert_eq("observedGeneration", &status["observedGeneration"], &object["metadata"]["generation"]);
    let there = environment.account.ours_on(INSTANCE);
    let eni = there.get(&index).ok_or("no ENI at the index")?;
    let at = eni.attachment.as_ref().ok_or("not attached")?;
    environment.assert_eq("status.attachments", status["attachments"].as_array().map(Vec::len), Some(1));
    let entry = &status["attachments"][0];
    for (field, expected) in [
        ("nodeID", NODE),
        ("instanceID", INSTANCE),
        ("eniID", &eni.id),
        ("attachmentID", &at.id),
        ("subnetID", subnet),
        ("subnetCIDR", cidr),
        ("status", "attached"),
    ] {
        environment.assert_eq(field, entry[field].as_str(), Some(expected));
    }
    environment.assert_eq("deviceIndex", entry["deviceIndex"].as_u64(), Some(index.into()));
    assert!(entry["lastUpdated"].is_string(), "{entry:#}");

    environment.assert_eq("subnet on EC2", eni.subnet_id.as_str(), subnet);
    environment.assert_eq("groups on EC2", eni.groups.clone(), vec![GROUP.to_owned()]);
    environment.assert_eq("description on EC2", eni.description.as_str(), about);
    environment.until("deleteOnTermination on EC2", SOON, || {
        let at = environment.account.ours_on(INSTANCE).remove(&index).and_then(|eni| eni.attachment);
        if at.is_some_and(|at| at.delete_on_termination) { Ok(()) } else { Err("still false".into()) }
    })?;
    let cluster = environment.kubectl(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"])?;
    let objects = environment.get(&["eniattachments"])?;
    let mine = |object: &&serde_json::Value| object["spec"]["nodeENIName"] == nodeeni;
    let attachment = objects["items"].as_array().into_iter().flatten().find(mine).ok_or("no ENIAttachment")?;
    let uid = |object: &serde_json::Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    for (tag, expected) in [
        (n::TAG_CLUSTER, cluster.clone()),
        (n::TAG_CLUSTER_NAME, cluster),
        (n::TAG_NODEENI, nodeeni.to_owned()),
        (n::TAG_NODEENI_UID, uid(&object)),
        (n::TAG_NODE, NODE.to_owned()),
        (n::TAG_ATTACHMENT_UID, uid(attachment)),
        (n::TAG_NO_MANAGE, "true".to_owned()),
        ("Name", format!("{nodeeni}-{NODE}")),
    ] {
        environment.assert_eq(tag, eni.tags.get(tag), Some(&expected));
    }
    environment.assert_eq("phase", attachment["status"]["phase"].as_str(), Some("Attached"));
    environment.assert_eq("eniID", attachment["status"]["eniID"].as_str(), Some(eni.id.as_str()));
    environment.assert_eq("macAddress", attachment["status"]["macAddress"].as_str(), Some(eni.mac_address.as_str()));
    Ok(())
}

/// Waits until `kubectl describe` shows events with these words for an object.
fn has_events(environment: &Environment, kind: &str, name: &str, words: &[&str]) -> Result<(), Failure> {
    environment.until(&format!("events of {kind} {name} with {words:?}"), SOON, || {
        let described = environment.kubectl(&["describe", kind, name])?;
        let events = described.rsplit_once("\nEvents:").map_or("", |(_, events)| events);
        if words.iter().all(|word| events.contains(word)) { Ok(()) } else { Err(described.into()) }
    })
}

//! Moving in from upstream's controller: its objects and ENIs as it leaves them, ours started on them.

use super::plan::{foretold, made, multi_eni, reader};
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Failure, SOON, Stage};
use multi_eni_api::names::{NODEENI_FINALIZER, TAG_CLUSTER};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const INSTANCES: [&str; 3] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"];
/// An instance of a Node without labels.
const IDLE: &str = "i-0aaaaaaaaaaaaaaa4";
/// An instance of another cluster in the same account.
const ELSEWHERE: &str = "i-0bbbbbbbbbbbbbbb1";

/// An ENI as upstream makes it, attached if `slot` says where.
fn eni(stage: &Stage, nodeeni: &str, node: &str, subnet: &str, slot: Option<(&str, u32)>) -> Result<String, Failure> {
    let name = format!("nodeeni-{nodeeni}-{node}-{}", &subnet[subnet.len() - 8..]);
    let tags = [
        ("Name", name.as_str()),
        ("NodeENI", nodeeni),
        ("Node", node),
        ("SubnetID", subnet),
        ("kubernetes.io/cluster/managed-by", "nodeeni-controller"),
        ("node.k8s.amazonaws.com/no_manage", "true"),
    ];
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    let id = stage.account.ec2.hand_create(subnet, &tags).map_err(failed)?;
    if let Some((instance, index)) = slot {
        stage.account.ec2.hand_attach(&id, instance, 0, index).map_err(failed)?;
    }
    Ok(id)
}

/// An entry of upstream's status.
fn entry(number: usize, eni: &str, subnet: &str, index: u32) -> Value {
    json!({
        "nodeID": format!("node{number}"), "instanceID": INSTANCES[number - 1], "eniID": eni, "subnetID": subnet,
        "attachmentID": "eni-attach-0123456789abcdef0", "subnetCIDR": "10.0.9.0/24", "deviceIndex": index,
        "status": "attached", "lastUpdated": "2026-01-02T03:04:05Z",
    })
}

/// A NodeENI as upstream leaves it: its finalizer, and its status if it got so far.
fn nodeeni(stage: &Stage, name: &str, spec: Value, entries: &[Value]) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "spec": spec,
        "metadata": { "name": name, "finalizers": [NODEENI_FINALIZER] },
    });
    stage.apply(&object.to_string())?;
    if !entries.is_empty() {
        let status = json!({ "status": { "attachments": entries } }).to_string();
        stage.kubectl(&["patch", "nodeeni", name, "--subresource=status", "--type=merge", "-p", &status])?;
    }
    Ok(())
}

fn nodes(stage: &Stage) -> Result<(), Failure> {
    for (number, instance) in (1..).zip(INSTANCES) {
        stage.node(&format!("node{number}"), instance)?;
        stage.kubectl(&["label", "node", &format!("node{number}"), "ng=multi-eni"])?;
    }
    Ok(())
}

/// ENI by Node and index, of one NodeENI's status.
fn listed(stage: &Stage, name: &str) -> Result<BTreeMap<(String, i64), String>, Failure> {
    let object = stage.get(&["nodeeni", name])?;
    let entries = object["status"]["attachments"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |e: &Value| ((text(&e["nodeID"]), e["deviceIndex"].as_i64().unwrap_or(-1)), text(&e["eniID"]));
    Ok(entries.iter().map(read).collect())
}

#[test]
fn in_place_with_no_detach_and_the_way_back() -> Result<(), Failure> {
    let mut stage = Stage::set()?;
    let reader = reader(&stage)?;
    nodes(&stage)?;
    let at = |number: usize, index| Some((INSTANCES[number - 1], index));
    let plain: Vec<String> =
        (1..=2).map(|n| eni(&stage, "plain", &format!("node{n}"), SUBNET_B, at(n, 3))).collect::<Result<_, _>>()?;
    // Attached, and upstream crashed before it wrote its status.
    let unlisted = eni(&stage, "plain", "node3", SUBNET_B, at(3, 3))?;
    // Its index is the position in the whole list, and was bumped once more on node2.
    let zoned =
        [eni(&stage, "zoned", "node1", SUBNET_A, at(1, 2))?, eni(&stage, "zoned", "node2", SUBNET_A, at(2, 4))?];
    // What it lost sight of.
    let leaked = eni(&stage, "plain", "node1", SUBNET_B, None)?;
    let double = eni(&stage, "plain", "node1", SUBNET_B, at(1, 7))?;
    // On a node that no longer matches, and in no status.
    stage.node("node4", IDLE)?;
    let forgotten = eni(&stage, "plain", "node4", SUBNET_B, Some((IDLE, 3)))?;
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    stage.account.ec2.run_instance(ELSEWHERE, "m5.xlarge", SUBNET_B).map_err(failed)?;
    let foreign = eni(&stage, "plain", "node9", SUBNET_B, Some((ELSEWHERE, 3)))?;

    let selector = json!({ "ng": "multi-eni" });
    let spec = json!({ "nodeSelector": selector, "subnetID": SUBNET_B, "deviceIndex": 3, "securityGroupIDs": [GROUP] });
    nodeeni(&stage, "plain", spec, &[entry(1, &plain[0], SUBNET_B, 3), entry(2, &plain[1], SUBNET_B, 3)])?;
    let spec = json!({ "nodeSelector": selector, "subnetIDs": [FAR_SUBNET, SUBNET_A], "deviceIndex": 1,
        "securityGroupIDs": [GROUP], "mtu": 0 });
    nodeeni(&stage, "zoned", spec, &[entry(1, &zoned[0], SUBNET_A, 2), entry(2, &zoned[1], SUBNET_A, 4)])?;
    let before = stage.account.ec2.snapshot();
    let entries = [listed(&stage, "plain")?, listed(&stage, "zoned")?];

    // The dry run.
    let (code, plan, words) = multi_eni(&stage, &reader, &["plan"], "")?;
    stage.assert_eq(&format!("{plan}{words}"), code, 0);
    for id in plain.iter().chain(&zoned).chain([&unlisted]) {
        assert!(plan.contains(&format!("{id}: take over from upstream, as it is")), "{id}: {plan}");
    }
    for (id, words) in [
        (&leaked, "of NodeENI plain is not attached: it looks leaked"),
        (&double, "of NodeENI plain is attached to node node1 and is not taken over"),
        (&forgotten, "of NodeENI plain is attached to node node4 and is not taken over: that NodeENI neither matches"),
        (&foreign, "of a NodeENI plain is attached to i-0bbbbbbbbbbbbbbb1, which is no Node of this cluster"),
    ] {
        assert!(plan.contains(&format!("{id} {words}")), "{id} {words}: {plan}");
    }
    let coming = foretold(&stage, &reader, &["plan"], "")?;
    // node3 has no ENI of zoned yet: that one is made.
    let news = [("CreateNetworkInterface", 1), ("AttachNetworkInterface", 1), ("CreateTags", 5)];
    for (action, n) in news {
        stage.assert_eq(action, coming.get(action), Some(&n));
    }

    stage.start_replica(&[])?;
    stage.condition("plain", "Ready", "True", SOON)?;
    stage.condition("zoned", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.assert_eq("the calls", made(&stage), coming.clone());
    for action in ["DetachNetworkInterface", "DeleteNetworkInterface"] {
        stage.assert_eq(action, coming.get(action), None);
    }
    let after = stage.account.ec2.snapshot();
    for (id, eni) in &before.enis {
        let now = after.enis.get(id).ok_or_else(|| stage.failed(&format!("{id} is gone")))?;
        let place = |eni: &multi_eni_sim::ec2::Eni| {
            eni.attachment.as_ref().map(|at| (at.id.clone(), at.instance_id.clone(), at.device_index))
        };
        stage.assert_eq(&format!("place of {id}"), place(now), place(eni));
    }
    for id in [&leaked, &double, &forgotten, &foreign] {
        stage.assert_eq(&format!("{id} is as it was"), after.enis.get(id), before.enis.get(id));
    }
    let now = listed(&stage, "plain")?;
    assert!(entries[0].iter().all(|(place, eni)| now.get(place) == Some(eni)), "{entries:?} {now:?}");
    stage.assert_eq("the one that was not listed", now.get(&("node3".to_owned(), 3)), Some(&unlisted));
    let (reason, message) = stage.condition("zoned", "IndexPinned", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "Adopted");
    assert!(
        message.starts_with("2 ENIs that were taken over") && message.contains("on node node1 it is 2"),
        "{message}"
    );

    // Once more from nothing: it is ours now, and nothing is left to do.
    stage.account.ec2.clear_calls();
    stage.crash()?;
    stage.idle()?;
    stage.assert_eq("the calls of a new process", made(&stage), BTreeMap::new());

    // The way back: EC2 is not touched, and upstream finds its finalizer and the ENIs in the status.
    let status = [listed(&stage, "plain")?, listed(&stage, "zoned")?];
    stage.replicas.clear();
    let enis = stage.account.ec2.snapshot().enis;
    way_back(&stage)?;
    stage.assert_eq("ENIAttachments", stage.names("eniattachments")?.len(), 0);
    stage.assert_eq("the statuses", [listed(&stage, "plain")?, listed(&stage, "zoned")?], status);
    stage.assert_eq(
        "finalizers",
        stage.get(&["nodeeni", "plain"])?["metadata"]["finalizers"].clone(),
        json!([NODEENI_FINALIZER]),
    );
    stage.assert_eq("EC2", stage.account.ec2.snapshot().enis, enis);
    stage.assert_eq("calls", made(&stage), BTreeMap::new());
    stage.passed();
    Ok(())
}

/// The commands that the documentation gives.
fn way_back(stage: &Stage) -> Result<(), Failure> {
    let page = include_str!("../../../../../docs/moving-from-upstream.md");
    let section = page.split("## The way back").nth(1).ok_or("the page has no way back")?;
    let commands = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    // There is no Deployment here: the controller is stopped already.
    for command in commands.lines().filter(|line| line.starts_with("kubectl ") && !line.contains("scale")) {
        stage.shell(command)?;
    }
    Ok(())
}

/// Upstream was stopped while it deleted a NodeENI: what it had attached goes, and nothing else.
#[test]
fn what_it_was_deleting_is_finished() -> Result<(), Failure> {
    let mut stage = Stage::set()?;
    nodes(&stage)?;
    let going = eni(&stage, "going", "node1", SUBNET_A, Some((INSTANCES[0], 1)))?;
    let spec = json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetID": SUBNET_A, "deviceIndex": 1 });
    nodeeni(&stage, "going", spec, &[entry(1, &going, SUBNET_A, 1)])?;
    stage.kubectl(&["delete", "nodeeni", "going", "--wait=false"])?;
    stage.start_replica(&[])?;
    stage.until("NodeENI gone", SOON, || {
        let left = stage.names("nodeenis")?;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}").into()) }
    })?;
    stage.clean(SOON)?;
    assert!(!stage.account.ec2.snapshot().enis.contains_key(&going));
    let calls = [("CreateTags", 1), ("DetachNetworkInterface", 1), ("DeleteNetworkInterface", 1)];
    stage.assert_eq("the calls", made(&stage), calls.map(|(action, n)| (action.to_owned(), n)).into());
    stage.idle()?;
    stage.passed();
    Ok(())
}

/// Another cluster has taken it over before: it is nobody's to take here.
#[test]
fn what_another_cluster_has_taken_is_not_touched() -> Result<(), Failure> {
    let mut stage = Stage::set()?;
    nodes(&stage)?;
    let taken = eni(&stage, "one", "node1", SUBNET_A, Some((INSTANCES[0], 1)))?;
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    let tag = |eni: &mut multi_eni_sim::ec2::Eni| drop(eni.tags.insert(TAG_CLUSTER.to_owned(), "another".to_owned()));
    stage.account.ec2.hand_change(&taken, tag).map_err(failed)?;
    let before = stage.account.ec2.snapshot().enis[&taken].clone();
    let spec = json!({ "nodeSelector": { "kubernetes.io/hostname": "node1" }, "subnetID": SUBNET_A, "deviceIndex": 1 });
    nodeeni(&stage, "one", spec, &[entry(1, &taken, SUBNET_A, 1)])?;
    stage.start_replica(&[])?;
    let (reason, message) = stage.condition("one", "Degraded", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    stage.idle()?;
    stage.assert_eq("calls", made(&stage), BTreeMap::new());
    stage.assert_eq("the ENI", stage.account.ec2.snapshot().enis.get(&taken), Some(&before));
    stage.passed();
    Ok(())
}

//! The move from upstream's controller: this controller starts with the objects and ENIs that upstream left.

use super::plan::{made, multi_eni, planned_calls, reader};
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_api::names::{NODEENI_FINALIZER, TAG_CLUSTER};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const INSTANCES: [&str; 3] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"];
/// An instance of a Node without labels.
const IDLE: &str = "i-0aaaaaaaaaaaaaaa4";
/// An instance of another cluster in the same account.
const ELSEWHERE: &str = "i-0bbbbbbbbbbbbbbb1";

/// Creates an ENI as upstream does, attached if `slot` is given.
fn eni(
    environment: &Environment,
    nodeeni: &str,
    node: &str,
    subnet: &str,
    slot: Option<(&str, u32)>,
) -> Result<String, Failure> {
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
    let id = environment.account.ec2.hand_create(subnet, &tags).map_err(failed)?;
    if let Some((instance, index)) = slot {
        environment.account.ec2.hand_attach(&id, instance, 0, index).map_err(failed)?;
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

/// Creates a NodeENI as upstream leaves it: with its finalizer, and with its status unless upstream crashed before.
fn nodeeni(environment: &Environment, name: &str, spec: Value, entries: &[Value]) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "spec": spec,
        "metadata": { "name": name, "finalizers": [NODEENI_FINALIZER] },
    });
    environment.apply(&object.to_string())?;
    if !entries.is_empty() {
        let status = json!({ "status": { "attachments": entries } }).to_string();
        environment.kubectl(&["patch", "nodeeni", name, "--subresource=status", "--type=merge", "-p", &status])?;
    }
    Ok(())
}

fn nodes(environment: &Environment) -> Result<(), Failure> {
    environment.iam.permit_migration()?;
    for (number, instance) in (1..).zip(INSTANCES) {
        environment.node(&format!("node{number}"), instance)?;
        environment.kubectl(&["label", "node", &format!("node{number}"), "ng=multi-eni"])?;
    }
    Ok(())
}

/// The ENIs in the status of a NodeENI, by Node and device index.
fn listed(environment: &Environment, name: &str) -> Result<BTreeMap<(String, i64), String>, Failure> {
    let object = environment.get(&["nodeeni", name])?;
    let entries = object["status"]["attachments"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |e: &Value| ((text(&e["nodeID"]), e["deviceIndex"].as_i64().unwrap_or(-1)), text(&e["eniID"]));
    Ok(entries.iter().map(read).collect())
}

#[test]
fn in_place_with_no_detach_and_the_way_back() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let reader = reader(&environment)?;
    nodes(&environment)?;
    let at = |number: usize, index| Some((INSTANCES[number - 1], index));
    let plain: Vec<String> = (1..=2)
        .map(|n| eni(&environment, "plain", &format!("node{n}"), SUBNET_B, at(n, 3)))
        .collect::<Result<_, _>>()?;
    // Attached, but upstream crashed before it wrote the status.
    let unlisted = eni(&environment, "plain", "node3", SUBNET_B, at(3, 3))?;
    // Upstream takes the position in the whole list as the index, and raised it once more on node2.
    let zoned = [
        eni(&environment, "zoned", "node1", SUBNET_A, at(1, 2))?,
        eni(&environment, "zoned", "node2", SUBNET_A, at(2, 4))?,
    ];
    // ENIs that upstream lost track of.
    let leaked = eni(&environment, "plain", "node1", SUBNET_B, None)?;
    let double = eni(&environment, "plain", "node1", SUBNET_B, at(1, 7))?;
    // On a node that no longer matches, and not in any status.
    environment.node("node4", IDLE)?;
    let forgotten = eni(&environment, "plain", "node4", SUBNET_B, Some((IDLE, 3)))?;
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    environment.account.ec2.run_instance(ELSEWHERE, "m5.xlarge", SUBNET_B).map_err(failed)?;
    let foreign = eni(&environment, "plain", "node9", SUBNET_B, Some((ELSEWHERE, 3)))?;

    let selector = json!({ "ng": "multi-eni" });
    let spec = json!({ "nodeSelector": selector, "subnetID": SUBNET_B, "deviceIndex": 3, "securityGroupIDs": [GROUP] });
    nodeeni(&environment, "plain", spec, &[entry(1, &plain[0], SUBNET_B, 3), entry(2, &plain[1], SUBNET_B, 3)])?;
    let spec = json!({ "nodeSelector": selector, "subnetIDs": [FAR_SUBNET, SUBNET_A], "deviceIndex": 1,
        "securityGroupIDs": [GROUP], "mtu": 0 });
    nodeeni(&environment, "zoned", spec, &[entry(1, &zoned[0], SUBNET_A, 2), entry(2, &zoned[1], SUBNET_A, 4)])?;
    let before = environment.account.ec2.snapshot();
    let entries = [listed(&environment, "plain")?, listed(&environment, "zoned")?];

    // The dry run.
    let (code, plan, words) = multi_eni(&environment, &reader, &["plan"], "")?;
    environment.assert_eq(&format!("{plan}{words}"), code, 0);
    for id in plain.iter().chain(&zoned).chain([&unlisted]) {
        assert!(plan.contains(&format!("{id}: adopt from upstream, without creating an ENI")), "{id}: {plan}");
    }
    for (id, words) in [
        (&leaked, "of NodeENI plain is not attached: it is probably leaked"),
        (&double, "of NodeENI plain is attached to node node1 and is not adopted"),
        (&forgotten, "of NodeENI plain is attached to node node4 and is not adopted: the NodeENI neither matches"),
        (&foreign, "of a NodeENI plain is attached to i-0bbbbbbbbbbbbbbb1, which is no Node of this cluster"),
    ] {
        assert!(plan.contains(&format!("{id} {words}")), "{id} {words}: {plan}");
    }
    let coming = planned_calls(&environment, &reader, &["plan"], "")?;
    // node3 has no ENI of `zoned` yet, so one is created.
    let expected = [("CreateNetworkInterface", 1), ("AttachNetworkInterface", 1), ("CreateTags", 5)];
    for (action, n) in expected {
        environment.assert_eq(action, coming.get(action), Some(&n));
    }

    environment.start_replica(&[])?;
    environment.condition("plain", "Ready", "True", SOON)?;
    environment.condition("zoned", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.assert_eq("the calls", made(&environment), coming.clone());
    for action in ["DetachNetworkInterface", "DeleteNetworkInterface"] {
        environment.assert_eq(action, coming.get(action), None);
    }
    let after = environment.account.ec2.snapshot();
    for (id, eni) in &before.enis {
        let now = after.enis.get(id).ok_or_else(|| environment.failed(&format!("{id} is gone")))?;
        let place = |eni: &multi_eni_sim::ec2::Eni| {
            eni.attachment.as_ref().map(|at| (at.id.clone(), at.instance_id.clone(), at.device_index))
        };
        environment.assert_eq(&format!("place of {id}"), place(now), place(eni));
    }
    for id in [&leaked, &double, &forgotten, &foreign] {
        environment.assert_eq(&format!("{id} is as it was"), after.enis.get(id), before.enis.get(id));
    }
    let now = listed(&environment, "plain")?;
    assert!(entries[0].iter().all(|(place, eni)| now.get(place) == Some(eni)), "{entries:?} {now:?}");
    environment.assert_eq("the one that was not listed", now.get(&("node3".to_owned(), 3)), Some(&unlisted));
    let (reason, message) = environment.condition("zoned", "IndexPinned", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "Adopted");
    assert!(
        message.starts_with("2 ENIs adopted from upstream keep") && message.contains("on node node1 it is 2"),
        "{message}"
    );

    // After a restart the ENIs are this controller's own, and nothing is left to do.
    environment.account.ec2.clear_calls();
    environment.crash()?;
    environment.idle()?;
    environment.assert_eq("the calls of a new process", made(&environment), BTreeMap::new());

    // The way back: EC2 is not changed, and upstream finds its finalizer and the ENIs in the status.
    let status = [listed(&environment, "plain")?, listed(&environment, "zoned")?];
    environment.replicas.clear();
    let enis = environment.account.ec2.snapshot().enis;
    way_back(&environment)?;
    environment.assert_eq("ENIAttachments", environment.names("eniattachments")?.len(), 0);
    environment.assert_eq("the statuses", [listed(&environment, "plain")?, listed(&environment, "zoned")?], status);
    environment.assert_eq(
        "finalizers",
        environment.get(&["nodeeni", "plain"])?["metadata"]["finalizers"].clone(),
        json!([NODEENI_FINALIZER]),
    );
    environment.assert_eq("EC2", environment.account.ec2.snapshot().enis, enis);
    environment.assert_eq("calls", made(&environment), BTreeMap::new());
    environment.passed();
    Ok(())
}

/// Runs the commands of the documentation.
fn way_back(environment: &Environment) -> Result<(), Failure> {
    let page = include_str!("../../../../../docs/moving-from-upstream.md");
    let section = page.split("## The way back").nth(1).ok_or("the page has no way back")?;
    let commands = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    // There is no Deployment here (the controller has been stopped already), and no agent of upstream:
    // `crates/agent/tests/moving_from_upstream.rs` tries its command.
    let is_here = |line: &&str| line.starts_with("kubectl ") && !line.contains("scale") && !line.contains("daemonset");
    for command in commands.lines().filter(is_here) {
        environment.shell(command)?;
    }
    Ok(())
}

/// Upstream was stopped while it deleted a NodeENI: the ENI that it had attached is removed, and nothing else.
#[test]
fn an_unfinished_deletion_of_upstream_is_finished() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    nodes(&environment)?;
    let going = eni(&environment, "going", "node1", SUBNET_A, Some((INSTANCES[0], 1)))?;
    let spec = json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetID": SUBNET_A, "deviceIndex": 1 });
    nodeeni(&environment, "going", spec, &[entry(1, &going, SUBNET_A, 1)])?;
    environment.kubectl(&["delete", "nodeeni", "going", "--wait=false"])?;
    environment.start_replica(&[])?;
    environment.until("NodeENI gone", SOON, || {
        let left = environment.names("nodeenis")?;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}").into()) }
    })?;
    environment.clean(SOON)?;
    assert!(!environment.account.ec2.snapshot().enis.contains_key(&going));
    let calls = [("CreateTags", 1), ("DetachNetworkInterface", 1), ("DeleteNetworkInterface", 1)];
    environment.assert_eq("the calls", made(&environment), calls.map(|(action, n)| (action.to_owned(), n)).into());
    environment.idle()?;
    environment.passed();
    Ok(())
}

/// An ENI that another cluster has adopted is not adopted here.
#[test]
fn an_eni_of_another_cluster_is_not_touched() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    nodes(&environment)?;
    let taken = eni(&environment, "one", "node1", SUBNET_A, Some((INSTANCES[0], 1)))?;
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    let tag = |eni: &mut multi_eni_sim::ec2::Eni| drop(eni.tags.insert(TAG_CLUSTER.to_owned(), "another".to_owned()));
    environment.account.ec2.hand_change(&taken, tag).map_err(failed)?;
    let before = environment.account.ec2.snapshot().enis[&taken].clone();
    let spec = json!({ "nodeSelector": { "kubernetes.io/hostname": "node1" }, "subnetID": SUBNET_A, "deviceIndex": 1 });
    nodeeni(&environment, "one", spec, &[entry(1, &taken, SUBNET_A, 1)])?;
    environment.start_replica(&[])?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    environment.idle()?;
    environment.assert_eq("calls", made(&environment), BTreeMap::new());
    environment.assert_eq("the ENI", environment.account.ec2.snapshot().enis.get(&taken), Some(&before));
    environment.passed();
    Ok(())
}

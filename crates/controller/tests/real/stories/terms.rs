//! Selector terms, as a user meets them. `nodeSelectorTerms`: terms are alternatives, an edit of a term is paced as an edit of
//! nodeSelector is, and `multi-eni explain` says why a node does not match. `securityGroupSelectorTerms`: all groups that match.
//! `subnetSelectorTerms`: the subnet with the most free addresses, once for each ENI.

use super::plan::{multi_eni, reader};
use crate::harness::account::{FAR_SUBNET, GROUP, SUBNET_A, SUBNET_B, VPC, ZONE};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};

const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";
const THIRD: &str = "i-0ccccccccccccccc3";

fn nodeeni(spec: &Value) -> String {
    json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": "one" }, "spec": spec }).to_string()
}

/// One term: `pool` has one of these values, and the node is no GPU node.
fn pools(values: &[&str]) -> Value {
    json!([
        { "matchExpressions": [
            { "key": "pool", "operator": "In", "values": values },
            { "key": "gpu", "operator": "DoesNotExist" },
        ] },
        { "matchLabels": { "hpc": "yes" } },
    ])
}

fn edit(environment: &Environment, values: &[&str]) -> Result<(), Failure> {
    let patch = json!({ "spec": { "nodeSelectorTerms": pools(values) } }).to_string();
    environment.kubectl(&["patch", "nodeeni", "one", "--type=merge", "-p", &patch])?;
    Ok(())
}

#[test]
fn a_node_matches_one_of_the_terms() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", FIRST)?;
    environment.node("node2", SECOND)?;
    environment.node("node3", THIRD)?;
    environment.kubectl(&["label", "node", "node1", "pool=storage"])?;
    environment.kubectl(&["label", "node", "node2", "pool=storage", "gpu=a100"])?;
    environment.kubectl(&["label", "node", "node3", "hpc=yes"])?;
    let spec =
        json!({ "nodeSelectorTerms": pools(&["storage", "voice"]), "subnetID": SUBNET_A, "securityGroupIDs": [GROUP] });
    environment.apply(&nodeeni(&spec))?;
    environment.attached(FIRST, &[1], SOON)?;
    environment.attached(THIRD, &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.assert_eq(
        "matched nodes",
        environment.get(&["nodeeni", "one"])?["status"]["matchedNodes"].as_i64(),
        Some(2),
    );
    environment.attached(SECOND, &[], SOON)?;

    let kubeconfig = reader(&environment)?;
    let (_, text, _) = multi_eni(&environment, &kubeconfig, &["explain", "node/node2"], "")?;
    assert!(text.contains("pool in (storage,voice),!gpu or hpc=yes"), "{text}");

    // The node is no GPU node any more.
    environment.kubectl(&["label", "node", "node2", "gpu-"])?;
    environment.attached(SECOND, &[1], SOON)?;
    // nodeSelector and the terms together: a node must match both.
    let both = json!({ "spec": { "nodeSelector": { "hpc": "yes" } } }).to_string();
    environment.kubectl(&["patch", "nodeeni", "one", "--type=merge", "-p", &both])?;
    environment.attached(FIRST, &[], SOON)?;
    environment.attached(SECOND, &[], SOON)?;
    environment.attached(THIRD, &[1], SOON)?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn a_typo_in_a_term_is_paced_like_a_typo_in_node_selector() -> Result<(), Failure> {
    const NODES: usize = 12;
    let environment = Environment::with_a_controller()?;
    for n in 1..=NODES {
        environment.node(&format!("node{n:02}"), &format!("i-0aaaaaaaaaaaaaa{n:02}"))?;
    }
    environment.kubectl(&["label", "node", "--all", "pool=storage"])?;
    let spec = json!({ "nodeSelectorTerms": pools(&["storage"]), "subnetID": SUBNET_A, "securityGroupIDs": [GROUP] });
    environment.apply(&nodeeni(&spec))?;
    let attached = || environment.account.ours().iter().filter(|eni| eni.attachment.is_some()).count();
    let until = |expected: usize| {
        environment.until(&format!("{expected} ENIs attached"), SOON * 2, || match attached() {
            found if found == expected => Ok(()),
            found => Err(format!("{found} are attached").into()),
        })
    };
    until(NODES)?;
    environment.condition("one", "Ready", "True", SOON)?;
    edit(&environment, &["sotrage"])?;
    let (_, message) = environment.condition("one", "RemovalPaced", "True", SOON)?;
    assert!(message.contains("no longer match nodeSelectorTerms"), "{message}");
    until(NODES - 10)?;
    // The typo is corrected.
    edit(&environment, &["storage"])?;
    until(NODES)?;
    environment.condition("one", "RemovalPaced", "False", SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn security_groups_by_name_tags_and_id() -> Result<(), Failure> {
    const WEB: &str = "sg-0aaaaaaaaaaaaaaa2";
    const DB: &str = "sg-0aaaaaaaaaaaaaaa3";
    const ELSEWHERE: &str = "sg-0bbbbbbbbbbbbbbb1";
    let environment = Environment::with_a_controller()?;
    let ec2 = &environment.account.ec2;
    ec2.add_security_group(WEB, VPC, "web");
    ec2.add_security_group(DB, VPC, "db");
    ec2.add_security_group(ELSEWHERE, "vpc-0bbbbbbbbbbbbbbb1", "elsewhere");
    for (group, tier) in [(WEB, "front"), (DB, "back"), (ELSEWHERE, "back")] {
        ec2.tag_place(group, "tier", Some(tier)).map_err(|error| error.to_string())?;
    }
    environment.node("node1", FIRST)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let apply = |terms: Value| {
        let spec =
            json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetID": SUBNET_A, "securityGroupSelectorTerms": terms });
        environment.apply(&nodeeni(&spec))
    };
    apply(json!([{ "tags": { "tier": "nobody" } }]))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "SecurityGroupNotResolved");
    assert!(message.contains("tag tier=nobody"), "{message}");
    environment.assert_eq("calls while no group matches", environment.account.mutations().len(), 0);

    // Of two terms all groups of the VPC count, and none of another VPC.
    let groups = |expected: &[&str]| {
        environment.until(&format!("the groups {expected:?}"), SOON, || {
            let mut found = environment.account.ours_on(FIRST).remove(&1).map(|eni| eni.groups).unwrap_or_default();
            found.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            if found == expected { Ok(()) } else { Err(format!("{found:?}").into()) }
        })
    };
    apply(json!([{ "tags": { "tier": "back" } }, { "name": "web" }]))?;
    environment.attached(FIRST, &[1], SOON)?;
    groups(&[WEB, DB])?;
    let created = environment.account.created();
    apply(json!([{ "tags": { "tier": "*" } }, { "id": GROUP }]))?;
    groups(&[GROUP, WEB, DB])?;
    apply(json!([{ "id": DB }]))?;
    groups(&[DB])?;
    // No group matches: the ENI keeps its groups, and the NodeENI says so.
    apply(json!([{ "name": "none" }]))?;
    environment.condition("one", "Degraded", "True", SOON)?;
    groups(&[DB])?;
    environment.assert_eq("the ENI is changed in place", environment.account.created(), created);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn the_subnet_with_the_most_free_addresses_once_for_each_eni() -> Result<(), Failure> {
    const TINY: &str = "subnet-0aaaaaaaaaaaaaaa9";
    let environment = Environment::with_a_controller()?;
    let (ec2, failed) = (&environment.account.ec2, |error: multi_eni_sim::ec2::WorldError| error.to_string());
    ec2.add_subnet(TINY, VPC, ZONE, "10.0.9.0/28", None).map_err(failed)?;
    for subnet in [SUBNET_A, TINY, FAR_SUBNET] {
        ec2.tag_place(subnet, "tier", Some("db")).map_err(failed)?;
    }
    environment.node("node1", FIRST)?;
    environment.node("node2", SECOND)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let apply = |terms: Value| {
        environment.apply(&nodeeni(&json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetSelectorTerms": terms })))
    };
    let subnet = |instance: &str| environment.account.ours_on(instance).remove(&1).map(|eni| eni.subnet_id);
    apply(json!([{ "tags": { "tier": "nobody" } }]))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "SubnetNotFound");
    environment.assert_eq("calls while no subnet matches", environment.account.mutations().len(), 0);

    // Of three subnets one is in another zone, and one has 11 addresses.
    apply(json!([{ "tags": { "tier": "db" } }]))?;
    environment.attached(FIRST, &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.assert_eq("subnet of node1", subnet(FIRST).as_deref(), Some(SUBNET_A));

    // A term that selects more subnets, also emptier ones, moves no ENI.
    let calls = environment.account.mutations().len();
    apply(json!([{ "tags": { "tier": "*" } }, { "id": SUBNET_B }]))?;
    environment.kubectl(&["label", "node", "node2", "ng=multi-eni"])?;
    environment.attached(SECOND, &[1], SOON)?;
    environment.idle()?;
    environment.assert_eq("subnet of node1", subnet(FIRST).as_deref(), Some(SUBNET_A));
    environment.assert_eq("subnet of node2", subnet(SECOND).as_deref(), Some(SUBNET_B));
    let since: Vec<String> = environment.account.mutations().into_iter().skip(calls).map(|call| call.action).collect();
    assert!(!since.iter().any(|action| action.starts_with("Detach") || action.starts_with("Delete")), "{since:?}");

    // The terms match nothing: that is said at once, and the ENIs stay.
    apply(json!([{ "tags": { "tier": "nobody" } }]))?;
    let (reason, message) = environment.condition("one", "Ready", "False", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "SubnetNotFound");
    let status = environment.get(&["nodeeni", "one"])?["status"].clone();
    environment.assert_eq(
        "ready and failed",
        (status["ready"].as_i64(), status["failed"].as_i64()),
        (Some(2), Some(0)),
    );
    let kubeconfig = reader(&environment)?;
    for args in [&["plan"][..], &["explain", "node/node1"]] {
        let (code, text, _) = multi_eni(&environment, &kubeconfig, args, "")?;
        assert!(code == 0 && text.contains("no subnet of the node's VPC matches subnetSelectorTerms"), "{text}");
    }

    // The terms no longer select the subnet of node1. The two waits do not end before the ENI is replaced.
    apply(json!([{ "id": SUBNET_B }]))?;
    for condition in ["Progressing=False", "Ready"] {
        environment.kubectl(&["wait", "neni/one", &format!("--for=condition={condition}"), "--timeout=60s"])?;
    }
    environment.assert_eq("subnet of node1", subnet(FIRST).as_deref(), Some(SUBNET_B));
    environment.attached(FIRST, &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

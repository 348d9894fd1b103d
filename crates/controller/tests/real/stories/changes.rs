//! Each change of a NodeENI has the effect that docs/reference/nodeeni.md states for the field, measured by the calls that EC2
//! gets. At its end the story has made each EC2 action that the controller knows.

use super::plan::made;
use crate::harness::account::{GROUP, NODE_SUBNET, SUBNET_A, SUBNET_B, VPC};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const WEB: &str = "sg-0aaaaaaaaaaaaaaa2";

const IN_PLACE: &[(&str, u64)] = &[("ModifyNetworkInterfaceAttribute", 1)];
/// One ENI is removed and one is made, with a Modify for its source/destination check: this NodeENI has deleteOnTermination
/// false.
const REPLACED: &[(&str, u64)] = &[
    ("DetachNetworkInterface", 1),
    ("DeleteNetworkInterface", 1),
    ("CreateNetworkInterface", 1),
    ("AttachNetworkInterface", 1),
    ("ModifyNetworkInterfaceAttribute", 1),
];
const ADDED: &[(&str, u64)] =
    &[("CreateNetworkInterface", 1), ("AttachNetworkInterface", 1), ("ModifyNetworkInterfaceAttribute", 1)];
const REMOVED: &[(&str, u64)] = &[("DetachNetworkInterface", 1), ("DeleteNetworkInterface", 1)];

/// The patches (null: removed), and the calls that each causes.
fn changes() -> Vec<(Value, Vec<(&'static str, u64)>)> {
    let twice = |calls: &[(&'static str, u64)]| calls.iter().map(|(action, n)| (*action, n * 2)).collect::<Vec<_>>();
    vec![
        (json!({ "securityGroupIDs": [GROUP, WEB] }), IN_PLACE.into()),
        (json!({ "securityGroupIDs": null, "securityGroupNames": ["web"] }), IN_PLACE.into()),
        (
            json!({ "securityGroupNames": null, "securityGroupSelectorTerms": [{ "id": GROUP }, { "name": "web" }] }),
            IN_PLACE.into(),
        ),
        // The same groups in another order.
        (json!({ "securityGroupSelectorTerms": [{ "name": "web" }, { "id": GROUP }] }), vec![]),
        // The same groups, one of them by its tags.
        (json!({ "securityGroupSelectorTerms": [{ "name": "web" }, { "tags": { "tier": "*" } }] }), vec![]),
        (json!({ "securityGroupSelectorTerms": [{ "id": GROUP }] }), IN_PLACE.into()),
        (json!({ "description": "second" }), IN_PLACE.into()),
        (json!({ "sourceDestCheck": false }), IN_PLACE.into()),
        (json!({ "connectionTracking": { "tcpEstablishedTimeoutSeconds": 350 } }), IN_PLACE.into()),
        (json!({ "connectionTracking": { "udpStreamTimeoutSeconds": 60, "udpTimeoutSeconds": 60 } }), IN_PLACE.into()),
        (json!({ "connectionTracking": { "tcpEstablishedTimeoutSeconds": null } }), vec![]),
        (json!({ "deleteOnTermination": false }), IN_PLACE.into()),
        (json!({ "tags": { "team": "net" } }), vec![("CreateTags", 1)]),
        (json!({ "tags": null }), vec![("DeleteTags", 1)]),
        (
            json!({ "mtu": 9000, "enableDPDK": true, "dpdkDriver": "vfio-pci", "dpdkResourceName": "intel.com/x",
            "dpdkPCIAddress": "0000:00:06.0", "nodeConfig": { "mode": "addresses", "interfaceName": "storage" } }),
            vec![],
        ),
        (json!({ "mtu": null, "enableDPDK": false, "nodeConfig": { "interfaceName": null } }), vec![]),
        (json!({ "rollout": { "maxUnavailable": 3 } }), vec![]),
        (json!({ "rollout": { "maxUnavailable": "25%" } }), vec![]),
        (json!({ "deviceIndexPolicy": "highestFree" }), vec![]),
        (json!({ "deviceIndexPolicy": null }), vec![]),
        (json!({ "deviceIndex": 2 }), REPLACED.into()),
        (json!({ "networkCardIndex": 1 }), REPLACED.into()),
        // Only index 0 of card 0 is the primary interface.
        (json!({ "networkCardIndex": 1, "deviceIndex": 0 }), REPLACED.into()),
        (json!({ "privateIPCount": 2 }), REPLACED.into()),
        (json!({ "privateIPCount": null, "ipv4PrefixCount": 1 }), REPLACED.into()),
        (json!({ "ipv4PrefixCount": null, "ipv6AddressCount": 1 }), REPLACED.into()),
        (json!({ "ipv6AddressCount": null, "ipv6PrefixCount": 1 }), REPLACED.into()),
        (json!({ "ipv6PrefixCount": null, "subnetID": null, "subnetName": "other" }), REPLACED.into()),
        (json!({ "subnetName": null, "subnetIDs": [SUBNET_B, SUBNET_A] }), ADDED.into()),
        (json!({ "subnetIDs": [SUBNET_A, SUBNET_B] }), twice(REPLACED)),
        (json!({ "subnetIDs": null, "subnetNames": ["page"] }), REMOVED.into()),
        // Terms that select the subnet of the ENI change nothing, whatever else they select.
        (json!({ "subnetNames": null, "subnetSelectorTerms": [{ "name": "page" }, { "id": SUBNET_B }] }), vec![]),
        (json!({ "subnetSelectorTerms": [{ "id": SUBNET_B }] }), REPLACED.into()),
        (json!({ "subnetSelectorTerms": [{ "tags": { "Name": "*" } }] }), vec![]),
        (json!({ "nodeSelector": { "ng": "nobody" } }), REMOVED.into()),
        (json!({ "nodeSelector": { "ng": "multi-eni" } }), ADDED.into()),
        (json!({ "nodeSelectorTerms": [{ "matchLabels": { "ng": "nobody" } }] }), REMOVED.into()),
        (
            json!({ "nodeSelectorTerms": [
                { "matchLabels": { "ng": "nobody" } },
                { "matchExpressions": [{ "key": "ng", "operator": "In", "values": ["other", "multi-eni"] }] },
            ] }),
            ADDED.into(),
        ),
    ]
}

fn set() -> Result<Environment, Failure> {
    let environment = Environment::with_a_controller()?;
    let (ec2, failed) = (&environment.account.ec2, |e: multi_eni_sim::ec2::WorldError| e.to_string());
    ec2.run_instance(INSTANCE, "c6in.32xlarge", NODE_SUBNET).map_err(failed)?;
    ec2.set_ipv6_cidr(SUBNET_A, "2001:db8:0:1::/64").map_err(failed)?;
    ec2.add_security_group(WEB, VPC, "web");
    ec2.tag_place(GROUP, "tier", Some("page")).map_err(failed)?;
    for (subnet, name) in [(SUBNET_A, "page"), (SUBNET_B, "other")] {
        ec2.name_subnet(subnet, name).map_err(failed)?;
    }
    let labels = json!({ "ng": "multi-eni", "node.kubernetes.io/instance-type": "c6in.32xlarge" });
    environment.register("node1", INSTANCE, labels)?;
    let spec = json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetID": SUBNET_A, "securityGroupIDs": [GROUP] });
    let object = json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": "one" }, "spec": spec });
    environment.apply(&object.to_string())?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.idle()?;
    Ok(environment)
}

#[test]
fn each_field_as_the_reference_says() -> Result<(), Failure> {
    let environment = set()?;
    let mut changed: Vec<String> = Vec::new();
    for (patch, calls) in changes() {
        environment.account.ec2.clear_calls();
        let expected: BTreeMap<String, u64> = calls.into_iter().map(|(action, n)| (action.to_owned(), n)).collect();
        environment.kubectl(&[
            "patch",
            "nodeeni",
            "one",
            "--type=merge",
            "-p",
            &json!({ "spec": patch }).to_string(),
        ])?;
        environment.until(&format!("{expected:?} after {patch}"), SOON, || {
            let done = made(&environment);
            if done == expected { Ok(()) } else { Err(format!("{done:?}").into()) }
        })?;
        let (reason, _) = environment.condition("one", "Ready", "True", SOON)?;
        // Further calls would have been made by now.
        thread::sleep(Duration::from_secs(1));
        environment.assert_eq(&format!("calls of {patch} ({reason})"), made(&environment), expected);
        if patch.get("deviceIndex") == Some(&json!(0)) {
            let enis = environment.account.ours_on(INSTANCE);
            let slots = enis.values().filter_map(|eni| eni.attachment.as_ref());
            let slots: Vec<_> = slots.map(|at| (at.network_card_index, at.device_index)).collect();
            environment.assert_eq("the slots on EC2", slots, vec![(1, 0)]);
        }
        changed.extend(patch.as_object().into_iter().flatten().map(|(field, _)| field.clone()));
        if patch.get("dpdkDriver").is_some() {
            let settings = environment.get(&["eniattachments"])?["items"][0]["spec"]["nodeSettings"].clone();
            environment.assert_eq("the node's half", settings, patch);
        } else if patch.get("mtu") == Some(&Value::Null) {
            let settings = environment.get(&["eniattachments"])?["items"][0]["spec"]["nodeSettings"].clone();
            environment.assert_eq("mtu", settings.get("mtu"), None);
            environment.assert_eq(
                "a name that is gone",
                settings["nodeConfig"].clone(),
                json!({ "mode": "addresses" }),
            );
        }
    }
    // A new field of the CRD must be added here.
    let reference = include_str!("../../../../../docs/reference/nodeeni.md");
    let reference = reference.split("\n## Nodes that a NodeENI does not cover").next().unwrap_or_default();
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("`: ")).map(|(name, _)| name);
    for field in rows.filter(|name| *name != "interfaceType") {
        let field = field.split('.').next().unwrap_or_default();
        assert!(changed.iter().any(|changed| changed == field), "no change of {field} is tried");
    }
    beyond_the_card(&environment)?;
    environment.idle()?;
    // The Node goes and its instance runs on. The controller looks the instance up before it removes the ENI.
    environment.kubectl(&["delete", "node", "node1"])?;
    environment.clean(SOON)?;
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    let called = environment.account.ec2.all_counts();
    let others: Vec<&str> = multi_eni_ec2::action_names().filter(|action| !called.contains_key(*action)).collect();
    environment.assert_eq("actions that the story has not made", others, Vec::new());
    environment.passed();
    Ok(())
}

/// The network cards of the instance have the device indexes 0 to 7.
fn beyond_the_card(environment: &Environment) -> Result<(), Failure> {
    environment.account.ec2.clear_calls();
    let spec =
        json!({ "nodeSelector": { "ng": "multi-eni" }, "subnetID": SUBNET_A, "networkCardIndex": 1, "deviceIndex": 8 });
    let object = json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": "beyond" }, "spec": spec });
    environment.apply(&object.to_string())?;
    let (reason, message) = environment.condition("beyond", "Degraded", "True", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "DeviceIndexTooHigh");
    assert!(message.contains("network card 1 of c6in.32xlarge") && message.contains("0 to 7"), "{message}");
    // A Create would have been sent by now.
    thread::sleep(Duration::from_secs(1));
    environment.assert_eq("calls of an index beyond its card", made(environment), BTreeMap::new());
    environment.kubectl(&["delete", "nodeeni", "beyond", "--timeout=30s"])?;
    Ok(())
}

//! Fifty kinds of invalid and unusual NodeENIs beside a good one. Each is refused or explained, the good one works, and no call
//! is repeated without end.

use super::refused::{manifest, rows};
use crate::harness::account::{FAR_SUBNET, GROUP, NODE_SUBNET, SUBNET_A, SUBNET_B, VPC, ZONE};
use crate::harness::{Environment, Failure, SOON};
use serde_json::json;
use std::thread;
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const OTHER_VPC: &str = "vpc-0ffffffffffffffff";
const OTHER_SUBNET: &str = "subnet-0fffffffffffffff1";
const OTHER_GROUP: &str = "sg-0fffffffffffffff1";

/// NodeENIs that the API server accepts but that cannot work: name, spec, reason of Degraded, part of its message.
fn odd() -> Vec<(&'static str, String, &'static str, &'static str)> {
    let a = format!("subnetID: {SUBNET_A}");
    vec![
        (
            "nowhere",
            "subnetID: subnet-0123456789abcdef0, deviceIndex: 20".to_owned(),
            "SubnetNotFound",
            "EC2 knows no subnet subnet-0123456789abcdef0",
        ),
        (
            "one-nowhere",
            format!("subnetIDs: [{FAR_SUBNET}, subnet-0123456789abcdef0], deviceIndex: 21"),
            "SubnetNotFound",
            "subnet-0123456789abcdef0",
        ),
        ("unnamed", "subnetName: nobody, deviceIndex: 22".to_owned(), "SubnetNotFound", "the tag Name=nobody"),
        ("wild", "subnetName: 'tw*', deviceIndex: 23".to_owned(), "SubnetNotFound", "the tag Name=tw*"),
        (
            "ambiguous",
            "subnetName: twin, deviceIndex: 24".to_owned(),
            "SubnetNameAmbiguous",
            "name one of them by subnetID",
        ),
        ("other-vpc", format!("subnetID: {OTHER_SUBNET}, deviceIndex: 26"), "SubnetInOtherVPC", OTHER_VPC),
        (
            "no-group",
            format!("{a}, deviceIndex: 27, securityGroupNames: [nobody]"),
            "SecurityGroupNotResolved",
            "no security group named nobody",
        ),
        (
            "far-group",
            format!("{a}, deviceIndex: 28, securityGroupNames: [elsewhere]"),
            "SecurityGroupNotResolved",
            "no security group named elsewhere",
        ),
        (
            "unknown-group",
            format!("{a}, deviceIndex: 29, securityGroupIDs: [sg-0123456789abcdef0]"),
            "ReferenceNotFound",
            "sg-0123456789abcdef0",
        ),
        ("conflict", format!("{a}, deviceIndex: 1"), "DeviceIndexConflict", "reserved for NodeENI good"),
        ("taken", format!("{a}, deviceIndex: 2"), "DeviceIndexTaken", "does not belong to this cluster"),
        ("card", format!("{a}, deviceIndex: 30, networkCardIndex: 1"), "NetworkCardNotFound", "no card 1"),
        (
            "addresses",
            format!("{a}, deviceIndex: 31, privateIPCount: 50"),
            "TooManyAddresses",
            "supports 30 IPv4 addresses",
        ),
        ("prefixes", format!("{a}, deviceIndex: 32, ipv4PrefixCount: 49"), "TooManyAddresses", "the spec asks for 50"),
        ("ipv6", format!("{a}, deviceIndex: 33, ipv6AddressCount: 50"), "TooManyAddresses", "IPv6"),
        ("no-ipv6", format!("{a}, deviceIndex: 34, ipv6AddressCount: 1"), "Refused", "or the subnet or the"),
    ]
}

/// NodeENIs that are unusual but work.
fn good() -> Vec<(String, String)> {
    let tags: Vec<String> = (0..40).map(|n| format!("'key {n}': 'ä <&> \"{n}\"'")).collect();
    let own = |name: &str, spec: String| (name.to_owned(), spec);
    vec![
        own("good", format!("subnetID: {SUBNET_A}, securityGroupIDs: [{GROUP}]")),
        own(
            "forty-tags",
            format!(
                "subnetID: {SUBNET_B}, deviceIndex: 3, tags: {{{}}}, description: '{}'",
                tags.join(", "),
                "<&> ü".repeat(40)
            ),
        ),
        own(
            "thrice",
            format!("subnetIDs: [{SUBNET_B}, {SUBNET_B}, {SUBNET_B}], subnetID: {SUBNET_B}, deviceIndex: 63"),
        ),
        own(&"n".repeat(253), format!("subnetID: {SUBNET_B}, deviceIndex: 62")),
        own("nobody", format!("subnetID: {SUBNET_B}, deviceIndex: 1, nodeSelector: {{example.com/nobody: ''}}")),
    ]
}

fn selected(name: &str, spec: &str) -> String {
    let spec = if spec.contains("nodeSelector") {
        spec.to_owned()
    } else {
        format!("nodeSelector: {{ng: multi-eni}}, {spec}")
    };
    manifest(&spec).replace("name: bad", &format!("name: {name}"))
}

fn set() -> Result<Environment, Failure> {
    let environment = Environment::with_a_controller()?;
    let ec2 = &environment.account.ec2;
    let failed = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    ec2.run_instance(INSTANCE, "m5.4xlarge", NODE_SUBNET).map_err(failed)?;
    for (subnet, cidr) in [("subnet-0000000000000aaaa", "10.0.20.0/24"), ("subnet-0000000000000bbbb", "10.0.21.0/24")] {
        ec2.add_subnet(subnet, VPC, ZONE, cidr, Some("twin")).map_err(failed)?;
    }
    ec2.add_subnet(OTHER_SUBNET, OTHER_VPC, ZONE, "10.9.0.0/24", None).map_err(failed)?;
    ec2.add_security_group(OTHER_GROUP, OTHER_VPC, "elsewhere");
    let occupant = ec2.hand_create(SUBNET_B, &[("Name", "vpc-cni")]).map_err(failed)?;
    ec2.hand_attach(&occupant, INSTANCE, 0, 2).map_err(failed)?;
    let labels = json!({ "ng": "multi-eni", "node.kubernetes.io/instance-type": "m5.4xlarge" });
    environment.register("node1", INSTANCE, labels)?;
    Ok(environment)
}

#[test]
fn are_refused_or_explained_and_the_good_one_works() -> Result<(), Failure> {
    let environment = set()?;
    let (odd, good) = (odd(), good());
    let kinds = rows().count() + odd.len() + good.len() + 1;
    assert!(kinds >= 50, "{kinds}");
    for (what, spec, words) in rows() {
        let refusal =
            environment.plane.apply(&manifest(spec))?.refusal().map_err(|e| format!("{what} was accepted: {e}"))?;
        assert!(refusal.contains(words), "{what}: {refusal}");
    }
    for (name, spec) in &good {
        environment.apply(&selected(name, spec))?;
    }
    environment.attached(INSTANCE, &[1, 3, 62, 63], SOON)?;
    for (name, spec, ..) in &odd {
        environment.apply(&selected(name, spec))?;
    }
    for (name, _, reason, words) in &odd {
        let (found, message) = environment.condition(name, "Degraded", "True", SOON * 2)?;
        environment.assert_eq(&format!("{name}: {message}"), found.as_str(), *reason);
        assert!(message.contains(words), "{name}: {message}");
    }
    for (name, _) in &good {
        // A NodeENI that matches no node is Unknown for its first minute.
        environment.condition(name, "Ready", "True", SOON * 4)?;
    }
    let far = vec![FAR_SUBNET; 30].join(", ");
    environment.apply(&selected("far", &format!("subnetIDs: [{far}], deviceIndex: 25")))?;
    let (reason, message) = environment.condition("far", "ZonesCovered", "False", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "NoSubnetInZone");
    environment.condition("far", "Ready", "True", SOON)?;
    // The instance has six interfaces, and two ENIAttachments whose calls EC2 refuses reserve a slot each: an m5.4xlarge has no
    // more.
    environment.apply(&selected("too-many", &format!("subnetID: {SUBNET_B}, deviceIndex: 41")))?;
    let (reason, message) = environment.condition("too-many", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "InstanceFull");

    environment.idle()?;
    environment.account.ec2.clear_calls();
    thread::sleep(Duration::from_secs(60));
    environment.assert_eq("calls of an idle minute", environment.account.call_counts(), Default::default());
    environment.condition("good", "Ready", "True", SOON)?;

    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

//! The note about new ENIs at a device index that the AWS VPC CNI may take later: once for each slot, with the number of nodes.

use super::*;
use crate::assign::VpcCniClaim;
use crate::observed::{InstanceLimits, PrimaryAddresses};

/// A Node of a type with 4 interfaces, whose primary interface has addresses for pods.
fn world(index: i32) -> World {
    let mut world = World::new(vec![nodeeni("a", index, &[SUBNET_A])]);
    world.node.as_mut().unwrap().instance_type = Some("m5.xlarge".into());
    let limits = InstanceLimits { enis: 4, cards: vec![4], ipv4_per_eni: 15, ipv6_per_eni: 15 };
    world.catalog.instance_types.insert("m5.xlarge".into(), Some(limits));
    world.interfaces.as_mut().unwrap().primary_addresses = PrimaryAddresses::Ipv4;
    world
}

const NOTE: &str = "the AWS VPC CNI, which seems to run there, may take this device index as the number of pods grows, unless its \
                    MAX_ENI is at most 3. deviceIndexPolicy highestFree avoids that\n";

#[test]
fn the_note_counts_the_nodes_of_a_slot_and_is_said_once() {
    let world = world(3);
    let mut plan = reported(&world, &[]);
    let text = plan_text(&plan);
    assert!(text.contains("and attach it\n") && text.contains(&format!("\n  note: n0, index 3: {NOTE}\n")), "{text}");
    let story = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    assert!(story.contains(&format!("\n  note: index 3: {NOTE}")), "{story}");
    let line = plan.node_enis[0].lines[0].clone();
    assert_eq!(serde_json::to_value(&line).unwrap()["vpcCNI"], serde_json::json!({"later": {"maxENI": 3}}));
    let lines = &mut plan.node_enis[0].lines;
    lines.extend((1..5000).map(|n| Line { node: format!("n{n}"), ..line.clone() }));
    lines.push(Line { vpc_cni: None, ..line });
    for text in [plan_text(&plan), explain_nodeeni(&plan, "a", &[]).unwrap()] {
        assert!(text.contains(&format!("\n  note: 5000 nodes (n0, n1, n2, …), index 3: {NOTE}")), "{text}");
        assert_eq!(text.matches("note:").count(), 1);
    }
}

#[test]
fn there_is_no_note_where_the_line_warns_or_nothing_is_claimed() {
    let mut plan = reported(&world(3), &[]);
    for claim in [None, Some(VpcCniClaim::Next)] {
        plan.node_enis[0].lines[0].vpc_cni = claim;
        assert!(!plan_text(&plan).contains("note:"), "{claim:?}");
    }
    plan.node_enis[0].lines[0].vpc_cni = Some(VpcCniClaim::Later { max_eni: None });
    assert!(plan_text(&plan).contains("as the number of pods grows. deviceIndexPolicy"), "{}", plan_text(&plan));
}

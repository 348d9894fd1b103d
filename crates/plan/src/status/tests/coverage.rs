//! The nodes that a NodeENI does not cover: the conditions ZonesCovered and NodesSupported.

use super::*;

#[test]
fn ready_does_not_wait_for_a_node_in_whose_zone_no_subnet_is() {
    let why = no_subnet_in_zone("z9", "z1");
    let status = status_of(&[refused("far", why)], &["n0", "far"], 1, at(0));
    assert_eq!((status.matched_nodes, status.nodes_without_subnet, status.failed), (2, 1, 0));
    let of = |kind: &str| condition(&status, kind).map(|(value, reason, _)| (value, reason));
    assert_eq!(of(types::READY), Some(("True".into(), "AllReady".into())));
    assert_eq!(of(types::DEGRADED), Some(("False".into(), "AsExpected".into())));
    assert_eq!(of(types::ZONES_COVERED), Some(("False".into(), "NoSubnetInZone".into())));
    let (_, _, says) = condition(&status, types::ZONES_COVERED).unwrap();
    assert!(says.contains("z9") && says.contains("far") && says.contains("z1"), "{says}");
    assert_eq!(of(types::NODES_SUPPORTED), None);
    let none = status_of(&[refused("n0", UnassignedReason::NoSubnetMatches("tag a=b".into()))], &["n0"], 1, at(0));
    assert_eq!(condition(&none, types::ZONES_COVERED).unwrap().0, "Unknown");
    let covered = status_of(&[], &["n0"], 1, at(0));
    assert_eq!(condition(&covered, types::ZONES_COVERED).unwrap().0, "True");
}

#[test]
fn a_node_on_an_outpost_without_a_subnet_is_counted_like_a_zone_and_the_words_name_the_outpost() {
    let outpost = Some("arn:aws:outposts:eu-west-1:111122223333:outpost/op-0ab23c4567890de1f".into());
    let on_outpost = Location { zone: "z1".into(), outpost };
    let far = || no_subnet_in_zone("z9", "z1");
    let why = UnassignedReason::NoSubnetInZone { node: on_outpost, subnets: vec![Location::in_region("z1")] };
    let status = status_of(&[refused("edge", why), refused("far", far())], &["n0", "edge", "far"], 1, at(0));
    assert_eq!((status.nodes_without_subnet, status.failed), (2, 0));
    let (_, _, says) = condition(&status, types::ZONES_COVERED).unwrap();
    assert!(says.contains("in the zones z1 on Outpost op-0ab23c4567890de1f, z9 (the subnets are in z1)"), "{says}");
    assert!(says.ends_with("EC2 attaches an ENI only to an instance on the Outpost of its subnet"), "{says}");
    let (_, _, says) =
        condition(&status_of(&[refused("far", far())], &["n0", "far"], 1, at(0)), types::ZONES_COVERED).unwrap();
    assert!(!says.contains("Outpost"), "{says}");
}

#[test]
fn several_zones_without_a_subnet_are_plural() {
    let bare = |node: &str, zone: &str| refused(node, no_subnet_in_zone(zone, "z1"));
    let says = |refusals: &[Unassigned], matched: &[&str]| {
        condition(&status_of(refusals, matched, 1, at(0)), types::ZONES_COVERED).unwrap().2
    };
    let one = says(&[bare("n8", "z8")], &["n0", "n8"]);
    assert_eq!(
        one,
        "1 matching node gets no ENI, because no subnet of the NodeENI is in the zone z8 (the subnets are in z1): n8. To give an ENI \
         to each, add a subnet of that zone"
    );
    let two = says(&[bare("n8", "z8"), bare("n9", "z9")], &["n0", "n8", "n9"]);
    assert!(two.contains("is in the zones z8, z9 (") && two.ends_with("add a subnet of each of these zones"), "{two}");
}

#[test]
fn nodes_that_can_have_no_eni_are_named_once_and_make_nothing_degraded() {
    let why = || UnassignedReason::Unsupported(crate::observed::Unattachable::Hybrid);
    let many: Vec<Unassigned> = (0..7).map(|n| refused(&format!("hybrid-{n}"), why())).collect();
    let matched: Vec<&str> = many.iter().map(|refusal| refusal.node.as_str()).chain(["n0"]).collect();
    let status = status_of(&many, &matched, 1, at(0));
    assert_eq!(condition(&status, types::READY).unwrap().0, "True");
    assert_eq!(condition(&status, types::DEGRADED).unwrap().0, "False");
    let (value, _, says) = condition(&status, types::NODES_SUPPORTED).unwrap();
    assert_eq!(value, "False");
    let expected = format!(
        "7 matching nodes can have no ENI: hybrid-0, hybrid-1, hybrid-2 and 4 others: {}",
        why().sentence(at(0))
    );
    assert_eq!(says, expected, "the sentence is said once");
}

#[test]
fn zones_are_covered_only_if_that_is_known() {
    let id = |text: &str| multi_eni_api::ids::SubnetId::parse(text).unwrap();
    let of = |why: UnassignedReason| {
        condition(&status_of(&[refused("n0", why)], &["n0", "n1"], 2, at(0)), types::ZONES_COVERED)
    };
    let unknown = crate::nodeeni::SubnetRef::Id(id("subnet-0dead000"));
    let (value, reason, says) = of(UnassignedReason::SubnetMissing(unknown)).unwrap();
    assert_eq!((value.as_str(), reason.as_str()), ("Unknown", "SubnetNotFound"));
    assert!(says.contains("n0: EC2 knows no subnet subnet-0dead000"), "{says}");
    assert_eq!(of(UnassignedReason::NoZone).unwrap().0, "Unknown");
    assert_eq!(of(UnassignedReason::LookupPending("it")), None);
    assert_eq!(of(UnassignedReason::GroupUnresolved("web".into(), 0)).unwrap().0, "True", "it is no matter of subnets");
    let waits = |bare_zone: Option<&str>| UnassignedReason::SubnetUnconfirmed {
        subnet: id("subnet-00000001"),
        until: at(180),
        is_edit: false,
        bare_zone: bare_zone.map(str::to_owned),
    };
    assert_eq!(of(waits(None)).unwrap().0, "True", "another subnet that the terms select is in the zone");
    let (value, _, says) = of(waits(Some("z1"))).unwrap();
    assert!(value == "False" && says.contains("1 matching node: n0: ") && says.contains("zone z1"), "{says}");
}

/// Two nodes have the same trouble, and a third one has another.
#[test]
fn nodes_of_an_unknown_zone_share_their_sentence() {
    let refusals = [
        refused("n1", UnassignedReason::NoZone),
        refused("n2", UnassignedReason::NoProviderId),
        refused("n3", UnassignedReason::NoZone),
    ];
    let status = status_of(&refusals, &["n0", "n1", "n2", "n3"], 4, at(0));
    let (_, _, says) = condition(&status, types::ZONES_COVERED).unwrap();
    let (no_zone, no_id) = (UnassignedReason::NoZone.sentence(at(0)), UnassignedReason::NoProviderId.sentence(at(0)));
    assert!(says.ends_with(&format!("3 matching nodes: n1, n3: {no_zone}; n2: {no_id}")), "{says}");
}

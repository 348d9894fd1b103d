//! What the AWS VPC CNI of a node does with the device index of a new ENI: it takes it next, it may take it later, or never.

use super::*;
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::{AttachmentState, InstanceLimits, ObservedEni, PrimaryAddresses};
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::names::TAG_VPC_CNI_INSTANCE;

/// Who has an interface of the instance.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Somebody,
    /// The VPC CNI, by its tag.
    VpcCni,
    /// The VPC CNI, by its description only.
    VpcCniUntagged,
}

fn interface((n, (card, index, of)): (u32, &(i32, i32, Of))) -> ObservedEni {
    let mut seen = eni(50 + n);
    seen.tags = match of {
        Of::VpcCni => [(TAG_VPC_CNI_INSTANCE, INSTANCE)].into(),
        Of::Somebody | Of::VpcCniUntagged => StringMap::default(),
    };
    if *of == Of::VpcCniUntagged {
        seen.description = format!("aws-K8S-{INSTANCE}");
    }
    seen.attachment = Some(attachment(AttachmentState::Attached));
    let at = seen.attachment.as_mut().unwrap();
    (at.card, at.index) = (*card, *index);
    seen
}

/// A Node whose type has network cards with these maxima, and an instance with these interfaces.
fn world(nodeenis: Vec<NodeEni>, cards: &[i32], shown: &[(i32, i32, Of)], primary: PrimaryAddresses) -> World {
    let mut world = World::new(nodeenis);
    world.node.as_mut().unwrap().instance_type = Some("m5.xlarge".into());
    let (enis, cards) = (cards.iter().sum(), cards.to_vec());
    let limits = InstanceLimits { enis, cards, ipv4_per_eni: 15, ipv6_per_eni: 15 };
    world.catalog.instance_types.insert("m5.xlarge".into(), Some(limits));
    let interfaces = world.interfaces.as_mut().unwrap();
    interfaces.enis = (0..).zip(shown).map(interface).collect();
    interfaces.primary_addresses = primary;
    world
}

/// The claims of the VPC CNI, by card and index.
fn claims(world: &World) -> Vec<((i32, i32), VpcCniClaim)> {
    let assignment = world.assign();
    let of = |new: &NewAttachment| {
        let slot = (new.spec.request.network_card_index, new.spec.request.device_index);
        Some((slot, *assignment.beside_vpc_cni.get(&new.name)?))
    };
    assert!(!assignment.create.is_empty(), "{assignment:?}");
    assignment.create.iter().filter_map(of).collect()
}

/// The claim on the only new ENI, of an m5.xlarge: 4 interfaces.
fn claim(index: i32, shown: &[(i32, i32, Of)], primary: PrimaryAddresses) -> Option<VpcCniClaim> {
    let claims = claims(&world(vec![nodeeni("a", index, &[SUBNET_A])], &[4], shown, primary));
    assert!(claims.iter().all(|(slot, _)| *slot == (0, index)), "{claims:?}");
    claims.first().map(|(_, claim)| *claim)
}

const fn later(max_eni: i32) -> Option<VpcCniClaim> {
    Some(VpcCniClaim::Later { max_eni: Some(max_eni) })
}

const FRESH: &[(i32, i32, Of)] = &[(0, 0, Of::Somebody)];

#[test]
fn index_1_of_a_fresh_node_is_claimed_if_the_primary_interface_shows_the_vpc_cni() {
    use PrimaryAddresses::{Ipv4, Ipv6Prefix, Own};
    assert_eq!(claim(1, &[(0, 0, Of::VpcCni)], Own), Some(VpcCniClaim::Next), "by the tag of the primary interface");
    assert_eq!(claim(1, FRESH, Ipv4), later(1), "by the addresses for pods only");
    assert_eq!(claim(1, FRESH, Own), None, "nothing shows the CNI");
    // In IPv6 mode the CNI attaches no other interface.
    assert_eq!(claim(1, FRESH, Ipv6Prefix), None);
    assert_eq!(claim(1, &[(0, 0, Of::VpcCni)], Ipv6Prefix), None);
    let with_another = [(0, 0, Of::VpcCni), (0, 1, Of::VpcCni)];
    assert_eq!(claim(2, &with_another, Ipv6Prefix), Some(VpcCniClaim::Next), "it attaches others, so it has IPv4");
}

#[test]
fn a_higher_index_that_the_vpc_cni_reaches_is_claimed_with_the_max_eni_that_prevents_it() {
    use PrimaryAddresses::{Ipv4, Own};
    let one = [(0, 0, Of::VpcCni), (0, 1, Of::VpcCni)];
    assert_eq!(claim(2, &one, Own), Some(VpcCniClaim::Next));
    assert_eq!(claim(3, &one, Own), later(3), "it may have 4 interfaces");
    assert_eq!(claim(3, &one, Ipv4), later(3));
    assert_eq!(claim(2, &[(0, 0, Of::VpcCni)], Own), later(2));
    assert_eq!(claim(4, &one, Own), None, "the type has 4 interfaces");
    // An interface of somebody else below the index leaves one index fewer to the CNI; one above leaves one interface fewer.
    assert_eq!(claim(3, &[(0, 0, Of::VpcCni), (0, 1, Of::Somebody)], Own), later(2));
    assert_eq!(claim(3, &[(0, 0, Of::VpcCni), (0, 5, Of::Somebody)], Own), None);
    assert_eq!(claim(2, &[(0, 0, Of::VpcCni), (0, 5, Of::Somebody)], Own), later(2));
    // The CNI may not tag its interfaces.
    assert_eq!(claim(3, &[(0, 0, Of::Somebody), (0, 1, Of::VpcCniUntagged)], Own), later(3));
    assert_eq!(claim(3, &[(0, 0, Of::Somebody), (0, 1, Of::Somebody)], Own), None);
}

#[test]
fn indexes_of_our_own_enis_are_none_that_the_vpc_cni_needs() {
    let two = nodeeni("a", 2, &[SUBNET_A, SUBNET_B]);
    let of_both = world(vec![two], &[4], &[(0, 0, Of::VpcCni)], PrimaryAddresses::Own);
    let both = [((0, 2), later(2).unwrap()), ((0, 3), later(2).unwrap())];
    assert_eq!(claims(&of_both), both, "whichever of them comes first, two interfaces are left to the CNI");
    // An ENI of ours that is attached is none of the claims.
    let mut settled = world(vec![nodeeni("a", 3, &[SUBNET_A])], &[4], FRESH, PrimaryAddresses::Ipv4);
    settled.settle();
    assert!(settled.assign().beside_vpc_cni.is_empty());
    let mut highest = nodeeni("a", 1, &[SUBNET_A]);
    highest.spec.as_mut().unwrap().index_policy = DeviceIndexPolicy::HighestFree;
    assert_eq!(claims(&world(vec![highest], &[4], FRESH, PrimaryAddresses::Ipv4)), []);
}

#[test]
fn without_the_limits_of_the_type_the_vpc_cni_reaches_index_1_only() {
    for (index, expected) in [(1, later(1)), (2, None)] {
        let mut unknown = world(vec![nodeeni("a", index, &[SUBNET_A])], &[4], FRESH, PrimaryAddresses::Ipv4);
        unknown.catalog.instance_types.insert("m5.xlarge".into(), None);
        assert_eq!(claims(&unknown).first().map(|(_, claim)| *claim), expected, "index {index}");
    }
}

#[test]
fn other_network_cards_are_claimed_where_the_vpc_cni_has_an_interface_on_one_of_them() {
    let on_card = |card: i32, index: i32, shown: &[(i32, i32, Of)]| {
        let mut on = nodeeni("a", 1, &[SUBNET_A]);
        let spec = on.spec.as_mut().unwrap();
        (spec.card, spec.index) = (card, index);
        claims(&world(vec![on], &[4, 2, 2], shown, PrimaryAddresses::Ipv4)).first().map(|(_, claim)| *claim)
    };
    let single = [(0, 0, Of::VpcCni), (0, 1, Of::VpcCni)];
    assert_eq!(on_card(1, 1, &single), None, "nothing shows ENABLE_MULTI_NIC");
    let multi = [(0, 0, Of::VpcCni), (1, 0, Of::VpcCni)];
    assert_eq!(on_card(1, 1, &multi), later(1), "MAX_ENI counts for each card");
    assert_eq!(on_card(2, 1, &multi), later(1));
    assert_eq!(on_card(2, 0, &multi), Some(VpcCniClaim::Later { max_eni: None }), "its first index there");
    assert_eq!(on_card(0, 1, &multi), Some(VpcCniClaim::Next));
}

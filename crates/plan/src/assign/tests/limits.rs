//! The limits of the instance type, and subnets of another VPC.

use super::*;
use crate::lifecycle::tests::{attachment, eni};
use crate::observed::InstanceLimits;
use crate::rollout::Turn;

fn limited(mut nodeenis: Vec<NodeEni>, change: impl Fn(&mut crate::nodeeni::EniSpec)) -> World {
    nodeenis.iter_mut().for_each(|nodeeni| nodeeni.spec.iter_mut().for_each(&change));
    let mut world = World::new(nodeenis);
    world.node.as_mut().unwrap().instance_type = Some("t3.small".into());
    let limits = InstanceLimits { enis: 3, cards: vec![3], ipv4_per_eni: 4, ipv6_per_eni: 4 };
    world.catalog.instance_types.insert("t3.small".into(), Some(limits));
    world
}

fn why(world: &World) -> Vec<UnassignedReason> {
    world.assign().refused.into_iter().map(|refusal| refusal.why).collect()
}

#[test]
fn an_instance_type_is_looked_up_once_and_an_unknown_type_limits_nothing() {
    let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |_| {});
    let known = std::mem::take(&mut world.catalog.instance_types);
    let asked = world.assign();
    assert_eq!(asked.needs, BTreeSet::from([Need::InstanceType("t3.small".into())]));
    assert!(asked.create.is_empty() && asked.refused[0].why.is_transient());
    world.catalog.instance_types.insert("t3.small".into(), None);
    assert_eq!(world.assign().create.len(), 1);
    world.catalog.instance_types = known;
    assert_eq!((world.assign().create.len(), world.assign().needs), (1, BTreeSet::new()));
}

#[test]
fn without_the_permission_to_look_types_up_nothing_is_limited() {
    let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |_| {});
    world.catalog.instance_types.clear();
    let lookup = CatalogLookup::InstanceTypes;
    let mut assigned = |code: &str, failing_for: i64| {
        let error = CallError::Answered { code: code.into(), message: "refused".into() };
        let since = world.now - SignedDuration::from_secs(failing_for);
        let failure = LookupFailure::next(None, lookup.action(), &error, since);
        world.catalog.failures.insert(lookup, failure);
        world.assign()
    };
    for code in ["InternalError", "UnauthorizedOperation"] {
        let first = assigned(code, 59);
        assert!(first.create.is_empty() && first.refused[0].why.is_transient(), "{code}: {first:?}");
    }
    // Any other failure ends by itself, so its end is awaited.
    let failed = assigned("InternalError", 60);
    assert!(failed.create.is_empty() && matches!(failed.refused[0].why, UnassignedReason::LookupFailed(_)));
    let denied = assigned("UnauthorizedOperation", 60);
    assert_eq!((denied.create.len(), denied.refused.len()), (1, 0));
    assert_eq!(denied.needs, BTreeSet::from([Need::InstanceType("t3.small".into())]), "the permission may be granted");
}

#[test]
fn an_instance_gets_no_more_interfaces_than_its_type_supports() {
    let mut world =
        limited(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("b", 2, &[SUBNET_B]), nodeeni("c", 3, &[SUBNET_A])], |_| {});
    let mut primary = eni(1);
    (primary.tags, primary.attachment) =
        (StringMap::default(), Some(attachment(crate::observed::AttachmentState::Attached)));
    primary.attachment.as_mut().unwrap().index = 0;
    world.interfaces.as_mut().unwrap().enis = vec![primary];
    let first = world.assign();
    // The primary interface and two ENIs of this cluster fit. The youngest NodeENI gets none, with a reason.
    assert_eq!(first.create.len(), 2);
    let full = UnassignedReason::InstanceFull { kind: "t3.small".into(), card: None, most: 3 };
    assert_eq!(why(&world), std::slice::from_ref(&full));
    assert!(full.sentence(at(100)).contains("the maximum of t3.small"), "{full:?}");
    assert!(first.recheck.is_some() && first.needs.is_empty(), "no lookup is repeated at once");
    // Once they exist, a lookup may not show them yet, but they count.
    world.apply(&first);
    assert_eq!(why(&world), std::slice::from_ref(&full));
    // The reason stays the same when the lookup has expired. The instance is looked up again at a long interval.
    world.now = at(100 + 599);
    assert_eq!((why(&world), world.assign().needs), (vec![full.clone()], BTreeSet::new()));
    world.now = at(100 + 600);
    assert_eq!(why(&world), [full]);
    assert!(world.assign().needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))), "slowly");
}

#[test]
fn an_instance_full_of_enis_without_an_eniattachment_is_looked_up_again_soon() {
    let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |_| {});
    // An old lookup shows three ENIs of this cluster that have no ENIAttachment any more.
    let left = (1..=3).map(|n| {
        let mut left = eni(n);
        left.attachment = Some(attachment(crate::observed::AttachmentState::Attached));
        left.attachment.as_mut().unwrap().index = i32::try_from(n).unwrap() + 3;
        left
    });
    world.interfaces.as_mut().unwrap().enis = left.collect();
    world.now = at(100 + 3);
    let soon = world.assign();
    assert!(soon.create.is_empty() && soon.refused[0].why.is_transient(), "{:?}", soon.refused);
    assert!(soon.needs.iter().any(|need| matches!(need, Need::LookupInterfaces(_))));
}

#[test]
fn a_missing_card_and_too_many_addresses_are_refused_before_any_lookup() {
    let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |spec| spec.card = 1);
    world.interfaces = None;
    assert_eq!(why(&world), [UnassignedReason::NoSuchCard { kind: "t3.small".into(), card: 1, cards: 1 }]);
    for (count, prefixes, ipv6, family, asked) in
        [(Some(5), None, None, "IPv4", 5), (None, Some(4), None, "IPv4", 5), (None, None, Some(9), "IPv6", 9)]
    {
        let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |spec| {
            (spec.private_ip_count, spec.ipv4_prefix_count, spec.ipv6_address_count) = (count, prefixes, ipv6);
        });
        world.interfaces = None;
        assert_eq!(
            why(&world),
            [UnassignedReason::TooManyAddresses { kind: "t3.small".into(), family, asked, most: 4 }]
        );
        assert!(world.assign().needs.is_empty());
    }
    // Three prefixes and the primary address are exactly four.
    let world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |spec| spec.ipv4_prefix_count = Some(3));
    assert_eq!(world.assign().create.len(), 1);
}

#[test]
fn a_subnet_of_another_vpc_is_refused_before_an_eni_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.catalog.subnets.values_mut().for_each(|subnet| subnet.vpc = "vpc-2".into());
    let subnet = (SubnetId::parse(SUBNET_A).unwrap(), "vpc-2".to_owned());
    assert_eq!(why(&world), [UnassignedReason::SubnetInOtherVpc { subnet, vpc: "vpc-1".into() }]);
}

#[test]
fn an_eni_in_use_is_not_replaced_by_one_that_the_type_does_not_support() {
    let mut world = limited(vec![nodeeni("a", 1, &[SUBNET_A])], |_| {});
    world.settle();
    world.permits = [("uid-a".to_owned(), [("n0".to_owned(), Turn { had: 1, may_lose: true })].into())].into();
    let edit = |world: &mut World, change: fn(&mut crate::nodeeni::EniSpec)| {
        let mut edited = nodeeni("a", 1, &[SUBNET_A]);
        edited.spec.iter_mut().for_each(change);
        world.nodeenis = vec![edited];
    };
    edit(&mut world, |spec| spec.card = 1);
    assert_eq!(world.assign().delete.len(), 1, "an ENI that never worked does not count as lost");
    world.attached_on_ec2.insert(world.attachments[0].name.clone());
    let kept = world.assign();
    assert!(kept.delete.is_empty(), "{kept:?}");
    assert!(kept.refused.iter().any(|refusal| refusal.why.reason() == "NetworkCardNotFound"), "{kept:?}");
    edit(&mut world, |spec| spec.private_ip_count = Some(9));
    assert!(world.assign().delete.is_empty());
    // An ENI in use is not replaced while a lookup is missing.
    edit(&mut world, |spec| spec.index = 2);
    let known = std::mem::take(&mut world.catalog.instance_types);
    let asks = world.assign();
    assert!(asks.delete.is_empty() && asks.needs.contains(&Need::InstanceType("t3.small".into())), "{asks:?}");
    world.catalog.instance_types = known;
    assert_eq!(world.assign().delete.len(), 1);
}

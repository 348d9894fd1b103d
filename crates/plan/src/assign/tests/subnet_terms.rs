//! The subnet that `subnetSelectorTerms` select: chosen once for each ENI, by free addresses, and kept.

use super::*;
use crate::assign::subnet_terms::turn_to_move;
use crate::confirmation::CONFIRMED_AFTER;
use crate::ec2_terms::{SubnetTerm, TagTerm};
use crate::failure::Failure;
use crate::nodeeni::SubnetRef;
use crate::observed::InstanceLimits;
use crate::problem::Problem;
use crate::removals::Cause;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::eniattachment::LastError;

const FAR: &str = "subnet-00000003";

fn by_tag(key: &str, value: &str) -> TagTerm {
    TagTerm::read(None, &[(key.to_owned(), value.to_owned())].into()).unwrap()
}

fn id(text: &str) -> SubnetId {
    SubnetId::parse(text).unwrap()
}

/// A NodeENI whose only term is tier=db, which subnets A and B (both in the node's zone) and a far one have.
fn world() -> World {
    let mut a = nodeeni("a", 1, &[]);
    let mut with_list = nodeeni("a", 1, &[SUBNET_A]).spec.unwrap();
    with_list.subnets.clear();
    with_list.subnet_terms = vec![SubnetTerm::Tags(by_tag("tier", "db"))];
    a.spec = Ok(with_list);
    let mut world = World::new(vec![a]);
    for subnet in world.catalog.subnets.values_mut() {
        subnet.tags = StringMap::from([("tier", "db")]);
        subnet.tags_since = Some(at(-180));
    }
    answer(&mut world, &[SUBNET_A, SUBNET_B, FAR]);
    world
}

/// The last answer of EC2 to the term.
fn answer(world: &mut World, subnets: &[&str]) {
    world.catalog.subnets_tagged.insert(by_tag("tier", "db"), subnets.iter().map(|text| id(text)).collect());
}

fn set_free(world: &mut World, subnet: &str, addresses: i32) {
    world.catalog.subnets.get_mut(&id(subnet)).unwrap().free_addresses = addresses;
}

fn retag(world: &mut World, subnet: &str, tier: &str, is_confirmed: bool) {
    let subnet = world.catalog.subnets.get_mut(&id(subnet)).unwrap();
    let since = if is_confirmed { subnet.as_of - CONFIRMED_AFTER } else { subnet.as_of };
    (subnet.tags, subnet.tags_since) = ([("tier", tier)].into(), Some(since));
}

/// An ENIAttachment as the controller names it, with an ENI in subnet A that is in use.
fn attached(world: &mut World) {
    world.interfaces.as_mut().unwrap().as_of = world.now;
    let created = world.assign().create.remove(0);
    let mut attachment = new_attachment("n0", 1, true);
    (attachment.name, attachment.request) = (created.name, created.spec.request.into());
    attachment.request.subnet_id = SUBNET_A.to_owned();
    attachment.status.eni_id = Some("eni-00000001".to_owned());
    set(&mut attachment.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    world.attachments = vec![attachment];
}

fn created(world: &World) -> Vec<String> {
    world.assign().create.into_iter().map(|new| new.spec.request.subnet_id).collect()
}

/// Nothing is made, deleted, or outdated.
fn is_untouched(assignment: &Assignment) -> bool {
    assignment.create.is_empty() && assignment.delete.is_empty() && assignment.outdated.is_empty()
}

#[test]
fn a_new_eni_gets_the_subnet_of_the_zone_with_the_most_free_addresses() {
    let mut world = world();
    set_free(&mut world, SUBNET_A, 10);
    set_free(&mut world, SUBNET_B, 11);
    set_free(&mut world, FAR, 1000);
    assert_eq!(created(&world), [SUBNET_B]);
    // Among equals the lowest ID.
    set_free(&mut world, SUBNET_A, 11);
    assert_eq!(created(&world), [SUBNET_A]);
    // A Create of this process that is under way takes an address.
    let request = multi_eni_api::EniRequest { subnet_id: SUBNET_A.to_owned(), ..Default::default() };
    world.subnet_gate.sent("other", &request);
    assert_eq!(created(&world), [SUBNET_B]);
}

#[test]
fn free_addresses_new_subnets_and_partial_answers_move_no_eni() {
    let mut world = world();
    attached(&mut world);
    world.permits =
        [("uid-a".to_owned(), [("n0".to_owned(), crate::rollout::Turn { had: 1, may_lose: true })].into())].into();
    assert!(is_untouched(&world.assign()));
    set_free(&mut world, SUBNET_A, 0);
    set_free(&mut world, SUBNET_B, 1000);
    assert!(is_untouched(&world.assign()), "other free addresses");
    // EC2 answers without the subnet of the ENI, and then without any.
    answer(&mut world, &[SUBNET_B]);
    assert!(is_untouched(&world.assign()), "the subnet's own tags still match");
    answer(&mut world, &[]);
    assert!(is_untouched(&world.assign()));
    // The subnet was shown once with other tags, which may be a wrong answer.
    answer(&mut world, &[SUBNET_B]);
    retag(&mut world, SUBNET_A, "web", false);
    let unsure = world.assign();
    assert!(is_untouched(&unsure) && unsure.losing.is_empty());
    assert!(unsure.needs.contains(&Need::Subnet(crate::nodeeni::SubnetRef::Id(id(SUBNET_A)))), "{:?}", unsure.needs);
    // EC2 does not show the subnet by its ID, as in another account.
    world.catalog.subnets.remove(&id(SUBNET_A));
    world.catalog.missing_subnets.insert(id(SUBNET_A), at(0));
    let missing = world.assign();
    assert!(is_untouched(&missing) && missing.refused[0].why.reason() == "SubnetNotFound", "{missing:?}");
    // A new process has looked nothing up.
    world.catalog.subnets_tagged.clear();
    world.catalog.missing_subnets.clear();
    let new = world.assign();
    assert!(is_untouched(&new) && new.refused[0].why.reason() == "Looking");
    assert!(new.needs.contains(&Need::TaggedSubnets(by_tag("tier", "db"))));
}

#[test]
fn an_eni_is_replaced_in_its_turn_once_its_subnet_matches_no_term_for_certain() {
    let mut world = world();
    attached(&mut world);
    retag(&mut world, SUBNET_A, "web", true);
    answer(&mut world, &[SUBNET_B]);
    let waits = world.assign();
    assert_eq!((waits.delete.len(), waits.outdated.len()), (0, 1), "it waits for the rollout");
    world.permits =
        [("uid-a".to_owned(), [("n0".to_owned(), crate::rollout::Turn { had: 1, may_lose: true })].into())].into();
    assert_eq!(world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Replaced]);
    // An edit of the terms has the same effect, without another answer of EC2.
    retag(&mut world, SUBNET_A, "db", true);
    answer(&mut world, &[SUBNET_A, SUBNET_B]);
    assert!(is_untouched(&world.assign()));
    world.nodeenis[0].spec.as_mut().unwrap().subnet_terms = vec![SubnetTerm::Id(id(SUBNET_B))];
    assert_eq!(world.assign().delete.len(), 1);
}

#[test]
fn an_eni_whose_zone_has_no_subnet_any_more_is_removed_at_the_pace() {
    let mut world = world();
    attached(&mut world);
    world.removals = RemovalPermits::default();
    for subnet in [SUBNET_A, SUBNET_B] {
        retag(&mut world, subnet, "web", true);
    }
    answer(&mut world, &[FAR]);
    let waits = world.assign();
    assert_eq!((waits.delete.len(), waits.of_nodeeni("uid-a").losing), (0, Some(Cause::Edited)));
    // No subnet at all matches: that may be a wrong answer, and nothing is removed.
    answer(&mut world, &[]);
    world.removals = RemovalPermits::unpaced();
    let none = world.assign();
    assert!(is_untouched(&none) && none.refused[0].why.reason() == "SubnetNotFound");
    assert!(none.refused[0].why.sentence(at(100)).contains("tag tier=db"), "{:?}", none.refused[0].why);
}

/// A typo in the ID of the zone's subnet must not take the ENIs of the zone.
#[test]
fn an_eni_stays_while_a_term_names_a_subnet_that_ec2_does_not_know() {
    let mut world = world();
    attached(&mut world);
    let missing = id("subnet-0dead000");
    world.catalog.missing_subnets.insert(missing.clone(), at(100));
    world.nodeenis[0].spec.as_mut().unwrap().subnet_terms =
        vec![SubnetTerm::Id(missing.clone()), SubnetTerm::Id(id(FAR))];
    let kept = world.assign();
    assert!(is_untouched(&kept), "{kept:?}");
    assert_eq!(kept.refused[0].why, UnassignedReason::SubnetMissing(SubnetRef::Id(missing)));
    // A node without an ENI is not covered.
    world.attachments.clear();
    assert_eq!(world.assign().refused[0].why.reason(), "NoSubnetInZone");
}

/// The terms were edited, and EC2 has not yet shown the tags of the present subnet for so long that they are certain.
#[test]
fn terms_that_match_nothing_are_reported_as_soon_as_they_have_an_answer() {
    let mut world = world();
    attached(&mut world);
    world.catalog.subnets.values_mut().for_each(|subnet| subnet.tags_since = Some(subnet.as_of));
    let (none, missing) = (by_tag("tier", "none"), id("subnet-0dead000"));
    let edit = |world: &mut World, terms: &[SubnetTerm]| {
        world.nodeenis[0].spec.as_mut().unwrap().subnet_terms = terms.to_vec();
    };
    edit(&mut world, &[SubnetTerm::Tags(none.clone())]);
    let waits = world.assign();
    assert!(is_untouched(&waits) && waits.needs.contains(&Need::TaggedSubnets(none.clone())), "{waits:?}");
    assert_eq!(waits.refused[0].why, UnassignedReason::LookupPending("the EC2 lookup of the subnet of the node's ENI"));
    world.catalog.subnets_tagged.insert(none.clone(), [].into());
    let refused = |world: &World| {
        let assignment = world.assign();
        assert!(is_untouched(&assignment) && assignment.recheck.is_some(), "the ENI stays: {assignment:?}");
        assignment.refused[0].why.clone()
    };
    assert_eq!(refused(&world), UnassignedReason::NoSubnetMatches("tag tier=none".to_owned()));
    // Only a subnet of another VPC matches.
    world.catalog.subnets_tagged.insert(none.clone(), [id(SUBNET_B)].into());
    world.catalog.subnets.get_mut(&id(SUBNET_B)).unwrap().vpc = "vpc-other".into();
    assert!(matches!(refused(&world), UnassignedReason::NoSubnetMatches(_)));
    // An ID that EC2 does not know is named.
    edit(&mut world, &[SubnetTerm::Tags(none.clone()), SubnetTerm::Id(missing.clone())]);
    assert!(world.assign().needs.contains(&Need::Subnet(crate::nodeeni::SubnetRef::Id(missing.clone()))));
    world.catalog.missing_subnets.insert(missing, at(0));
    assert!(matches!(refused(&world), UnassignedReason::SubnetMissing(_)));
    // Another subnet of the VPC matches: it is not an error, and takes minutes.
    edit(&mut world, &[SubnetTerm::Tags(none.clone())]);
    world.catalog.subnets_tagged.insert(none, [id(FAR)].into());
    let unconfirmed = refused(&world);
    let bare_zone = Some("z1".to_owned());
    let waits = UnassignedReason::SubnetUnconfirmed { subnet: id(SUBNET_A), until: at(180), is_edit: false, bare_zone };
    assert_eq!(unconfirmed, waits);
    assert!(unconfirmed.is_transient() && unconfirmed.reason() == "Looking");
    assert!(unconfirmed.sentence(at(100)).contains("shown its tags unchanged for 3 min"), "{unconfirmed:?}");
}

/// Makes the ENIAttachment so old that its turn to move begins now.
fn at_its_turn(world: &mut World) {
    let now = world.now;
    let attachment = &mut world.attachments[0];
    attachment.created = now;
    let (is_its_turn, next) = turn_to_move(attachment, now);
    assert!(!is_its_turn, "it has just been created");
    attachment.created = now - next.duration_since(now);
}

#[test]
fn enis_that_wait_move_one_after_the_other_and_not_before_ten_minutes() {
    let turns: BTreeSet<i64> = (0..450)
        .map(|n| {
            let mut attachment = new_attachment("n0", 1, false);
            (attachment.uid, attachment.created) = (format!("uid-{n}"), at(0));
            let (is_its_turn, next) = turn_to_move(&attachment, at(599));
            assert!(!is_its_turn && next >= at(600) && next < at(1200), "{next}");
            assert!(turn_to_move(&attachment, next).0);
            assert!(!turn_to_move(&attachment, next + SignedDuration::from_secs(30)).0);
            let again = turn_to_move(&attachment, next).1;
            assert_eq!(again.duration_since(next), SignedDuration::from_mins(10));
            next.as_second()
        })
        .collect();
    assert!(turns.len() > 250, "{}", turns.len());
}

/// The ENIAttachment waits, because its subnet is full.
fn waits_for_room(world: &mut World) {
    attached(world);
    let full = ConditionUpdate::new(types::READY, false, "SubnetFull", "");
    let attachment = &mut world.attachments[0];
    (attachment.status.eni_id, attachment.status.conditions) = (None, Vec::new());
    set(&mut attachment.status.conditions, full, None, at(0));
}

#[test]
fn an_eni_that_was_just_created_is_not_replaced_while_its_status_says_full() {
    let mut world = world();
    waits_for_room(&mut world);
    at_its_turn(&mut world);
    set_free(&mut world, SUBNET_A, 0);
    set_free(&mut world, SUBNET_B, 50);
    assert_eq!(world.assign().delete.len(), 1);
    world.created_enis.insert(world.attachments[0].name.clone());
    assert!(is_untouched(&world.assign()), "this process has made its ENI");
}

#[test]
fn an_eni_that_waits_for_a_full_subnet_and_was_never_made_goes_to_another() {
    let mut world = world();
    waits_for_room(&mut world);
    let request = world.attachments[0].request.clone();
    set_free(&mut world, SUBNET_A, 0);
    set_free(&mut world, SUBNET_B, 0);
    assert!(is_untouched(&world.assign()), "no other subnet has room");
    set_free(&mut world, SUBNET_B, 2);
    assert!(is_untouched(&world.assign()), "it is not its turn");
    at_its_turn(&mut world);
    assert_eq!(world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Replaced]);
    world.subnet_gate.sent(&world.attachments[0].uid.clone(), &request);
    assert!(is_untouched(&world.assign()), "its Create is under way");
    // EC2 refuses the Create although the subnet shows room.
    let uid = world.attachments[0].uid.clone();
    set_free(&mut world, SUBNET_A, 50);
    let refusal = CallError::Answered { code: "InsufficientFreeAddressesInSubnet".into(), message: "full".into() };
    let mut call_history = crate::lifecycle::CallHistory::made(at(0));
    call_history.failed(crate::ec2_errors::Call::Create, &refusal, at(100));
    let failure: Failure = call_history.failure.unwrap();
    world.subnet_gate.answered(&uid, &request, &Err(refusal), Some(&failure), at(100));
    assert_eq!(world.assign().delete.len(), 1, "subnet B has room, and no refusal");
    // Both have refused: it stays, however long ago that was, until a subnet shows more free addresses.
    let mut waits = world.attachments[0].clone();
    waits.request.subnet_id = SUBNET_B.to_owned();
    let kept = std::mem::replace(&mut world.attachments, vec![waits]);
    (world.now, world.interfaces.as_mut().unwrap().as_of) = (at(900), at(900));
    at_its_turn(&mut world);
    assert!(is_untouched(&world.assign()), "subnet A has refused a Create");
    world.catalog.subnets.get_mut(&id(SUBNET_A)).unwrap().grown = Some(at(850));
    assert_eq!(world.assign().delete.len(), 1);
    world.catalog.subnets.get_mut(&id(SUBNET_A)).unwrap().grown = None;
    (world.now, world.interfaces.as_mut().unwrap().as_of) = (at(101), at(101));
    world.attachments = kept;
    at_its_turn(&mut world);
    assert_eq!(world.assign().delete.len(), 1);
    // For a new ENI a refusal counts for ten minutes.
    world.attachments.clear();
    assert_eq!(created(&world), [SUBNET_B]);
    world.now = at(100 + 601);
    world.interfaces.as_mut().unwrap().as_of = world.now;
    assert_eq!(created(&world), [SUBNET_A]);
}

#[test]
fn an_eni_that_was_never_made_leaves_a_subnet_that_ec2_does_not_know() {
    let mut world = world();
    attached(&mut world);
    world.catalog.subnets.remove(&id(SUBNET_A));
    world.catalog.missing_subnets.insert(id(SUBNET_A), at(0));
    answer(&mut world, &[SUBNET_B]);
    world.permits =
        [("uid-a".to_owned(), [("n0".to_owned(), crate::rollout::Turn { had: 0, may_lose: true })].into())].into();
    assert!(is_untouched(&world.assign()), "an ENI in use stays");
    world.attachments[0].status = EniAttachmentStatus::default();
    assert_eq!(world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Replaced]);
}

#[test]
fn terms_give_one_eni_and_an_id_stands_for_its_subnet() {
    let mut world = world();
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    spec.subnet_terms = [SUBNET_B, SUBNET_A, FAR].map(|text| SubnetTerm::Id(id(text))).into();
    world.catalog.subnets_tagged.clear();
    assert_eq!(created(&world).len(), 1);
    // An ID that EC2 does not know stops nothing, and is reported.
    let unknown = id("subnet-0dead000");
    world.nodeenis[0].spec.as_mut().unwrap().subnet_terms.push(SubnetTerm::Id(unknown.clone()));
    assert!(world.assign().needs.contains(&Need::Subnet(crate::nodeeni::SubnetRef::Id(unknown.clone()))));
    world.catalog.missing_subnets.insert(unknown, at(0));
    let served = world.assign();
    assert_eq!((served.create.len(), served.problems.len()), (1, 1));
    let Problem { reason, message, node } = &served.problems[0].1;
    assert_eq!((*reason, node.as_deref()), ("SubnetNotFound", None), "the node has its ENI");
    assert!(message.contains("subnet-0dead000, a term of subnetSelectorTerms"), "{message}");
    // Only a subnet in another zone matches.
    world.nodeenis[0].spec.as_mut().unwrap().subnet_terms = vec![SubnetTerm::Id(id(FAR))];
    let far = world.assign();
    assert_eq!((far.create.len(), far.refused[0].why.reason()), (0, "NoSubnetInZone"));
    assert!(far.refused[0].why.sentence(at(100)).contains("its subnets are in z2"), "{:?}", far.refused[0].why);
}

/// Volumes count toward the limit of the instance, so EC2 would refuse an ENI of each subnet.
#[test]
fn an_eni_that_ec2_refused_to_attach_is_not_tried_in_another_subnet() {
    for policy in [DeviceIndexPolicy::Exact, DeviceIndexPolicy::HighestFree] {
        let mut world = world();
        world.nodeenis[0].spec.as_mut().unwrap().index_policy = policy;
        world.node.as_mut().unwrap().instance_type = Some("m5.large".into());
        let limits = InstanceLimits { enis: 15, cards: vec![15], ipv4_per_eni: 10, ipv6_per_eni: 10 };
        world.catalog.instance_types.insert("m5.large".into(), Some(limits));
        set_free(&mut world, SUBNET_B, 5);
        let new = world.assign().create.remove(0);
        assert_eq!(new.spec.request.subnet_id, SUBNET_A);
        let mut gone = new_attachment("n0", 1, false);
        (gone.name, gone.request) = (new.name, new.spec.request.into());
        let mut refuse = |world: &mut World, code: &str, message: &str| {
            let (action, code, message) = ("AttachNetworkInterface".to_owned(), code.to_owned(), message.to_owned());
            let error = CallError::Answered { code: code.clone(), message: message.clone() };
            gone.status.last_error = Some(LastError { action, code, message, at: None, count: 3 });
            let at_refusal = InstanceAtRefusal::after(&error, at(50)).unwrap();
            let (node, interfaces) = (world.node.as_ref(), world.interfaces.as_ref());
            let record = AttachRefusal::of(&gone, node, interfaces, &at_refusal, world.now);
            world.refused_attach.insert(gone.name.clone(), record);
        };
        refuse(&mut world, "AttachmentLimitExceeded", "Interface count 4 exceeds the limit");
        set_free(&mut world, SUBNET_B, 1000);
        let refused = world.assign();
        assert!(refused.create.is_empty(), "{policy:?}: {refused:?}");
        assert_eq!(refused.refused[0].why.reason(), "AttachRefused", "{policy:?}");
        // The interfaces on the instance change, so another ENI is tried, in the subnet with the most free addresses.
        let mut other = crate::lifecycle::tests::eni(77);
        other.tags = StringMap::default();
        world.interfaces.as_mut().unwrap().enis.push(other);
        assert_eq!(created(&world), [SUBNET_B], "{policy:?}");
        world.interfaces.as_mut().unwrap().enis.clear();
        // A slot with an occupant that lookups do not show says nothing about the subnet, if another index can be chosen.
        let taken = format!("Instance '{INSTANCE}' already has an interface attached at device index '1'.");
        refuse(&mut world, "InvalidParameterValue", &taken);
        let expected = if policy == DeviceIndexPolicy::Exact { vec![] } else { vec![SUBNET_B] };
        assert_eq!(created(&world), expected, "{policy:?}");
    }
}

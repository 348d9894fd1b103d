//! What the plan says of an ENI that its NodeENI no longer asks for, and of the calls that follow an edit.

use super::*;
use crate::ec2_terms::GroupTerm;
use crate::observed::TaggedGroups;
use crate::removals::RemovalPermits;
use crate::string_map::StringMap;
use multi_eni_api::conditions::{ConditionUpdate, set, types};
use multi_eni_api::eniattachment::LastError;
use multi_eni_api::eniattachment::Phase;

const SUBNET_B: &str = "subnet-abcdef1234567890";
const FAR: &str = "subnet-00000003";

fn id(text: &str) -> SubnetId {
    SubnetId::parse(text).unwrap()
}

/// A node with an ENI of NodeENI a in use, at index 1 in subnet A, as the controller makes it.
pub(super) fn in_use() -> (World, Attachment) {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut of = new_attachment("n0", 1, true);
    of.name = world.assign().create[0].name.clone();
    of.request = world.assign().create[0].spec.request.clone().into();
    of.node_settings = world.nodeenis[0].spec.as_ref().unwrap().node_settings.clone().into();
    set(&mut of.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    of.status.eni_id = Some("eni-00000000000000007".to_owned());
    world.attachments = vec![of.clone()];
    (world, of)
}

/// The ENI as the controller leaves it: nothing is to be changed in place.
pub(super) fn settled(world: &World, of: &Attachment) -> Observation {
    let mut seen = attached(of);
    seen.tags.extend(lifecycle::tags(&world.cluster, of));
    seen.attachment.as_mut().unwrap().delete_on_termination =
        world.nodeenis[0].spec.as_ref().is_ok_and(|spec| spec.delete_on_termination);
    Observation::Seen(Box::new(seen))
}

fn lines<'a>(plan: &'a Plan, name: &str) -> &'a [Line] {
    &plan.node_enis.iter().find(|nodeeni| nodeeni.name == name).unwrap().lines
}

/// A term by tags that selects these subnets, and not the subnet of the ENI, whose tags are not certain yet.
fn edit_terms(world: &mut World, selected: &[&str]) {
    let tags = TagTerm::read(None, &[("tier".to_owned(), "new".to_owned())].into()).unwrap();
    world.catalog.subnets_tagged.insert(tags.clone(), selected.iter().map(|text| id(text)).collect());
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    (spec.subnets, spec.subnet_terms) = (Vec::new(), vec![SubnetTerm::Tags(tags)]);
}

#[test]
fn terms_that_select_another_subnet_count_the_calls_of_the_replacement_to_come() {
    let (mut world, of) = in_use();
    edit_terms(&mut world, &[SUBNET_B, FAR]);
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    let expected = [
        ("AttachNetworkInterface", 1),
        ("CreateNetworkInterface", 1),
        ("DeleteNetworkInterface", 1),
        ("DetachNetworkInterface", 1),
    ];
    assert_eq!(plan.calls, expected.into());
    let text = plan_text(&plan);
    let steps = format!(
        "± n0, index 1, eni-00000000000000007: replace in steps: 1. {}; \
         2. the rollout permits it (rollout.maxUnavailable: 1); 3. detach and delete; 4. create an ENI in {SUBNET_B} and attach it\n",
        crate::explain::unconfirmed::confirmed(SUBNET_A)
    );
    assert!(text.contains(&steps), "{text}");
    assert!(steps.contains("at least 15s after an edit of the terms, or unchanged for 3m after"), "{steps}");
    assert!(text.contains(&format!("; then an ENI in {SUBNET_B} takes its place")), "{text}");
    assert!(text.contains("1 ENI desired, 0 in place"), "{text}");
}

#[test]
fn a_list_with_another_subnet_counts_the_calls_of_the_replacement() {
    let (mut world, of) = in_use();
    world.nodeenis = vec![nodeeni("a", 1, &[SUBNET_B])];
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    assert_eq!(plan.calls.values().sum::<u32>(), 4, "{:?}", plan.calls);
    let text = plan_text(&plan);
    let line = "± n0, index 1, eni-00000000000000007: replace when the rollout permits (rollout.maxUnavailable: 1)\n";
    assert!(text.contains(line) && text.contains("0 in place"), "{text}");
}

#[test]
fn terms_that_select_only_other_zones_count_the_calls_of_the_removal_to_come() {
    let (mut world, of) = in_use();
    edit_terms(&mut world, &[FAR]);
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    assert_eq!(plan.calls, [("DeleteNetworkInterface", 1), ("DetachNetworkInterface", 1)].into());
    let text = plan_text(&plan);
    assert!(text.contains("- n0, index 1, eni-00000000000000007: remove in steps: 1."), "{text}");
    assert!(text.contains("The terms select no subnet in zone z1"), "{text}");
}

#[test]
fn an_outdated_eni_that_must_stay_is_not_in_place() {
    let (mut world, of) = in_use();
    // Another owner's ENI is at the index that the edited spec asks for.
    world.nodeenis = vec![nodeeni("a", 2, &[SUBNET_A])];
    let mut taken = attachment(AttachmentState::Attached);
    taken.index = 2;
    let foreign = ObservedEni { tags: StringMap::default(), attachment: Some(taken), ..eni(9) };
    world.interfaces.as_mut().unwrap().enis = vec![foreign];
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    let line = lines(&plan, "a").iter().find(|line| line.eni.is_some()).unwrap();
    assert_eq!((line.mark, line.reason.as_str()), (LineKind::Blocked, "Outdated"), "{line:?}");
    let expected = "outdated: the spec changed, and it asks for no ENI at device index 1 on network card 0; the ENI stays until \
                    the cause of DeviceIndexTaken is removed, and is replaced or removed then";
    assert_eq!(line.message, expected);
    assert!(plan_text(&plan).contains("0 in place"), "{}", plan_text(&plan));

    // The counts differ, and what the spec asks for cannot be determined.
    let (mut world, of) = in_use();
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    (spec.private_ip_count, spec.subnets) = (Some(3), vec![crate::nodeeni::SubnetRef::Id(id("subnet-0dead000"))]);
    world.catalog.missing_subnets.insert(id("subnet-0dead000"), at(0));
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    let line = lines(&plan, "a").iter().find(|line| line.eni.is_some()).unwrap();
    let differences =
        format!("it does not ask for {SUBNET_A}, and privateIPCount is 3, and the ENI has none; the ENI stays until");
    assert!(line.mark == LineKind::Blocked && line.message.contains(&differences), "{line:?}");
}

#[test]
fn an_outdated_eni_behind_a_paced_removal_is_named_with_its_calls() {
    let (mut world, of) = in_use();
    world.nodeenis[0].spec.as_mut().unwrap().private_ip_count = Some(2);
    // A second ENI, whose subnet left the list. It is removed first, and its node waits for the pace.
    let mut surplus = new_attachment("n0", 2, true);
    surplus.request.subnet_id = SUBNET_B.to_owned();
    set(&mut surplus.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    world.attachments.push(surplus.clone());
    world.removals = RemovalPermits::default();
    let plan = reported(&world, &[(&of, settled(&world, &of)), (&surplus, settled(&world, &surplus))]);
    let all = lines(&plan, "a");
    let at_index = |index| all.iter().find(|line| line.slot.is_some_and(|slot| slot.device_index == index)).unwrap();
    assert_eq!(at_index(2).reason, "RemovalPaced");
    assert_eq!((at_index(1).mark, at_index(1).calls.len()), (LineKind::Replace, 4), "{all:?}");
    world.removals = RemovalPermits::unpaced();
    let plan = reported(&world, &[(&of, settled(&world, &of)), (&surplus, settled(&world, &surplus))]);
    let gone = lines(&plan, "a").iter().find(|line| line.reason == "Surplus").unwrap();
    assert_eq!(
        (gone.mark, gone.message.as_str()),
        (LineKind::Remove, "detach and delete: the spec no longer asks for it")
    );
}

#[test]
fn a_zone_label_that_contradicts_ec2_is_shown_beside_the_eni_that_stays() {
    let (mut world, of) = in_use();
    world.interfaces.as_mut().unwrap().zone = Some("z1".into());
    world.node.as_mut().unwrap().labels.insert(crate::observed::ZONE_LABEL, "z2");
    let plan = reported(&world, &[(&of, settled(&world, &of))]);
    let line = lines(&plan, "a").iter().find(|line| line.reason == "ZoneContradiction").unwrap();
    assert_eq!((line.mark, line.node.as_str(), line.calls.len()), (LineKind::Blocked, "n0", 0));
    let expected = "! n0: the node is in zone z1 according to EC2 (its primary interface), and in zone z2 according to its label \
                    topology.kubernetes.io/zone. An instance never changes its zone, so no ENI is removed; zone z1 counts.";
    assert!(plan_text(&plan).contains(expected), "{}", plan_text(&plan));
    let story = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    assert!(story.contains("  ! the node is in zone z1"), "{story}");
    assert!(story.contains("  = index 1: eni-00000000000000007 is attached"), "{story}");
}

#[test]
fn a_group_that_stays_for_a_while_is_shown_with_the_end_of_the_wait() {
    let (mut world, of) = in_use();
    let sg = |n: u32| multi_eni_api::ids::SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap();
    let web = TagTerm::read(None, &[("tier".to_owned(), "web".to_owned())].into()).unwrap();
    world.nodeenis[0].spec.as_mut().unwrap().group_terms = vec![GroupTerm::Tags(web.clone())];
    let answer = |world: &mut World, is_confirmed: bool| {
        let groups = [("vpc-1".to_owned(), sg(2))].into();
        world.catalog.groups_tagged.insert(web.clone(), TaggedGroups { groups, since: at(90), is_confirmed });
    };
    answer(&mut world, false);
    world.groups = vec![sg(2), sg(9)];
    let shown = |world: &World| {
        let Observation::Seen(mut seen) = settled(world, &of) else { panic!("the ENI is shown") };
        (seen.groups, seen.description) = (world.groups.clone(), "old".to_owned());
        Observation::Seen(seen)
    };
    let plan = reported(&world, &[(&of, shown(&world))]);
    assert_eq!(plan.calls, [("ModifyNetworkInterfaceAttribute", 1)].into());
    let line = &lines(&plan, "a")[0];
    let sentence = format!(
        "change in place: security groups: sg-00000002, at {} at the latest: EC2 must have shown the same groups for 3m, and \
         sg-00000009 stays on the ENI until then",
        at(270)
    );
    assert_eq!((line.mark, line.message.as_str()), (LineKind::Change, sentence.as_str()));
    let story = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    assert!(story.contains("  ~ index 1, eni-00000000000000007: change in place"), "{story}");
    // Another change does not wait.
    world.nodeenis[0].spec.as_mut().unwrap().description = "new".to_owned();
    let plan = reported(&world, &[(&of, shown(&world))]);
    assert_eq!(plan.calls, [("ModifyNetworkInterfaceAttribute", 2)].into());
    let message = &lines(&plan, "a")[0].message;
    assert!(
        message.starts_with("change in place: description: \"new\"; security groups: sg-00000002, at"),
        "{message}"
    );
    answer(&mut world, true);
    let plan = reported(&world, &[(&of, shown(&world))]);
    let message = &lines(&plan, "a")[0].message;
    assert_eq!(message, "change in place: security groups: sg-00000002; description: \"new\"");
}

/// A process that reads the status of another one, as every `plan` is.
fn refused(of: &mut Attachment, action: &str, count: i32) {
    of.status.last_error = Some(LastError {
        action: action.to_owned(),
        code: "InvalidGroup.NotFound".to_owned(),
        message: "The security group 'sg-1' does not exist".to_owned(),
        at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(90))),
        count,
    });
}

#[test]
fn a_missing_security_group_is_trouble_and_no_wait() {
    let (mut world, mut of) = in_use();
    refused(&mut of, "CreateNetworkInterface", 4);
    (of.status.phase, of.status.eni_id) = (Phase::Blocked, None);
    of.status.conditions.clear();
    world.attachments = vec![of.clone()];
    let absent = Observation::Absent { by_tag: at(95), home: None, by_id: None, deleted: None };
    let plan = reported(&world, &[(&of, absent)]);
    let line = &lines(&plan, "a")[0];
    assert_eq!((line.mark, line.reason.as_str()), (LineKind::Blocked, "ReferenceNotFound"), "{line:?}");
    assert!(line.message.contains("does not exist. Correct the NodeENI"), "{line:?}");

    // The group is missing for a change in place: the ENI is attached, and its phase says so.
    let of_a_change = || {
        let (mut world, mut of) = in_use();
        let group = multi_eni_api::ids::SecurityGroupId::parse("sg-12345678").unwrap();
        world.nodeenis[0].spec.as_mut().unwrap().groups = vec![group];
        refused(&mut of, "ModifyNetworkInterfaceAttribute", 1);
        lines(&reported(&world, &[(&of, settled(&world, &of))]), "a")[0].clone()
    };
    let line = of_a_change();
    assert_eq!((line.mark, line.reason.as_str()), (LineKind::Blocked, "ReferenceNotFound"), "{line:?}");
}

//! What a Node reports of selector terms: a group term that matches nothing, groups that stay on an ENI for a while, and the end of a
//! wait for EC2's answers.

use super::*;
use crate::ec2_terms::{GroupTerm, SubnetTerm, TagTerm};
use crate::named_groups::NamedGroups;
use crate::nodeeni::EniSpec;
use crate::observed::TaggedGroups;
use multi_eni_api::ids::SecurityGroupId;

fn by_tag(value: &str) -> TagTerm {
    TagTerm::read(None, &[("tier".to_owned(), value.to_owned())].into()).unwrap()
}

fn sg(n: usize) -> SecurityGroupId {
    SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap()
}

fn tagged(groups: &[usize], since: i64, is_confirmed: bool) -> TaggedGroups {
    let groups = groups.iter().map(|n| ("vpc-1".to_owned(), sg(*n))).collect();
    TaggedGroups { groups, since: at(since), is_confirmed }
}

/// A NodeENI with an ENI in subnet A, and the spec as edited.
fn world(edit: impl FnOnce(&mut EniSpec)) -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let created = world.assign().create.remove(0);
    let mut attachment = new_attachment("n0", 1, true);
    (attachment.name, attachment.request) = (created.name, created.spec.request.into());
    attachment.status.eni_id = Some("eni-00000001".to_owned());
    set(&mut attachment.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    world.attachments = vec![attachment];
    edit(world.nodeenis[0].spec.as_mut().unwrap());
    world
}

#[test]
fn a_group_term_that_matches_nothing_is_a_problem_that_names_the_groups_of_the_eni() {
    let mut world = world(|spec| {
        spec.group_terms = vec![GroupTerm::Id(sg(1)), GroupTerm::Tags(by_tag("web")), GroupTerm::Tags(by_tag("none"))];
    });
    world.catalog.groups_tagged.insert(by_tag("web"), tagged(&[2], 0, true));
    world.catalog.groups_tagged.insert(by_tag("none"), tagged(&[], 0, true));
    let problem = |world: &World| {
        let assignment = world.assign();
        assert!(assignment.needs.contains(&Need::TaggedGroups(by_tag("none"))) && assignment.recheck.is_some());
        let [(uid, problem)] = assignment.problems.as_slice() else { panic!("{:?}", assignment.problems) };
        assert_eq!((uid.as_str(), problem.reason), ("uid-a", "SecurityGroupNotResolved"));
        problem.message.clone()
    };
    world.groups = vec![sg(1), sg(9)];
    let message = problem(&world);
    for words in ["of vpc-1 matches tag tier=none of", "keeps sg-00000009", "(sg-00000001, sg-00000002)"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("tier=web"), "{message}");
    world.groups = vec![sg(1)];
    let message = problem(&world);
    assert!(!message.contains("keeps") && message.contains("(sg-00000001, sg-00000002) meanwhile"), "{message}");
    // The message stands for several nodes, and not each of them has an ENI.
    assert!(message.contains("an ENI gets the groups of the other terms"), "{message}");
    world.catalog.groups_tagged.insert(by_tag("none"), tagged(&[3], 0, true));
    assert_eq!(world.assign().problems, []);
}

#[test]
fn groups_that_stay_until_ec2_has_confirmed_its_answers_are_named_with_the_end() {
    let mut world = world(|spec| spec.group_terms = vec![GroupTerm::Tags(by_tag("web"))]);
    world.catalog.groups_tagged.insert(by_tag("web"), tagged(&[2], 90, false));
    assert_eq!(world.assign().groups_waits, [], "the ENI has no other group");
    world.groups = vec![sg(2), sg(9)];
    let waits = world.assign();
    assert_eq!((waits.groups_waits[0].groups.as_slice(), waits.groups_waits[0].until), ([sg(9)].as_slice(), at(270)));
    assert_eq!((waits.recheck, waits.problems.len()), (Some(at(270)), 0));
    // The end of the wait needs an answer.
    world.now = at(270);
    let need = Need::TaggedGroupsSince(by_tag("web"), at(270));
    assert!(world.assign().needs.contains(&need), "{:?}", world.assign().needs);
    world.catalog.groups_tagged.insert(by_tag("web"), tagged(&[2], 90, true));
    assert_eq!(world.assign().groups_waits, []);
}

/// Nobody edited the NodeENI.
#[test]
fn groups_stay_while_a_name_stands_for_another_group_than_before() {
    let named = |n: usize| [("vpc-1".to_owned(), sg(n))].into();
    let moved = NamedGroups::first(named(9)).and(named(2), at(90));
    let by_term = world(|spec| spec.group_terms = vec![GroupTerm::Name("web".to_owned())]);
    let by_list = world(|spec| spec.group_names = vec!["web".to_owned()]);
    for mut world in [by_term, by_list] {
        world.groups = vec![sg(9)];
        world.catalog.groups_named.insert("web".to_owned(), moved.clone());
        let waits = world.assign();
        assert_eq!(
            (waits.groups_waits[0].groups.as_slice(), waits.groups_waits[0].until),
            ([sg(9)].as_slice(), at(270))
        );
        assert_eq!(waits.recheck, Some(at(270)));
        world.now = at(270);
        assert!(world.assign().needs.contains(&Need::GroupSince("web".to_owned(), at(270))));
        world.catalog.groups_named.insert("web".to_owned(), moved.and(named(2), at(270)));
        assert_eq!(world.assign().groups_waits, []);
    }
}

#[test]
fn an_edit_of_the_terms_waits_for_one_lookup_and_says_until_when() {
    let mut world = world(|spec| {
        spec.subnets.clear();
        spec.subnet_terms = vec![SubnetTerm::Tags(by_tag("db"))];
        spec.group_names = vec!["web".to_owned()];
    });
    world.interfaces.as_mut().unwrap().as_of = world.now;
    let b = SubnetId::parse(SUBNET_B).unwrap();
    world.catalog.subnets_tagged.insert(by_tag("db"), [b].into());
    world.catalog.groups_named.insert("web".to_owned(), NamedGroups::first([].into()));
    world.term_edits = [("uid-a".to_owned(), at(95))].into();
    let a = SubnetId::parse(SUBNET_A).unwrap();
    let waits = world.assign();
    let [Unassigned { why: UnassignedReason::SubnetUnconfirmed { until, is_edit, bare_zone, .. }, .. }] =
        waits.refused.as_slice()
    else {
        panic!("{:?}", waits.refused)
    };
    assert_eq!((*until, *is_edit, bare_zone.as_deref(), waits.recheck), (at(110), true, None, Some(at(110))));
    // The group that cannot be resolved is said meanwhile.
    assert!(waits.problems.iter().any(|(_, problem)| problem.reason == "SecurityGroupNotResolved"), "{waits:?}");
    world.catalog.groups_named.insert("web".to_owned(), NamedGroups::first([("vpc-1".to_owned(), sg(1))].into()));
    assert_eq!(world.assign().problems, []);
    world.now = at(110);
    assert!(world.assign().needs.contains(&Need::SubnetSince(a.clone(), at(110))));
    // The answer shows the tags from before the edit.
    world.catalog.subnets.get_mut(&a).unwrap().as_of = at(110);
    world.interfaces.as_mut().unwrap().as_of = world.now;
    let answered = world.assign();
    assert_eq!((answered.outdated.len(), answered.delete.len()), (1, 0), "it waits for its turn: {answered:?}");
}

#[test]
fn an_unknown_subnet_and_a_wrong_group_are_said_together() {
    let mut world = world(|spec| spec.group_names = vec!["web".to_owned()]);
    world.catalog.groups_named.insert("web".to_owned(), NamedGroups::first([].into()));
    let a = SubnetId::parse(SUBNET_A).unwrap();
    world.catalog.subnets.remove(&a);
    world.catalog.missing_subnets.insert(a, at(0));
    let assignment = world.assign();
    assert_eq!(assignment.refused[0].why.reason(), "SubnetNotFound");
    assert_eq!(assignment.problems[0].1.reason, "SecurityGroupNotResolved");
}

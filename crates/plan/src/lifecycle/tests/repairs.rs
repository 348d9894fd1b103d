//! Changes in place, and what others undo.

use super::*;
use crate::named_groups::NamedGroups;

#[test]
fn delete_on_termination_is_repaired_after_ready() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.delete_on_termination = false;
    let step = world.step();
    assert!(
        matches!(step.action, Action::Modify { change: Change::DeleteOnTermination { value: false, .. }, .. }),
        "{step:?}"
    );
    assert!(is_true(&step.status.conditions, types::READY), "off the path to Ready");
}

#[test]
fn groups_by_name_are_repaired_once_the_names_are_looked_up() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    let web = SecurityGroupId::parse("sg-00000001").unwrap();
    world.spec.group_names = vec!["web".to_owned()];
    assert_eq!(world.step().action, Action::Settled, "not looked up yet");
    world.catalog.groups_named.insert("web".into(), NamedGroups::first([("vpc-2".to_owned(), web.clone())].into()));
    assert_eq!(world.step().action, Action::Settled, "no such group in its VPC");
    world.catalog.groups_named.insert("web".into(), NamedGroups::first([("vpc-1".to_owned(), web.clone())].into()));
    let change = Change::Groups(vec![web]);
    assert!(matches!(world.step().action, Action::Modify { change: found, .. } if found == change));
}

#[test]
fn groups_by_terms_are_repaired_in_place_and_one_answer_takes_no_group_off() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    let [web, db] = ["sg-00000001", "sg-00000002"].map(|id| SecurityGroupId::parse(id).unwrap());
    let term = TagTerm::read(None, &[("tier".to_owned(), "*".to_owned())].into()).unwrap();
    world.spec.group_terms = vec![GroupTerm::Tags(term.clone())];
    let answer = |world: &mut World, groups: &[&SecurityGroupId], is_confirmed: bool| {
        let groups = groups.iter().map(|id| ("vpc-1".to_owned(), (*id).clone())).collect();
        world.catalog.groups_tagged.insert(term.clone(), TaggedGroups { groups, since: at(0), is_confirmed });
        match world.step().action {
            Action::Modify { change: Change::Groups(groups), .. } => Some(groups),
            Action::Settled => None,
            other => panic!("{other:?}"),
        }
    };
    // The ENI of these tests has no group.
    assert_eq!(answer(&mut world, &[&db, &web], false), Some(vec![web.clone(), db.clone()]));
    let Observation::Seen(eni) = &mut world.observation else { panic!("the ENI is shown") };
    eni.groups = vec![web.clone(), db.clone()];
    assert_eq!(answer(&mut world, &[&web, &db], true), None);
    assert_eq!(answer(&mut world, &[&web], false), None, "a partial answer");
    assert_eq!(answer(&mut world, &[], true), None, "no group matches: the old groups stay");
    assert_eq!(answer(&mut world, &[&web], true), Some(vec![web.clone()]));
}

/// Two controllers, or a controller and a policy of the account, undo each other's changes.
#[test]
fn a_repair_that_does_not_last_backs_off_and_is_reported() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.source_dest_check = false;
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        if let Action::Modify { change, .. } = world.step().action {
            world.call_history.sends_change(&change, Some(&world.spec), world.now);
            world.call_history.succeeded(Call::Modify, world.now);
            sent.push(seconds);
        }
    }
    assert!(sent.len() <= 22, "{sent:?}");
    let status = world.step().status;
    let error = status.last_error.unwrap();
    assert!(error.code == "RepairUndone" && error.message.contains("sourceDestCheck"), "{error:?}");
    assert!(is_true(&status.conditions, types::READY));
    // A change that lasted for an hour was not undone.
    world.now = at(sent.last().unwrap() + 3600);
    world.set_shown_at(sent.last().unwrap() + 3600);
    assert!(matches!(world.step().action, Action::Modify { .. }));
    assert!(world.step().status.last_error.is_none());
}

/// A tool of the account detaches ENIs that it does not know.
#[test]
fn an_eni_that_is_detached_repeatedly_backs_off_and_is_reported() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status.attachment_id = Some("eni-attach-1".into());
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        // The ENI is detached as soon as it is attached.
        world.observation = seen(None);
        world.set_shown_at(seconds);
        if let Action::Attach { .. } = world.step().action {
            world.call_history.sends_attach(world.attachment.status.attachment_id.as_deref());
            world.call_history.succeeded(Call::Attach, world.now);
            sent.push(seconds);
        }
    }
    assert!(sent.len() <= 22 && sent[3] < 40, "{sent:?}");
    let last = *sent.last().unwrap();
    world.observation = seen(Some(AttachmentState::Attached));
    world.spec.delete_on_termination = true;
    world.set_shown_at(last + 10);
    world.now = at(last + 10);
    let there = world.step();
    let error = there.status.last_error.as_ref().unwrap();
    assert!(error.code == "RepairUndone" && error.message.contains("DetachNetworkInterface"), "{error:?}");
    assert_eq!((there.action, there.recheck), (Action::Settled, Some(at(last + 900))));
    assert!(is_true(&there.status.conditions, types::READY));
    world.now = at(last + 900);
    world.set_shown_at(last + 900);
    assert!(world.step().status.last_error.is_none(), "it stayed");
}

/// This process itself detaches an ENI whose attachment is stuck.
#[test]
fn a_detach_by_this_process_does_not_count_as_undone() {
    let mut call_history = CallHistory::made(at(10));
    for n in 0..6 {
        call_history.sends_detach("eni-attach-1", false, true);
        call_history.succeeded(Call::Detach, at(20 + n));
        call_history.sends_attach(Some("eni-attach-1"));
        call_history.succeeded(Call::Attach, at(21 + n));
    }
    assert_eq!(call_history.repairs.undone_often(at(30)), None);
    call_history.sends_attach(None);
    call_history.succeeded(Call::Attach, at(31));
    assert_eq!(call_history.repairs.detached(at(32)), None, "it is the first time");
}

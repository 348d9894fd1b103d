//! Why an ENI is changed in place: an edit of the NodeENI, drift, or the Attach before.

use super::*;
use crate::ec2_errors::CallError;
use multi_eni_api::names;

fn group(n: u32) -> SecurityGroupId {
    SecurityGroupId::parse(&format!("sg-{n:08}")).unwrap()
}

/// An attached ENI that was created as its NodeENI asks.
fn world() -> World {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.groups = vec![group(1)];
    world.spec.description = "data".into();
    world.attachment.request.security_group_ids = vec![group(1).to_string()];
    world.attachment.request.description = "data".into();
    set(&mut world, |eni| {
        eni.groups = vec![group(1)];
        eni.description = "data".into();
    });
    world
}

fn set(world: &mut World, change: impl FnOnce(&mut ObservedEni)) {
    let Observation::Seen(eni) = &mut world.observation else { panic!("not seen") };
    change(eni);
}

/// Decides some minutes later until nothing is to be changed, and lets EC2 accept each change. Returns the changes with their causes.
fn changes(world: &mut World) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let now = world.now + SignedDuration::from_mins(5);
    world.now = now;
    set(world, |eni| eni.shown_at = now);
    loop {
        let step = world.step();
        world.agreement = step.agreement;
        let Action::Modify { change, cause, .. } = step.action else { return found };
        found.push((change.attribute().name(), cause.name()));
        world.call_history.sends_change(&change, Some(&world.spec), world.now);
        world.call_history.succeeded(change.call(), world.now);
        set(world, |eni| change.apply(eni));
    }
}

#[test]
fn a_change_by_hand_is_drift_and_a_new_value_in_the_spec_is_an_edit() {
    let mut world = world();
    assert_eq!(changes(&mut world), []);
    set(&mut world, |eni| eni.groups = vec![group(2)]);
    assert_eq!(changes(&mut world), [("securityGroups", "drift")]);
    world.spec.groups = vec![group(3)];
    assert_eq!(changes(&mut world), [("securityGroups", "edit")]);
    // The value from before the edit is set by hand, and another attribute is edited at the same time.
    set(&mut world, |eni| eni.groups = vec![group(1)]);
    world.spec.description = "other".into();
    assert_eq!(changes(&mut world), [("securityGroups", "drift"), ("description", "edit")]);
    // An edit back to the value of the request is an edit.
    world.spec.groups = vec![group(1)];
    assert_eq!(changes(&mut world), [("securityGroups", "edit")]);
}

/// A repair that was refused does not become an edit, and an edit that was refused does not become drift.
#[test]
fn a_refused_change_keeps_its_cause() {
    let mut world = world();
    assert_eq!(changes(&mut world), []);
    for (by_hand, cause) in [(true, Cause::Drift), (false, Cause::Edit)] {
        match by_hand {
            true => set(&mut world, |eni| eni.groups = vec![group(2)]),
            false => world.spec.groups = vec![group(3)],
        }
        for seconds in [100, 1000] {
            world.now = at(seconds);
            world.set_shown_at(seconds);
            let step = world.step();
            world.agreement = step.agreement;
            let Action::Modify { change, cause: found, .. } = step.action else { panic!("{step:?}") };
            assert_eq!(found, cause);
            world.call_history.sends_change(&change, Some(&world.spec), world.now);
            let refused = CallError::Answered { code: "InternalError".into(), message: "no".into() };
            world.call_history.failed(Call::Modify, &refused, world.now);
        }
        // EC2 accepts it in the end.
        world.now = at(5000);
        world.set_shown_at(5000);
        assert_eq!(changes(&mut world), [("securityGroups", cause.name())]);
    }
}

#[test]
fn delete_on_termination_after_each_attach_is_no_drift() {
    let attach_anew = |world: &mut World, id: &str| {
        set(world, |eni| {
            let at = eni.attachment.as_mut().unwrap();
            at.id = id.into();
            at.delete_on_termination = false;
        });
    };
    let mut world = world();
    world.spec.source_dest_check = false;
    attach_anew(&mut world, "eni-attach-1");
    assert_eq!(changes(&mut world), [("deleteOnTermination", "attach"), ("sourceDestCheck", "attach")]);
    let by_hand = |eni: &mut ObservedEni| {
        eni.attachment.as_mut().unwrap().delete_on_termination = false;
        eni.source_dest_check = true;
    };
    set(&mut world, by_hand);
    assert_eq!(changes(&mut world), [("deleteOnTermination", "drift"), ("sourceDestCheck", "drift")]);
    // A new attachment has EC2's default again; the attributes of the ENI stay.
    attach_anew(&mut world, "eni-attach-2");
    assert_eq!(changes(&mut world), [("deleteOnTermination", "attach")]);
    world.spec.delete_on_termination = false;
    world.spec.source_dest_check = true;
    assert_eq!(changes(&mut world), [("deleteOnTermination", "edit"), ("sourceDestCheck", "edit")]);
    // Nothing is to be changed after this Attach. Somebody sets it.
    attach_anew(&mut world, "eni-attach-3");
    assert_eq!(changes(&mut world), []);
    set(&mut world, |eni| eni.attachment.as_mut().unwrap().delete_on_termination = true);
    assert_eq!(changes(&mut world), [("deleteOnTermination", "drift")]);
}

/// A new process has not seen the ENI as it should be. The request says how the ENI was created.
#[test]
fn a_new_process_compares_with_the_request() {
    let changed = |edit: &dyn Fn(&mut World)| {
        let mut world = world();
        world.attachment.request.tags = [("team".to_owned(), "net".to_owned())].into();
        world.attachment.status.tags_set = [("cost".to_owned(), "1".to_owned())].into();
        world.spec.tags = [("team".to_owned(), "net".to_owned()), ("cost".to_owned(), "1".to_owned())].into();
        let carried = tags_of(&world);
        set(&mut world, |eni| eni.tags.extend(carried));
        edit(&mut world);
        changes(&mut world)
    };
    assert_eq!(changed(&|_| ()), []);
    assert_eq!(changed(&|world| set(world, |eni| eni.groups = Vec::new())), [("securityGroups", "drift")]);
    assert_eq!(changed(&|world| world.spec.groups = vec![group(2)]), [("securityGroups", "edit")]);
    assert_eq!(changed(&|world| set(world, |eni| eni.description = "x".into())), [("description", "drift")]);
    let tag = |value: &'static str| move |world: &mut World| set(world, |eni| eni.tags.insert("cost", value));
    assert_eq!(changed(&tag("2")), [("tags", "drift")]);
    let edit = |world: &mut World| drop(world.spec.tags.insert("cost".to_owned(), "2".to_owned()));
    assert_eq!(changed(&edit), [("tags", "edit")]);
    // The spec has a new tag, which the ENI has already. Only the tag that is set counts.
    let other_edit = |world: &mut World| {
        world.spec.tags.insert("stage".to_owned(), "prod".to_owned());
        set(world, |eni| eni.tags.extend([("stage", "prod"), ("cost", "2")]));
    };
    assert_eq!(changed(&other_edit), [("tags", "drift")]);
    // The default of Name contains the Node's name, which nobody remembers.
    assert_eq!(changed(&|world| set(world, |eni| eni.tags.remove("Name"))), [("tags", "edit")]);
    // What the ENI had before it was adopted says nothing.
    let adopted = |world: &mut World| {
        world.attachment.adopted = Some(eni(1).id);
        set(world, |eni| eni.groups = vec![group(2)]);
    };
    assert_eq!(changed(&adopted), [("securityGroups", "edit")]);
}

fn tags_of(world: &World) -> Vec<(String, String)> {
    world.spec.tags.clone().into_iter().collect()
}

/// The controller's own tags have other values after these edits. Nobody changed the ENI.
fn renamings() -> [fn(&mut World); 2] {
    // The instance registers under another Node name, and the ENIAttachment follows it.
    let follow = |world: &mut World| world.attachment.node = "n1".into();
    let cluster_name = |world: &mut World| world.cluster.name = "renamed".into();
    [follow, cluster_name]
}

#[test]
fn another_name_of_the_node_or_of_the_cluster_is_an_edit() {
    for rename in renamings() {
        let mut world = world();
        assert_eq!(changes(&mut world), []);
        rename(&mut world);
        assert_eq!(changes(&mut world), [("tags", "edit")]);
        set(&mut world, |eni| eni.tags.insert(names::TAG_NODE, "by hand"));
        assert_eq!(changes(&mut world), [("tags", "drift")]);
    }
}

/// A process with another `--cluster-name` is new.
#[test]
fn another_name_of_the_node_or_of_the_cluster_is_an_edit_for_a_new_process() {
    for rename in renamings() {
        let mut world = world();
        rename(&mut world);
        assert_eq!(changes(&mut world), [("tags", "edit")]);
    }
}

/// These tags have the value of the Create as long as the ENI exists.
#[test]
fn a_tag_that_cannot_get_another_value_is_drift_for_a_new_process() {
    for key in [names::TAG_NODEENI, names::TAG_NODEENI_UID, names::TAG_NO_MANAGE] {
        let mut world = world();
        set(&mut world, |eni| eni.tags.remove(key));
        assert_eq!(changes(&mut world), [("tags", "drift")], "{key}");
    }
}

#[test]
fn other_groups_of_the_same_names_are_an_edit() {
    let mut world = world();
    world.spec.groups = Vec::new();
    let term = TagTerm::read(None, &[("tier".to_owned(), "*".to_owned())].into()).unwrap();
    world.spec.group_terms = vec![GroupTerm::Tags(term.clone())];
    let answer = |world: &mut World, found: u32| {
        let groups = [("vpc-1".to_owned(), group(found))].into();
        world.catalog.groups_tagged.insert(term.clone(), TaggedGroups { groups, since: at(0), is_confirmed: true });
    };
    answer(&mut world, 1);
    assert_eq!(changes(&mut world), []);
    answer(&mut world, 2);
    assert_eq!(changes(&mut world), [("securityGroups", "edit")]);
    set(&mut world, |eni| eni.groups = vec![group(1)]);
    assert_eq!(changes(&mut world), [("securityGroups", "drift")]);
}

/// There is one for each of tens of thousands of ENIs.
#[test]
fn an_agreement_is_small() {
    assert_eq!(size_of::<Agreement>(), 28);
}

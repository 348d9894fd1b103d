//! Tags that are taken out of `spec.tags`.

use super::*;
use crate::lifecycle::Change;
use std::collections::BTreeMap;

fn set(world: &mut World, change: impl FnOnce(&mut ObservedEni)) {
    let Observation::Seen(seen) = &mut world.observation else { panic!("not seen") };
    change(seen);
}

/// An attached ENI that was created with the user's tags `team=blue` and `cost=1`.
fn tagged() -> World {
    let mut world = World::new(Observation::Absent { by_tag: at(0), home: None, by_id: None, deleted: None });
    let users = BTreeMap::from([("team".to_owned(), "blue".to_owned()), ("cost".to_owned(), "1".to_owned())]);
    world.attachment.request.tags = users.clone();
    world.spec.tags = users;
    let carried = tags(&cluster(), &world.attachment).into_iter().collect();
    let shown = ObservedEni { tags: carried, attachment: Some(attachment(AttachmentState::Attached)), ..eni(1) };
    world.attachment.status.eni_id = Some(shown.id.to_string());
    world.observation = Observation::Seen(Box::new(shown));
    world
}

fn change(world: &World) -> Option<Change> {
    match world.step().action {
        Action::Modify { change, .. } => Some(change),
        Action::Settled => None,
        other => panic!("{other:?}"),
    }
}

fn untag(keys: &[&str]) -> Option<Change> {
    Some(Change::Untag(keys.iter().map(|key| (*key).to_owned()).collect()))
}

#[test]
fn a_tag_removed_from_the_spec_is_removed_from_the_eni() {
    let mut world = tagged();
    assert_eq!(change(&world), None);
    world.spec.tags.remove("team");
    assert_eq!(change(&world), untag(&["team"]));
    set(&mut world, |seen| seen.tags.remove("team"));
    assert_eq!(change(&world), None, "a tag of the immutable request is not restored");
    // Both tags are removed at once. The tag Name returns to its default.
    world.spec.tags.clear();
    assert_eq!(change(&world), untag(&["cost"]));
}

#[test]
fn a_tag_that_others_set_stays() {
    let mut world = tagged();
    set(&mut world, |seen| seen.tags.insert("backup", "yes"));
    assert_eq!(change(&world), None);
    world.spec.tags.remove("cost");
    set(&mut world, |seen| seen.tags.insert("cost", "by another"));
    assert_eq!(change(&world), None, "another actor has set another value since");
}

#[test]
fn a_tag_that_was_added_later_is_recorded_and_removed() {
    let mut world = tagged();
    world.spec.tags.insert("stage".into(), "prod".into());
    world.spec.tags.insert("cost".into(), "2".into());
    let step = world.step();
    let added = BTreeMap::from([("cost".to_owned(), "2".to_owned()), ("stage".to_owned(), "prod".to_owned())]);
    assert!(matches!(&step.action, Action::Modify { change: Change::Tags(set), .. } if *set == added), "{step:?}");
    assert_eq!(step.status.tags_set, added);
    world.attachment.status = step.status;
    set(&mut world, |seen| seen.tags.extend(added));
    assert_eq!(change(&world), None);
    world.spec.tags.remove("stage");
    world.spec.tags.remove("cost");
    assert_eq!(change(&world), untag(&["cost", "stage"]));
}

#[test]
fn a_name_removed_from_the_spec_returns_to_the_default() {
    let mut world = tagged();
    world.attachment.request.tags.insert("Name".into(), "mine".into());
    set(&mut world, |seen| seen.tags.insert("Name", "mine"));
    assert_eq!(
        change(&world),
        Some(Change::Tags(BTreeMap::from([(
            "Name".to_owned(),
            tags(&cluster(), &tagged().attachment)["Name"].clone()
        )])))
    );
}

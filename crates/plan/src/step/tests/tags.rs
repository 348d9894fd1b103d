//! Tags that are taken out of `spec.tags`.

use super::*;
use crate::step::Change;
use std::collections::BTreeMap;

fn set(world: &mut World, change: impl FnOnce(&mut EniSeen)) {
    let Sight::Seen(seen) = &mut world.sight else { panic!("not seen") };
    change(seen);
}

/// Attached, made with `team=blue` and `cost=1` of the user's.
fn tagged() -> World {
    let mut world = World::new(Sight::Absent { by_tag: at(0), home: None, by_id: None, deleted: None });
    let users = BTreeMap::from([("team".to_owned(), "blue".to_owned()), ("cost".to_owned(), "1".to_owned())]);
    world.held.request.tags = users.clone();
    world.ask.tags = users;
    let carried = tags(&cluster(), &world.held).into_iter().collect();
    let shown = EniSeen { tags: carried, attachment: Some(attachment(AttachmentState::Attached)), ..eni(1) };
    world.held.status.eni_id = Some(shown.id.to_string());
    world.sight = Sight::Seen(Box::new(shown));
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
fn a_tag_that_leaves_the_spec_leaves_the_eni_and_does_not_come_back() {
    let mut world = tagged();
    assert_eq!(change(&world), None);
    world.ask.tags.remove("team");
    assert_eq!(change(&world), untag(&["team"]));
    set(&mut world, |seen| seen.tags.remove("team"));
    assert_eq!(change(&world), None, "what the request froze is not put back");
    // Both at once; a Name goes back to the usual one.
    world.ask.tags.clear();
    assert_eq!(change(&world), untag(&["cost"]));
}

#[test]
fn what_others_set_stays() {
    let mut world = tagged();
    set(&mut world, |seen| seen.tags.insert("backup", "yes"));
    assert_eq!(change(&world), None);
    world.ask.tags.remove("cost");
    set(&mut world, |seen| seen.tags.insert("cost", "by another"));
    assert_eq!(change(&world), None, "somebody else has set it to something else since");
}

#[test]
fn a_tag_that_was_added_later_is_remembered_and_goes_too() {
    let mut world = tagged();
    world.ask.tags.insert("stage".into(), "prod".into());
    world.ask.tags.insert("cost".into(), "2".into());
    let step = world.step();
    let added = BTreeMap::from([("cost".to_owned(), "2".to_owned()), ("stage".to_owned(), "prod".to_owned())]);
    assert!(matches!(&step.action, Action::Modify { change: Change::Tags(set), .. } if *set == added), "{step:?}");
    assert_eq!(step.status.tags_set, added);
    world.held.status = step.status;
    set(&mut world, |seen| seen.tags.extend(added));
    assert_eq!(change(&world), None);
    world.ask.tags.remove("stage");
    world.ask.tags.remove("cost");
    assert_eq!(change(&world), untag(&["cost", "stage"]));
}

#[test]
fn a_name_of_the_users_gives_way_to_the_usual_one() {
    let mut world = tagged();
    world.held.request.tags.insert("Name".into(), "mine".into());
    set(&mut world, |seen| seen.tags.insert("Name", "mine"));
    assert_eq!(
        change(&world),
        Some(Change::Tags(BTreeMap::from([("Name".to_owned(), tags(&cluster(), &tagged().held)["Name"].clone())])))
    );
}

//! ENIs that labels or an edit remove are deleted when the removal pace permits it for the node.

use super::*;
use crate::node_selector::NodeSelectorTerm;
use crate::removals::Cause;
use crate::rollout::Turn;

/// A node whose ENI is attached; `subnets` are those that the spec lists now.
fn attached(subnets: &[&str]) -> World {
    let mut world = World::new(vec![nodeeni("a", 1, subnets)]);
    let mut attachment = new_attachment("n0", 1, true);
    set(&mut attachment.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    world.attachments = vec![attachment];
    world.removals = RemovalPermits::default();
    world
}

fn deselect(world: &mut World) {
    world.node.as_mut().unwrap().labels = StringMap::default();
    world.attachments[0].deselected_since = Some(at(0));
}

fn losing(assignment: &Assignment) -> Option<Cause> {
    assignment.of_nodeeni("uid-a").losing
}

#[test]
fn a_deselected_node_keeps_its_eni_until_its_turn() {
    let mut world = attached(&[SUBNET_A]);
    deselect(&mut world);
    let waits = world.assign();
    assert_eq!((waits.delete.len(), losing(&waits)), (0, Some(Cause::Deselected)));
    assert!(waits.nodeenis().contains(&"uid-a".to_owned()), "its NodeENI is reconciled");
    world.removals.set("uid-a", ["n0".to_owned()].into());
    assert_eq!(
        world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(),
        [RemovalReason::Deselected]
    );
}

#[test]
fn an_edited_term_is_paced_as_an_edited_selector_is() {
    let term = |value: &str| {
        let match_labels = Some([("ng".to_owned(), value.to_owned())].into());
        NodeSelectorTerm::read(&multi_eni_api::NodeSelectorTerm { match_labels, ..Default::default() }).unwrap()
    };
    let mut world = attached(&[SUBNET_A]);
    let edit = |world: &mut World, terms: &[&str]| {
        world.nodeenis[0].spec.as_mut().unwrap().selector_terms = terms.iter().map(|value| term(value)).collect();
    };
    edit(&mut world, &["other", "multi-eni"]);
    let selected = world.assign();
    assert_eq!((selected.matched.len(), selected.delete.len(), selected.deselect.len()), (1, 0, 0));
    edit(&mut world, &["other"]);
    let edited = world.assign();
    assert_eq!((edited.matched.len(), edited.delete.len(), edited.deselect.len()), (0, 0, 1), "it is marked first");
    world.attachments[0].deselected_since = Some(at(0));
    let waits = world.assign();
    assert_eq!((waits.delete.len(), losing(&waits)), (0, Some(Cause::Deselected)));
    // nodeSelector must match, too.
    edit(&mut world, &["multi-eni"]);
    world.nodeenis[0].spec.as_mut().unwrap().selector = [("ng".to_owned(), "x".to_owned())].into();
    assert_eq!(losing(&world.assign()), Some(Cause::Deselected));
}

#[test]
fn labels_that_match_again_keep_the_eni() {
    let mut world = attached(&[SUBNET_A]);
    world.attachments[0].deselected_since = Some(at(0));
    let undone = world.assign();
    assert_eq!((undone.delete.len(), undone.reselect.len(), losing(&undone)), (0, 1, None));
}

#[test]
fn a_subnet_that_is_taken_off_the_list_is_paced() {
    // The only listed subnet is in another zone: no new ENI comes in the place of the existing one.
    let mut world = attached(&["subnet-00000003"]);
    let waits = world.assign();
    assert_eq!((waits.delete.len(), losing(&waits)), (0, Some(Cause::Edited)));
    world.removals.set("uid-a", ["n0".to_owned()].into());
    assert_eq!(world.assign().delete.iter().map(|removal| removal.why).collect::<Vec<_>>(), [RemovalReason::Surplus]);
}

#[test]
fn an_eni_without_traffic_and_the_enis_of_deleted_objects_are_not_paced() {
    let mut world = attached(&[SUBNET_A]);
    deselect(&mut world);
    world.attachments[0].status.conditions.clear();
    assert_eq!(world.assign().delete.len(), 1, "it was never attached");
    world.attached_on_ec2.insert(world.attachments[0].name.clone());
    assert_eq!(world.assign().delete.len(), 0, "EC2 shows the ENI attached, and the status does not show this yet");
    world.attached_on_ec2.clear();
    world.attachments[0].adopted = EniId::parse("eni-00000001").ok();
    assert_eq!(world.assign().delete.len(), 0, "the ENI was adopted in its slot");

    let mut world = attached(&[SUBNET_A]);
    world.nodeenis[0].deleting = true;
    assert_eq!(world.assign().delete.len(), 1, "the NodeENI is deleted");

    let mut world = attached(&[SUBNET_A]);
    world.node = None;
    world.attachments[0].deselected_since = Some(at(0));
    world.state = Some(InstanceObservation::first(InstanceState::Terminated, at(50)));
    assert_eq!(world.assign().delete.len(), 1, "the Node is gone");
}

#[test]
fn an_eni_that_came_into_use_after_the_permit_waits_for_its_turn() {
    let mut world = attached(&[SUBNET_B]);
    world.permits = [("uid-a".to_owned(), [("n0".to_owned(), Turn { had: 0, may_lose: true })].into())].into();
    assert!(world.assign().delete.is_empty());
    world.permits = [("uid-a".to_owned(), [("n0".to_owned(), Turn { had: 1, may_lose: true })].into())].into();
    assert_eq!(world.assign().delete.len(), 1);
}

#[test]
fn a_node_with_surplus_and_outdated_enis_is_unchanged_until_its_turn() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.attachments = (1..=3).map(|index| new_attachment("n0", index + 4, true)).collect();
    for attachment in &mut world.attachments {
        set(&mut attachment.status.conditions, ConditionUpdate::new(types::ATTACHED, true, "Test", ""), None, at(0));
    }
    world.permits = [("uid-a".to_owned(), [("n0".to_owned(), Turn { had: 3, may_lose: true })].into())].into();
    world.removals = RemovalPermits::default();
    let waits = world.assign();
    assert_eq!((waits.delete.len(), losing(&waits), waits.outdated.len()), (0, Some(Cause::Edited), 0), "{waits:?}");
    world.removals.set("uid-a", ["n0".to_owned()].into());
    let goes = world.assign();
    assert_eq!(goes.delete.len(), 3, "two ENIs are removed, and one is replaced");
    world.permits.clear();
    assert_eq!(world.assign().delete.len(), 2, "the third waits for the rollout");
}

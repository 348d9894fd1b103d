//! Several Nodes of one instance.

use super::*;

/// The same instance under another name, registered later.
fn renamed() -> ObservedNode {
    let old = World::new(vec![]).node.unwrap();
    ObservedNode { name: "n9".into(), uid: "uid-n9".into(), created: at(50), ..old }
}

fn settled() -> World {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world
}

#[test]
fn the_older_node_counts_and_the_other_gets_nothing_and_is_reported() {
    let mut world = settled();
    world.others = vec![renamed()];
    let counted = world.assign();
    assert!(counted.is_settled() && counted.needs.is_empty() && counted.problems.is_empty(), "{counted:?}");
    (world.node, world.others) = (Some(renamed()), vec![world.node.clone().unwrap()]);
    world.attachments.clear();
    let other = world.assign();
    assert!(other.is_settled() && other.needs.is_empty() && other.matched.is_empty(), "{other:?}");
    assert_eq!((other.recheck, other.problems[0].1.reason), (None, DUPLICATE_NODE));
    let message = &other.problems[0].1.message;
    assert!(message.contains("n0 counts"), "{message}");
    // A Node that is being deleted counts last.
    world.others[0].deleting = true;
    assert_eq!(world.assign().matched, ["uid-a"]);
}

#[test]
fn when_the_old_node_is_gone_its_eniattachments_move_to_the_new_node_and_keep_their_enis() {
    let mut world = settled();
    world.node = Some(renamed());
    // The ENIAttachment was deselected for a moment.
    world.attachments[0].deselected_since = Some(at(60));
    let next = world.assign();
    assert_eq!(
        (&next.follow, &next.reselect),
        (&vec![world.attachments[0].name.clone()], &vec![world.attachments[0].name.clone()])
    );
    assert!(next.create.is_empty() && next.delete.is_empty() && next.deselect.is_empty(), "{next:?}");
}

#[test]
fn an_eni_that_either_node_selects_is_not_removed() {
    let mut world = settled();
    world.others = vec![renamed()];
    world.node.as_mut().unwrap().labels = [("ng", "other")].into();
    assert!(world.assign().is_settled());
    world.others[0].labels = [("ng", "other")].into();
    assert_eq!(world.assign().deselect.len(), 1);
}

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

/// The world of the younger Node `n9`, with the labels `ng` of both Nodes.
fn younger(nodeenis: Vec<NodeEni>, counting: &str, duplicate: &str) -> World {
    let mut world = World::new(nodeenis);
    let labels = |of: ObservedNode, ng: &str| ObservedNode { labels: [("ng", ng)].into(), ..of };
    world.others = vec![labels(world.node.clone().unwrap(), counting)];
    world.node = Some(labels(renamed(), duplicate));
    world
}

fn reported(assignment: &Assignment) -> Vec<(&str, &str)> {
    let problems = assignment.problems.iter();
    problems.map(|(uid, problem)| (uid.as_str(), problem.message.split_once("reports for").unwrap().1)).collect()
}

#[test]
fn only_nodeenis_that_select_one_of_the_nodes_are_concerned_and_the_message_says_what_follows_for_them() {
    let both = ": the ENIs stay attached and move to the remaining Node";
    let counting = ". The NodeENI selects only n0: give n9 the labels before you delete n0, to keep the ENIs";
    let duplicate = ". The NodeENI selects only n9, which gets its ENIs when n0 is gone";
    for (labels, said) in [
        (("multi-eni", "multi-eni"), vec![("uid-a", both)]),
        (("multi-eni", "other"), vec![("uid-a", counting)]),
        (("other", "multi-eni"), vec![("uid-a", duplicate)]),
        (("other", "other"), vec![]),
    ] {
        let world = younger(vec![nodeeni("a", 1, &[SUBNET_A])], labels.0, labels.1);
        let decision = world.assign();
        assert_eq!(reported(&decision), said, "{labels:?}");
        assert!(decision.is_settled() && decision.matched.is_empty() && decision.refused.is_empty(), "{decision:?}");
    }
}

#[test]
fn a_nodeeni_that_does_not_cover_the_instance_is_not_concerned() {
    let nodeenis = || vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("far", 1, &["subnet-00000003"])];
    for duplicate in ["multi-eni", "other"] {
        let decision = younger(nodeenis(), "multi-eni", duplicate).assign();
        assert_eq!(reported(&decision).iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), ["uid-a"], "{duplicate}");
        assert!(decision.is_settled() && decision.matched.is_empty() && decision.needs.is_empty(), "{decision:?}");
    }
    let mut managed = younger(nodeenis(), "multi-eni", "multi-eni");
    managed.interfaces.as_mut().unwrap().operator = Some("eks.amazonaws.com".into());
    assert_eq!(managed.assign().problems, [], "the instance can have no ENI");
}

#[test]
fn before_the_lookup_of_its_subnets_a_nodeeni_waits_and_is_not_concerned_unless_it_has_an_eni_there() {
    let unknown = |counting: &str, duplicate: &str| {
        let mut world = younger(vec![nodeeni("a", 1, &[SUBNET_A])], counting, duplicate);
        world.catalog.subnets.clear();
        world
    };
    let mut world = unknown("other", "multi-eni");
    let waits = world.assign();
    let reason =
        |assignment: &Assignment| assignment.refused.iter().map(|refusal| refusal.why.reason()).collect::<Vec<_>>();
    assert_eq!((waits.problems.len(), reason(&waits), waits.matched.len()), (0, vec!["Looking"], 1));
    assert_eq!(waits.needs.len(), 1, "{:?}", waits.needs);
    // The Node that counts says the same.
    let waits = unknown("multi-eni", "other").assign();
    assert_eq!((waits.problems.len(), reason(&waits), waits.matched.len()), (0, vec![], 0));
    world.attachments = vec![new_attachment("n0", 1, true)];
    assert_eq!(reported(&world.assign()).len(), 1, "after a start of the controller");
}

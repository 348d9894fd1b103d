//! What `plan` and `explain` say of an entry of a list of subnets that EC2 does not know.

use super::*;

const MISSING: &str = "subnet-0000dead";

#[test]
fn it_is_said_once_for_the_nodeeni_and_names_only_nodes_that_lack_an_eni() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A, MISSING])]);
    world.catalog.missing_subnets.insert(SubnetId::parse(MISSING).unwrap(), at(0));
    let mut of = new_attachment("n0", 1, true);
    of.name = world.assign().create[0].name.clone();
    of.request = world.assign().create[0].spec.request.clone().into();
    world.attachments = vec![of.clone()];
    // Three Nodes have their ENIs.
    let mut assignments: BTreeMap<String, Assignment> =
        ["n0", "n1", "n2"].map(|name| (name.to_owned(), world.assign())).into();
    let seen = [(&of, Observation::Seen(Box::new(attached(&of))))];
    let mut plan = reported_with(&world, &seen, &assignments);
    plan.node_enis.retain(|entry| entry.name == "a");
    let story = explain_nodeeni(&plan, "a", &[]).unwrap();
    assert_eq!(story.matches("  ! ").count(), 1, "{story}");
    assert!(
        story.contains("\n  ! EC2 knows no subnet subnet-0000dead, an entry of the NodeENI's list, in this"),
        "{story}"
    );
    let said = "EC2 knows no subnet subnet-0000dead, an entry of the NodeENI's list";
    let of_node = |plan: &Plan, node: &ObservedNode| explain_node(plan, Some(node), &node.name).unwrap();
    let node = world.node.clone().unwrap();
    let story = of_node(&plan, &node);
    assert_eq!(story.matches(said).count(), 1, "{story}");
    assert!(story.contains("  NodeENI a: matches\n") && story.contains("\n  ! EC2 knows no subnet"), "{story}");
    let unmatched = ObservedNode { labels: Default::default(), ..node };
    let story = of_node(&plan, &unmatched);
    assert!(!story.contains(said), "the NodeENI does not match: {story}");
    assert!(!explain_node(&plan, None, "n0").unwrap().contains(said), "the Node is gone");
    let end = |plan: &Plan| plan_text(plan).lines().find(|line| line.contains("(!)")).unwrap_or_default().to_owned();
    assert_eq!(end(&plan), "1 needs a person (!): a (SubnetNotFound)");
    // A fourth one is in a zone of which the list has no other subnet.
    let mut other = World::new(vec![nodeeni("a", 1, &[SUBNET_A, MISSING])]);
    other.catalog = world.catalog.clone();
    let node = other.node.as_mut().unwrap();
    (node.name, node.zone) = ("n3".to_owned(), Some("z9".to_owned()));
    assignments.insert("n3".to_owned(), other.assign());
    let mut plan = reported_with(&world, &seen, &assignments);
    plan.node_enis.retain(|entry| entry.name == "a");
    assert_eq!(end(&plan), "2 need a person (!): a on n3 (SubnetNotFound)");
}

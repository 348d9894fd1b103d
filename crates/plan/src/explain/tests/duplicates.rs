//! What `explain` says of a second Node of one instance.

use super::*;

#[test]
fn a_second_node_of_an_instance_is_not_said_to_have_matched_before() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("far", 1, &["subnet-00000003"])]);
    world.others = vec![world.node.clone().unwrap()];
    let node = world.node.as_mut().unwrap();
    (node.name, node.uid, node.created) = ("dup2".to_owned(), "uid-dup2".to_owned(), at(50));
    node.labels = [("unrelated", "yes")].into();
    let plan = reported(&world, &[]);
    let story = explain_node(&plan, world.node.as_ref(), "dup2").unwrap();
    let lines: Vec<&str> = story.lines().filter(|line| line.starts_with("  NodeENI")).collect();
    let expected = [
        "  NodeENI a: does not match: no label ng=multi-eni",
        "  NodeENI bad: would be refused: no",
        "  NodeENI far: does not match: no label ng=multi-eni",
    ];
    assert_eq!(lines, expected, "{story}");
    assert!(story.contains("\n  ! Nodes n0 and dup2 have the same instance"), "{story}");
    let told = plan_text(&plan);
    assert!(told.contains("1 needs a person (!): a on dup2 (DuplicateNode)\n"), "{told}");
}

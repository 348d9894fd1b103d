//! The last sentences of the plan: what is left to do, and who does it.

use super::*;

fn line(mark: LineKind, reason: &str, node: &str) -> Line {
    Line {
        node: node.to_owned(),
        slot: None,
        mark,
        eni: None,
        reason: reason.to_owned(),
        message: "words".to_owned(),
        vpc_cni: None,
        is_uncovered: false,
        calls: BTreeMap::new(),
    }
}

/// The sentences after the last line that is about a NodeENI or an ENI.
fn end(nodeenis: &[(&str, Vec<Line>)]) -> Vec<String> {
    end_of(&whole(nodeenis))
}

fn end_of(plan: &Plan) -> Vec<String> {
    let text = plan_text(plan);
    text.rsplit("\n\n").next().unwrap_or_default().lines().map(str::to_owned).collect()
}

fn whole(nodeenis: &[(&str, Vec<Line>)]) -> Plan {
    let mut plan = reported(&World::new(Vec::new()), &[]);
    plan.node_enis = nodeenis
        .iter()
        .map(|(name, lines)| NodeEniPlan { problem: None, lines: lines.clone(), ..nothing(name, "") })
        .collect();
    plan.recount();
    plan
}

#[test]
fn enis_in_place_alone_leave_nothing_to_do() {
    let in_place = || line(LineKind::InPlace, "Ready", "n0");
    assert_eq!(end(&[("a", vec![in_place()])]), ["EC2 calls: none. Each ENI is as its NodeENI asks."]);
    assert_eq!(end(&[("a", Vec::new())]), ["EC2 calls: none"], "no ENI is there");
}

#[test]
fn what_needs_a_person_and_what_waits_are_counted_and_named() {
    let lines = vec![
        line(LineKind::InPlace, "Ready", "n0"),
        line(LineKind::Blocked, "RouteCoversNode", "n1"),
        line(LineKind::Blocked, "RouteCoversNode", "n2"),
        line(LineKind::Waits, "Configuring", "n3"),
    ];
    let other = vec![line(LineKind::Blocked, "InterfaceNameTaken", "n1")];
    let expected = [
        "3 need a person (!): a on n1, n2 (RouteCoversNode), b on n1 (InterfaceNameTaken)",
        "1 waits for what ends by itself (…): a on n3 (Configuring)",
        "EC2 calls: none. Each other ENI is as its NodeENI asks.",
    ];
    assert_eq!(end(&[("a", lines.clone()), ("b", other)]), expected);
    // The same with EC2 calls.
    let mut created = line(LineKind::Create, "Create", "n9");
    created.calls = BTreeMap::from([("CreateNetworkInterface", 1)]);
    let said = end(&[("a", [lines, vec![created]].concat())]);
    assert!(said[0].starts_with("2 need a person (!): a on n1, n2") && said[1].starts_with("1 waits"), "{said:?}");
    assert_eq!(said[2], "EC2 calls: CreateNetworkInterface 1 (1 in all)");
}

#[test]
fn many_nodes_and_many_nodeenis_are_cut_and_their_number_is_said() {
    let lines = |reason: &str| (0..5).map(|node| line(LineKind::Waits, reason, &format!("n{node}"))).collect();
    let said = end(&[("a", lines("A")), ("b", lines("B")), ("c", lines("C")), ("d", lines("D"))]);
    let of = |name: &str, reason: &str| format!("{name} on n0, n1, n2 and 2 others ({reason})");
    let named = [of("a", "A"), of("b", "B"), of("c", "C")].join(", ");
    assert_eq!(said[0], format!("20 wait for what ends by itself (…): {named} and 1 other"));
}

#[test]
fn a_node_with_several_enis_is_named_once_with_their_number() {
    let blocked = |node: &str| line(LineKind::Blocked, "NoRoom", node);
    let said = end(&[("two", vec![blocked("n1"), blocked("n1"), blocked("n2")])]);
    assert_eq!(said[0], "3 need a person (!): two on n1 (2 ENIs), n2 (NoRoom)");
}

#[test]
fn a_node_that_is_not_covered_is_no_matter_for_a_person() {
    let mut elsewhere = line(LineKind::Blocked, "NoSubnetInZone", "n0");
    elsewhere.is_uncovered = true;
    let expected = "1 is not covered, which is no failure (!): a on n0 (NoSubnetInZone)";
    assert_eq!(end(&[("a", vec![elsewhere])]), [expected, "EC2 calls: none"]);
}

/// As `assign` says it of a node in a zone without a subnet.
#[test]
fn a_node_in_another_zone_is_not_covered() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().zone = Some("z9".to_owned());
    let mut plan = reported(&world, &[]);
    plan.node_enis.retain(|nodeeni| nodeeni.problem.is_none());
    let said = end_of(&plan);
    assert_eq!(said[0], "1 is not covered, which is no failure (!): a on n0 (NoSubnetInZone)", "{said:?}");
}

#[test]
fn a_change_without_an_ec2_call_is_not_passed_over() {
    let configured = line(LineKind::Change, "Configure", "n0");
    let expected = "1 changes without an EC2 call: a on n0 (Configure)";
    assert_eq!(end(&[("a", vec![configured])]), [expected, "EC2 calls: none"]);
}

#[test]
fn nodeenis_with_a_problem_and_loose_enis_are_counted() {
    let mut plan = whole(&[("a", Vec::new()), ("b", Vec::new())]);
    plan.node_enis[0].problem = Some("it cannot be read".to_owned());
    // The ENIs of a NodeENI that is gone are removed.
    (plan.node_enis[1].problem, plan.node_enis[1].deleting) = (Some("gone".to_owned()), true);
    (plan.orphans, plan.left_by_upstream) = (vec!["eni-1 has no tag".to_owned()], vec!["eni-2 stays".to_owned()]);
    let expected = ["1 NodeENI needs a person: a", "2 ENIs without an ENIAttachment are above (!)", "EC2 calls: none"];
    assert_eq!(end_of(&plan), expected);
}

use super::*;
use crate::assign::UnassignedReason;
use crate::assign::tests::{at, new_attachment, nodeeni};

fn ready(node: &str) -> Attachment {
    let mut attachment = new_attachment(node, 1, false);
    conditions::set(
        &mut attachment.status.conditions,
        ConditionUpdate::new(types::READY, true, "Ready", "it is"),
        None,
        at(0),
    );
    attachment
}

fn status_with(
    attachments: &[Attachment],
    refused: &[Unassigned],
    matched: &[&str],
    desired: usize,
    now: Timestamp,
) -> NodeEniStatus {
    let previous = NodeEniStatus::default();
    status_after(&previous, attachments, refused, matched, desired, Changing::default(), now)
}

/// What is left to do on nodes, and their former names.
#[derive(Default)]
struct Changing<'a> {
    outdated: usize,
    losing: usize,
    undecided: usize,
    groups_waits: &'a [&'a GroupsWait],
    former: BTreeMap<&'a str, &'a str>,
}

/// The status after `previous`. Each of the first `desired` nodes asks for one ENI.
fn status_after(
    previous: &NodeEniStatus,
    attachments: &[Attachment],
    refused: &[Unassigned],
    matched: &[&str],
    desired: usize,
    Changing { outdated, losing, undecided, groups_waits, former }: Changing<'_>,
    now: Timestamp,
) -> NodeEniStatus {
    nodeeni_status(Input {
        nodeeni: &NodeEni { generation: 1, ..nodeeni("a", 1, &["subnet-00000001"]) },
        previous,
        attachments: &attachments.iter().collect::<Vec<_>>(),
        matched: &matched.iter().copied().collect(),
        former: &former,
        desired: &matched.iter().take(desired).map(|node| (*node, 1)).collect(),
        outdated,
        losing,
        undecided,
        refused: &refused.iter().collect::<Vec<_>>(),
        pinned: &[],
        waiting: &[],
        groups_waits,
        removals: &RemovalPace::default(),
        problems: &[],
        expected: None,
        has_current_report: &|_| true,
        mtu: None,
        now,
    })
}

/// The conditions Ready and Progressing, as status and message.
fn reported(attachment: &[Attachment], matched: &[&str], desired: usize) -> [(String, String); 2] {
    let status = status_with(attachment, &[], matched, desired, at(0));
    [types::READY, types::PROGRESSING].map(|kind| {
        let condition = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        (condition.status.clone(), condition.message.clone())
    })
}

#[test]
fn a_deselected_eni_does_not_replace_a_missing_one() {
    let both = ["n0", "n1"];
    assert_eq!(reported(&[ready("n0"), ready("n1")], &both, 2)[0].0, "True");
    let mut deselected = ready("n2");
    deselected.deselected_since = Some(at(0));
    let [(is_ready, says), (progressing, _)] = reported(&[ready("n0"), deselected], &both, 2);
    assert_eq!((is_ready.as_str(), says.as_str()), ("False", "1 of 2 ENIs are ready on 2 nodes"));
    assert_eq!(progressing, "True");
    // The label is back, and `deselected_since` is about to be removed: the condition does not flap.
    let mut back = ready("n1");
    back.deselected_since = Some(at(0));
    assert_eq!(reported(&[ready("n0"), back], &both, 2)[0].0, "True");
    // The Node is gone, and the grace period in which it may come back has not ended.
    let [(is_ready, says), _] = reported(&[ready("n0"), ready("gone")], &both, 2);
    assert_eq!((is_ready.as_str(), says.as_str()), ("False", "1 of 2 ENIs are ready on 2 nodes"));
}

#[test]
fn a_deselected_eni_is_not_counted_as_ready() {
    let mut deselected = ready("n2");
    deselected.deselected_since = Some(at(0));
    let [(is_ready, says), _] = reported(&[ready("n0"), deselected], &["n0"], 1);
    assert_eq!((is_ready.as_str(), says.as_str()), ("True", "1 of 1 ENI is ready on 1 node"));
}

#[test]
fn the_wait_for_ec2s_rates_is_reported_in_seconds() {
    let expected = WaitEstimate { action: "AttachNetworkInterface", waiting: 370, seconds: 74 };
    let numbers = || Numbers {
        matched: 400,
        covered: 400,
        desired: 400,
        ready: 30,
        stalled: 0,
        leaving: 0,
        expected: Some(expected),
        now: at(0),
    };
    let progress = Progress {
        is_new: false,
        undecided: 0,
        outdated: 0,
        losing: 0,
        refused: &[],
        groups_waits: &[],
        replaced: None,
        returning: None,
    };
    let [ready, progressing, _] = conditions_of(&nodeeni("a", 1, &["subnet-00000001"]), numbers(), &progress, None);
    for message in [ready.message, progressing.message] {
        assert!(message.contains("about 74 s: 370 ENIs wait for AttachNetworkInterface"), "{message}");
    }
}

/// The ENI is in use, and what the spec asks for is not in force.
#[test]
fn a_refused_change_in_place_is_reported_on_the_nodeeni() {
    let mut refused = ready("n0");
    let message = "eni-1 is attached; ModifyNetworkInterfaceAttribute answered InvalidGroup.NotFound";
    let attached = |reason: &str| ConditionUpdate::new(types::ATTACHED, true, reason, message);
    conditions::set(&mut refused.status.conditions, attached("ReferenceNotFound"), None, at(0));
    let reported = |attachment: &Attachment| reported(std::slice::from_ref(attachment), &["n0"], 1);
    let [(is_ready, says), _] = reported(&refused);
    assert_eq!(is_ready, "False");
    assert!(says.contains("1 of 1 ENI is ready; node n0: eni-1 is attached; Modify"), "{says}");
    conditions::set(&mut refused.status.conditions, attached(IN_PLACE), None, at(0));
    assert_eq!(reported(&refused)[0].0, "True");
}

fn status_of(refused: &[Unassigned], matched: &[&str], desired: usize, now: Timestamp) -> NodeEniStatus {
    status_with(&[ready("n0")], refused, matched, desired, now)
}

fn condition(status: &NodeEniStatus, kind: &str) -> Option<(String, String, String)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

fn refused(node: &str, why: UnassignedReason) -> Unassigned {
    Unassigned { nodeeni_uid: "uid-a".into(), node: node.into(), why }
}

#[test]
fn ready_does_not_wait_for_a_node_in_whose_zone_no_subnet_is() {
    let why = UnassignedReason::NoSubnetInZone { zone: "z9".into(), zones: vec!["z1".into()] };
    let status = status_of(&[refused("far", why)], &["n0", "far"], 1, at(0));
    assert_eq!((status.matched_nodes, status.nodes_without_subnet, status.failed), (2, 1, 0));
    let of = |kind: &str| condition(&status, kind).map(|(value, reason, _)| (value, reason));
    assert_eq!(of(types::READY), Some(("True".into(), "AllReady".into())));
    assert_eq!(of(types::DEGRADED), Some(("False".into(), "AsExpected".into())));
    assert_eq!(of(types::ZONES_COVERED), Some(("False".into(), "NoSubnetInZone".into())));
    let (_, _, says) = condition(&status, types::ZONES_COVERED).unwrap();
    assert!(says.contains("z9") && says.contains("far") && says.contains("z1"), "{says}");
    assert_eq!(of(types::NODES_SUPPORTED), None);
    let none = status_of(&[refused("n0", UnassignedReason::NoSubnetMatches("tag a=b".into()))], &["n0"], 1, at(0));
    assert_eq!(condition(&none, types::ZONES_COVERED).unwrap().0, "Unknown");
    let covered = status_of(&[], &["n0"], 1, at(0));
    assert_eq!(condition(&covered, types::ZONES_COVERED).unwrap().0, "True");
}

#[test]
fn nodes_that_can_have_no_eni_are_named_once_and_make_nothing_degraded() {
    let why = || UnassignedReason::Unsupported(crate::observed::Unattachable::Hybrid);
    let many: Vec<Unassigned> = (0..7).map(|n| refused(&format!("hybrid-{n}"), why())).collect();
    let matched: Vec<&str> = many.iter().map(|refusal| refusal.node.as_str()).chain(["n0"]).collect();
    let status = status_of(&many, &matched, 1, at(0));
    assert_eq!(condition(&status, types::READY).unwrap().0, "True");
    assert_eq!(condition(&status, types::DEGRADED).unwrap().0, "False");
    let (value, _, says) = condition(&status, types::NODES_SUPPORTED).unwrap();
    assert_eq!(value, "False");
    assert!(says.starts_with("7 matching nodes") && says.contains("EKS Hybrid Node") && says.ends_with("and 2 others"));
}

#[test]
fn a_nodeeni_that_matches_no_node_is_unknown_for_its_first_minute() {
    let young = status_of(&[], &[], 0, at(59));
    assert_eq!(condition(&young, types::READY).map(|(value, reason, _)| (value, reason)), {
        Some(("Unknown".into(), "NoNodeMatches".into()))
    });
    assert_eq!(next_change(&nodeeni("a", 1, &["subnet-00000001"]), &young, at(59)), Some(at(60)));
    let settled = status_of(&[], &[], 0, at(60));
    assert_eq!(condition(&settled, types::READY).unwrap().0, "True");
    assert_eq!(next_change(&nodeeni("a", 1, &["subnet-00000001"]), &settled, at(60)), None);
}

fn progressing(status: &NodeEniStatus) -> (String, String) {
    condition(status, types::PROGRESSING).map(|(value, _, message)| (value, message)).unwrap()
}

/// The first status of an edited spec, in which every old ENI still works.
#[test]
fn after_an_edit_progressing_is_true_in_the_status_that_observes_its_generation() {
    let (both, enis) = (["n0", "n1"], [ready("n0"), ready("n1")]);
    let settled = status_after(&NodeEniStatus::default(), &enis, &[], &both, 2, Changing::default(), at(0));
    assert_eq!(progressing(&settled).0, "False");
    let edited = NodeEniStatus { observed_generation: Some(0), ..settled.clone() };
    let waits = [refused("n0", UnassignedReason::LookupPending("the EC2 lookup of the NodeENI's subnets"))];
    let of = |refused: &[Unassigned], changing| status_after(&edited, &enis, refused, &both, 2, changing, at(1));
    let cases = [
        (of(&[], Changing { undecided: 2, ..Changing::default() }), "2 nodes have not been reconciled since"),
        (of(&waits, Changing::default()), "n0: waiting for the EC2 lookup of the NodeENI's subnets"),
        (of(&[], Changing { losing: 2, ..Changing::default() }), "ENIs on 2 nodes are to be removed"),
        (
            of(&[], Changing { outdated: 2, losing: 1, undecided: 1, ..Changing::default() }),
            "ENIs on 2 nodes: they are replaced on at most 1 node at a time (rollout.maxUnavailable)",
        ),
    ];
    for (status, words) in cases {
        let (value, message) = progressing(&status);
        assert!(value == "True" && message.contains(words), "{message}");
        let observed = |kind: &str| status.conditions.iter().find(|c| c.type_ == kind).unwrap().observed_generation;
        assert_eq!((observed(types::READY), observed(types::PROGRESSING)), (Some(1), Some(1)));
        assert_eq!(
            (status.observed_generation, condition(&status, types::READY).unwrap().0.as_str()),
            (Some(1), "True")
        );
    }
    // The lookup goes on, and ends.
    let first = of(&waits, Changing::default());
    let next = |refused: &[Unassigned]| status_after(&first, &enis, refused, &both, 2, Changing::default(), at(2));
    assert_eq!(progressing(&next(&waits)).0, "True");
    assert_eq!(progressing(&next(&[])).0, "False");
}

/// A new process looks everything up, and nobody has edited anything.
#[test]
fn a_lookup_without_an_edit_is_no_progress() {
    let enis = [ready("n0")];
    let settled = status_after(&NodeEniStatus::default(), &enis, &[], &["n0"], 1, Changing::default(), at(0));
    let waits = [refused("n0", UnassignedReason::LookupPending("the EC2 lookup of the NodeENI's subnets"))];
    let again = status_after(&settled, &enis, &waits, &["n0"], 1, Changing::default(), at(1));
    assert_eq!(again, settled);
}

#[test]
fn progressing_names_the_node_that_a_rollout_works_on() {
    let names = ["n0", "n1", "n2"];
    let mut leaving = ready("n1");
    leaving.deleting = Some(at(0));
    let enis = [ready("n0"), leaving, ready("n2")];
    let turn = |node: &str| refused(node, UnassignedReason::AwaitingRollout);
    let message = |enis: &[Attachment], refused: &[Unassigned]| {
        progressing(&status_after(
            &NodeEniStatus::default(),
            enis,
            refused,
            &names,
            3,
            Changing { outdated: 2, ..Changing::default() },
            at(0),
        ))
        .1
    };
    let text = message(&enis, &[turn("n0"), turn("n2")]);
    assert!(text.ends_with(" (an ENI of n1 is being replaced, and 2 nodes wait for their turn)"), "{text}");
    let text = message(&enis, &[turn("n0"), refused("n1", UnassignedReason::Replacing), turn("n2")]);
    assert!(text.ends_with(" (n1: the spec changed: waiting for the old ENI to be deleted)"), "{text}");
    // Its successor exists and is not attached yet.
    let new = new_attachment("n1", 1, false);
    let text = message(&[ready("n0"), new, ready("n2")], &[turn("n0"), turn("n2")]);
    assert!(text.contains("an ENI of n1 is being replaced"), "{text}");
}

#[test]
fn an_eni_that_works_is_not_counted_as_failed_as_well() {
    let none = |node: &str| refused(node, UnassignedReason::NoSubnetMatches("tag a=b".into()));
    let names = ["n0", "n1", "n2"];
    let enis = names.map(ready);
    let counts = |status: &NodeEniStatus| (status.desired, status.ready, status.failed);
    let kept = status_with(&enis, &names.map(none), &names, 3, at(0));
    assert_eq!(counts(&kept), (3, 3, 0));
    assert_eq!(condition(&kept, types::READY).map(|(value, reason, _)| (value, reason)), {
        Some(("False".into(), "SubnetNotFound".into()))
    });
    let one_missing = status_with(&enis[..2], &names.map(none), &names, 3, at(0));
    assert_eq!(counts(&one_missing), (3, 2, 1));
    let mut blocked = new_attachment("n2", 1, false);
    blocked.status.phase = Phase::Blocked;
    let with_blocked = [enis[0].clone(), enis[1].clone(), blocked];
    assert_eq!(counts(&status_with(&with_blocked, &names.map(none), &names, 3, at(0))), (3, 2, 1));
}

#[test]
fn the_device_indexes_are_those_of_the_enis_and_not_of_a_spec_that_leaves_the_choice_open() {
    let mut exact = nodeeni("a", 3, &["subnet-00000001"]);
    let mut highest = exact.clone();
    highest.spec.as_mut().unwrap().index_policy = multi_eni_api::DeviceIndexPolicy::HighestFree;
    let of = |nodeeni: &NodeEni, indexes: &[i32]| {
        let enis: Vec<Attachment> = indexes.iter().map(|index| new_attachment("n0", *index, true)).collect();
        entries::device_indexes(nodeeni, &enis.iter().collect::<Vec<_>>())
    };
    assert_eq!(of(&exact, &[]).as_deref(), Some("3"));
    assert_eq!(of(&highest, &[]), None);
    assert_eq!(of(&highest, &[14, 7, 14]).as_deref(), Some("7,14"));
    assert_eq!(of(&exact, &[1, 2, 3, 4, 5, 6, 7]).as_deref(), Some("1,2,3,4,5 and 2 more"));
    exact.spec = Err(crate::nodeeni::Unreadable::NoSubnet);
    assert_eq!(of(&exact, &[]), None);
}

fn problem() -> Problem {
    Problem { reason: "WrongPlace", message: "this is another account".into(), node: None }
}

#[track_caller]
fn all_observe(status: &NodeEniStatus, generation: i64, types: &[&str]) {
    let mut found: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    let mut expected = types.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for condition in &status.conditions {
        assert_eq!(condition.observed_generation, Some(generation), "{}", condition.type_);
    }
}

/// `kubectl wait` compares the generations.
#[test]
fn every_condition_of_a_nodeeni_has_its_generation() {
    let mut edited = nodeeni("a", 1, &["subnet-00000001"]);
    edited.generation = 7;
    let far = refused("far", UnassignedReason::NoSubnetInZone { zone: "z9".into(), zones: vec!["z1".into()] });
    let hybrid = refused("hybrid", UnassignedReason::Unsupported(crate::observed::Unattachable::Hybrid));
    let pinned = Pinned { nodeeni_uid: "uid-a".into(), node: "n0".into(), name: "n0-1".into(), index: 3, asked: 1 };
    let waits = WaitsForPods { nodeeni_uid: "uid-a".into(), node: "n1".into(), name: "n1-1".into(), pods: None };
    let removals = RemovalPace {
        waiting: BTreeMap::from([("n2".to_owned(), crate::removals::Cause::Deselected)]),
        ..RemovalPace::default()
    };
    let occasional = [
        types::INDEX_PINNED,
        types::WAITING_FOR_PODS,
        types::REMOVAL_PACED,
        types::ZONES_COVERED,
        types::NODES_SUPPORTED,
    ];
    let always = [types::READY, types::PROGRESSING, types::DEGRADED];
    let of = |nodeeni: &NodeEni, previous: &NodeEniStatus, is_so: bool| {
        let attachment = ready("n0");
        let number = if is_so { 2 } else { 0 };
        let none = RemovalPace::default();
        nodeeni_status(Input {
            nodeeni,
            previous,
            attachments: &[&attachment],
            matched: &BTreeSet::from(["n0", "far", "hybrid"]),
            former: &BTreeMap::new(),
            desired: &BTreeMap::from([("n0", 1)]),
            outdated: 0,
            losing: 0,
            undecided: 0,
            refused: &[&far, &hybrid][..number],
            pinned: &[&pinned][..number / 2],
            waiting: &[&waits][..number / 2],
            groups_waits: &[],
            removals: if is_so { &removals } else { &none },
            problems: &[],
            expected: None,
            has_current_report: &|_| true,
            mtu: None,
            now: at(0),
        })
    };
    let status = of(&edited, &NodeEniStatus::default(), true);
    all_observe(&status, 7, &[always.as_slice(), &occasional].concat());
    // After an edit, conditions that are no longer so, and conditions whose text is the same, have the new generation.
    edited.generation = 8;
    all_observe(&of(&edited, &status, false), 8, &[always.as_slice(), &occasional].concat());
    all_observe(&of(&edited, &status, true), 8, &[always.as_slice(), &occasional].concat());
}

#[test]
fn the_conditions_while_nothing_is_decided_have_the_generation() {
    let mut edited = nodeeni("a", 1, &["subnet-00000001"]);
    edited.generation = 7;
    let before = NodeEniStatus::default();
    all_observe(&adopting(&edited, &before, &["n0"], at(0)), 7, &[types::READY, types::PROGRESSING]);
    all_observe(&halted(&edited, &before, &problem(), at(0)), 7, &[types::READY, types::DEGRADED]);
}

fn sg(n: usize) -> multi_eni_api::ids::SecurityGroupId {
    multi_eni_api::ids::SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap()
}

/// Nothing goes on while only a person can act, whether the ENI was never made (a new NodeENI) or stays (an edited one).
#[test]
fn progressing_is_false_while_only_a_person_can_act() {
    let missing = || UnassignedReason::NoSubnetMatches("tag a=b".into());
    let of = |enis: &[Attachment]| {
        let status = status_with(enis, &[refused("n0", missing())], &["n0"], 1, at(0));
        condition(&status, types::PROGRESSING).map(|(value, reason, _)| (value, reason)).unwrap()
    };
    let stalled = ("False".to_owned(), "Stalled".to_owned());
    assert_eq!((of(&[]), of(&[ready("n0")])), (stalled.clone(), stalled.clone()), "new, and edited");
    let mut blocked = new_attachment("n0", 1, false);
    blocked.status.phase = Phase::Blocked;
    let status = |enis: &[Attachment], names: &[&str]| status_with(enis, &[], names, names.len(), at(0));
    assert_eq!(condition(&status(&[blocked.clone()], &["n0"]), types::PROGRESSING).unwrap().1, "Stalled");
    // Another node gets its ENI meanwhile.
    let both = status(&[blocked, new_attachment("n1", 1, false)], &["n0", "n1"]);
    assert_eq!(progressing(&both).0, "True");
}

#[test]
fn zones_are_covered_only_if_that_is_known() {
    let id = |text: &str| multi_eni_api::ids::SubnetId::parse(text).unwrap();
    let of = |why: UnassignedReason| {
        condition(&status_of(&[refused("n0", why)], &["n0", "n1"], 2, at(0)), types::ZONES_COVERED)
    };
    let unknown = crate::nodeeni::SubnetRef::Id(id("subnet-0dead000"));
    let (value, reason, says) = of(UnassignedReason::SubnetMissing(unknown)).unwrap();
    assert_eq!((value.as_str(), reason.as_str()), ("Unknown", "SubnetNotFound"));
    assert!(says.contains("n0: EC2 knows no subnet subnet-0dead000"), "{says}");
    assert_eq!(of(UnassignedReason::NoZone).unwrap().0, "Unknown");
    assert_eq!(of(UnassignedReason::LookupPending("it")), None);
    assert_eq!(of(UnassignedReason::GroupUnresolved("web".into(), 0)).unwrap().0, "True", "it is no matter of subnets");
    let waits = |bare_zone: Option<&str>| UnassignedReason::SubnetUnconfirmed {
        subnet: id("subnet-00000001"),
        until: at(180),
        is_edit: false,
        bare_zone: bare_zone.map(str::to_owned),
    };
    assert_eq!(of(waits(None)).unwrap().0, "True", "another subnet that the terms select is in the zone");
    let (value, _, says) = of(waits(Some("z1"))).unwrap();
    assert!(value == "False" && says.contains("1 matching node: n0: ") && says.contains("zone z1"), "{says}");
}

/// A wait until EC2 has confirmed its answers is said with its end, also if nobody edited the NodeENI.
#[test]
fn a_wait_for_confirmation_is_progress_with_an_end() {
    let (names, enis) = (["n0", "n1"], [ready("n0"), ready("n1")]);
    let settled = status_after(&NodeEniStatus::default(), &enis, &[], &names, 2, Changing::default(), at(0));
    assert_eq!(progressing(&settled).0, "False");
    let subnet = multi_eni_api::ids::SubnetId::parse("subnet-00000001").unwrap();
    let why = || UnassignedReason::SubnetUnconfirmed {
        subnet: subnet.clone(),
        until: at(180),
        is_edit: false,
        bare_zone: None,
    };
    let refusals = names.map(|node| refused(node, why()));
    let (value, says) = progressing(&status_after(&settled, &enis, &refusals, &names, 2, Changing::default(), at(1)));
    let end = format!("until {}", at(180));
    assert!(value == "True" && says.starts_with("n0 and 1 other node: ") && says.contains(&end), "{says}");
    let waits = GroupsWait { nodeeni_uid: "uid-a".into(), node: "n0".into(), groups: vec![sg(7)], until: at(180) };
    let changing = Changing { groups_waits: &[&waits], ..Changing::default() };
    let (value, says) = progressing(&status_after(&settled, &enis, &[], &names, 2, changing, at(1)));
    assert!(
        value == "True" && says.contains("sg-00000007") && says.contains("1 node") && says.contains(&end),
        "{says}"
    );
}

/// The Node has another name now, and its ENIAttachment still carries the former one.
#[test]
fn an_eni_under_a_former_name_of_its_node_is_not_missing() {
    let refusals = [refused("new", UnassignedReason::GroupUnresolved("web".into(), 0))];
    let failed = |former: BTreeMap<&str, &str>| {
        let changing = Changing { former, ..Changing::default() };
        let previous = NodeEniStatus::default();
        status_after(&previous, &[ready("old")], &refusals, &["new"], 1, changing, at(0)).failed
    };
    assert_eq!((failed(BTreeMap::new()), failed([("old", "new")].into())), (1, 0));
}

/// The statuses of ENIAttachments say so only where the node agent is enabled.
#[test]
fn an_eni_that_the_agent_does_not_configure_degrades_its_nodeeni_after_two_minutes() {
    let set = |attachment: &mut Attachment, kind, status, reason: &str, seconds| {
        let update = ConditionUpdate::new(kind, status, reason, "the agent's words");
        conditions::set(&mut attachment.status.conditions, update, None, at(seconds));
    };
    let mut waits = new_attachment("n1", 1, false);
    set(&mut waits, types::ATTACHED, true, IN_PLACE, 10);
    set(&mut waits, types::READY, false, "LinkAbsent", 10);
    let reported = |attachment: &Attachment, seconds| {
        let status = status_with(&[ready("n0"), attachment.clone()], &[], &["n0", "n1"], 2, at(seconds));
        let [ready, degraded] = [types::READY, types::DEGRADED].map(|kind| condition(&status, kind).unwrap());
        (status.failed, ready.0, degraded.0, degraded.1, degraded.2)
    };
    let text = |words: &str| words.to_owned();
    let (failed, ready_now, degraded, ..) = reported(&waits, 129);
    assert_eq!((failed, ready_now, degraded), (0, text("False"), text("False")));
    assert_eq!(next_overdue(&[&waits], at(129)), Some(at(130)));
    let (failed, ready_now, degraded, reason, message) = reported(&waits, 130);
    assert_eq!((failed, ready_now, degraded, reason), (1, text("False"), text("True"), text("LinkAbsent")));
    assert_eq!(message, "node n1: the agent's words");
    let status = status_with(&[ready("n0"), waits.clone()], &[], &["n0", "n1"], 2, at(130));
    assert_eq!(condition(&status, types::PROGRESSING).unwrap().1, "Stalled");
    assert_eq!(next_overdue(&[&waits], at(130)), None);
    // An ENI that the agent loses has its own two minutes.
    set(&mut waits, types::READY, true, "Ready", 200);
    set(&mut waits, types::READY, false, "LinkAbsent", 300);
    assert_eq!((reported(&waits, 419).0, reported(&waits, 420).0), (0, 1));
    waits.deleting = Some(at(310));
    assert_eq!(reported(&waits, 420).0, 0);
}

#[test]
fn progressing_names_the_node_whose_agent_gives_a_device_back() {
    let mut leaving = ready("n1");
    leaving.deleting = Some(at(10));
    let said = |reason: &str, leaving: &Attachment| {
        let mut leaving = leaving.clone();
        let update = ConditionUpdate::new(types::ATTACHED, false, reason, "the words of the ENIAttachment");
        conditions::set(&mut leaving.status.conditions, update, None, at(15));
        let turn = refused("n1", UnassignedReason::Replacing);
        progressing(&status_with(&[ready("n0"), leaving], &[turn], &["n0", "n1"], 2, at(20))).1
    };
    let text = said(device_return::RETURNING, &leaving);
    let words = format!("(n1: until {} waiting for the node agent to give a device back", at(130));
    assert!(text.contains(&words), "{text}");
    let text = said("Detaching", &leaving);
    assert!(text.contains("waiting for the old ENI to be deleted"), "{text}");
}

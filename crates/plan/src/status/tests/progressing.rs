//! The condition Progressing: what is under way, what it waits for, and until when.

use super::*;

fn sg(n: usize) -> multi_eni_api::ids::SecurityGroupId {
    multi_eni_api::ids::SecurityGroupId::parse(&format!("sg-{n:08x}")).unwrap()
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
        now: at(0),
        replaced: None,
        returning: None,
    };
    let [ready, progressing, _] = conditions_of(&nodeeni("a", 1, &["subnet-00000001"]), numbers(), &progress, None);
    for message in [ready.message, progressing.message] {
        assert!(message.contains("about 74 s: 370 ENIs wait for AttachNetworkInterface"), "{message}");
    }
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
    assert!(
        text.ends_with(" (an ENI of n1 is being removed or is not ready, and 2 nodes wait for their turn)"),
        "{text}"
    );
    let text = message(&enis, &[turn("n0"), refused("n1", UnassignedReason::Replacing), turn("n2")]);
    assert!(text.ends_with(" (n1: the spec changed: waiting for the old ENI to be deleted)"), "{text}");
    // Its successor exists and is not attached yet.
    let new = new_attachment("n1", 1, false);
    let text = message(&[ready("n0"), new, ready("n2")], &[turn("n0"), turn("n2")]);
    assert!(text.contains("an ENI of n1 is being removed or is not ready"), "{text}");
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
    // EC2's answer is late: a time that is over is not named.
    let late = status_after(&settled, &enis, &refusals, &names, 2, Changing::default(), at(181));
    let says = progressing(&late).1;
    assert!(says.contains("stays until the next lookup, which is due now") && !says.contains(&end), "{says}");
    let waits = GroupsWait { nodeeni_uid: "uid-a".into(), node: "n0".into(), groups: vec![sg(7)], until: at(180) };
    let changing = Changing { groups_waits: &[&waits], ..Changing::default() };
    let (value, says) = progressing(&status_after(&settled, &enis, &[], &names, 2, changing, at(1)));
    assert!(
        value == "True" && says.contains("sg-00000007") && says.contains("1 node") && says.contains(&end),
        "{says}"
    );
    let changing = Changing { groups_waits: &[&waits], ..Changing::default() };
    let (_, says) = progressing(&status_after(&settled, &enis, &[], &names, 2, changing, at(180)));
    assert!(says.contains("on the ENIs until the next lookup, which is due now"), "{says}");
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

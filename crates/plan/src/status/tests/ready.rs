//! The conditions Ready and Degraded.

use super::*;

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
    assert_eq!((is_ready.as_str(), says.as_str()), ("False", "1 of 2 ENIs is ready on 2 nodes"));
    assert_eq!(progressing, "True");
    // The label is back, and `deselected_since` is about to be removed: the condition does not flap.
    let mut back = ready("n1");
    back.deselected_since = Some(at(0));
    assert_eq!(reported(&[ready("n0"), back], &both, 2)[0].0, "True");
    // The Node is gone, and the grace period in which it may come back has not ended.
    let [(is_ready, says), _] = reported(&[ready("n0"), ready("gone")], &both, 2);
    assert_eq!((is_ready.as_str(), says.as_str()), ("False", "1 of 2 ENIs is ready on 2 nodes"));
}

#[test]
fn a_deselected_eni_is_not_counted_as_ready() {
    let mut deselected = ready("n2");
    deselected.deselected_since = Some(at(0));
    let [(is_ready, says), _] = reported(&[ready("n0"), deselected], &["n0"], 1);
    assert_eq!((is_ready.as_str(), says.as_str()), ("True", "1 of 1 ENI is ready on 1 node"));
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

#[test]
fn a_nodeeni_that_matches_no_node_is_unknown_for_its_first_minute() {
    let young = status_of(&[], &[], 0, at(59));
    assert_eq!(condition(&young, types::READY).map(|(value, reason, _)| (value, reason)), {
        Some(("Unknown".into(), "NoNodeMatches".into()))
    });
    // Nodes may have had the labels before, and their ENIs may still be there.
    assert!(!condition(&young, types::READY).unwrap().2.contains("yet"), "{young:?}");
    assert_eq!(next_change(&nodeeni("a", 1, &["subnet-00000001"]), &young, at(59)), Some(at(60)));
    let settled = status_of(&[], &[], 0, at(60));
    assert_eq!(condition(&settled, types::READY).unwrap().0, "True");
    assert_eq!(next_change(&nodeeni("a", 1, &["subnet-00000001"]), &settled, at(60)), None);
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

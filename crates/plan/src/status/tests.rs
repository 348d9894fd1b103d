use super::*;
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

/// The conditions Ready and Progressing, as status and message.
fn reported(attachment: &[Attachment], matched: &[&str], desired: usize) -> [(String, String); 2] {
    let status = nodeeni_status(Input {
        nodeeni: &nodeeni("a", 1, &["subnet-00000001"]),
        previous: &NodeEniStatus::default(),
        attachments: &attachment.iter().collect::<Vec<_>>(),
        matched: &matched.iter().copied().collect(),
        former: &BTreeSet::new(),
        desired,
        refused: &[],
        pinned: &[],
        waiting: &[],
        removals: &RemovalPace::default(),
        problems: &[],
        expected: None,
        mtu: None,
        now: at(0),
    });
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
    assert_eq!((is_ready.as_str(), says.as_str()), ("True", "1 of 1 ENIs are ready on 1 nodes"));
}

#[test]
fn the_wait_for_ec2s_rates_is_reported_in_seconds() {
    let expected = WaitEstimate { action: "AttachNetworkInterface", waiting: 370, seconds: 74 };
    let numbers = || Numbers {
        matched: 400,
        covered: 400,
        desired: 400,
        ready: 30,
        leaving: 0,
        expected: Some(expected),
        now: at(0),
    };
    let [ready, progressing, _] = conditions_of(&nodeeni("a", 1, &["subnet-00000001"]), numbers(), &[], None);
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
    assert!(says.contains("1 of 1 ENIs are ready; node n0: eni-1 is attached; Modify"), "{says}");
    conditions::set(&mut refused.status.conditions, attached(IN_PLACE), None, at(0));
    assert_eq!(reported(&refused)[0].0, "True");
}

use super::*;
use crate::assign::tests::{at, new_attachment};
use crate::lifecycle::call_history::CallHistory;

fn subject(index: i32, interfaces: usize, is_known: bool) -> Subject<'static> {
    let most = is_known.then_some(15);
    Subject {
        kind: "m9.large",
        is_known,
        most,
        on: 0,
        index,
        on_card: interfaces,
        in_all: interfaces,
        addresses: (1, 0),
    }
}

fn refusal(code: &str, message: &str) -> Result<(), CallError> {
    Err(CallError::Answered { code: code.into(), message: message.into() })
}

fn failure(result: &Result<(), CallError>, seconds: i64) -> Failure {
    let mut call_history = CallHistory::made(at(0));
    call_history.failed(Call::Attach, result.as_ref().unwrap_err(), at(seconds));
    call_history.failure.unwrap()
}

/// Sends the Attach of `uid`, which EC2 refuses for the number of interfaces.
fn refuse(gate: &mut InstanceTypeGate, uid: &str, subject: &Subject<'_>, seconds: i64) -> bool {
    let count = subject.in_all;
    let full = refusal("AttachmentLimitExceeded", &format!("Interface count {count} exceeds the limit for m9.large"));
    gate.answered(uid, subject, Call::Attach, &full, Some(&failure(&full, seconds)), at(seconds))
}

#[test]
fn of_a_type_without_known_limits_one_eni_is_tried_and_its_attach_opens_the_gate() {
    let mut gate = InstanceTypeGate::default();
    let unknown = subject(1, 2, false);
    assert_eq!(gate.holds_back("a", &unknown, at(0)), None);
    gate.sent("a", &unknown, at(0));
    assert_eq!(gate.holds_back("a", &unknown, at(1)), None, "its own Create may be repeated");
    assert_eq!(gate.holds_back("b", &unknown, at(1)), Some(Hold::Probing(at(120))));
    assert!(!gate.answered("a", &unknown, Call::Create, &Ok(()), None, at(1)));
    assert!(gate.answered("a", &unknown, Call::Attach, &Ok(()), None, at(2)), "the others are woken");
    for n in 0..100 {
        gate.sent(&n.to_string(), &unknown, at(2));
        assert_eq!(gate.holds_back("b", &unknown, at(2)), None);
    }
    // A second ENI on a node is one more than EC2 has attached.
    gate.sent("c", &subject(2, 3, false), at(3));
    assert!(gate.holds_back("d", &subject(2, 3, false), at(3)).is_some());
    assert_eq!(gate.holds_back("d", &subject(2, 3, false), at(3 + 120)), None, "no ENI waits for ever");
    assert!(gate.answered("c", &subject(2, 3, false), Call::Create, &refusal("InternalError", ""), None, at(4)));
    assert_eq!(gate.holds_back("d", &subject(2, 3, false), at(4)), None);
}

/// EC2 may refuse what it has described. Its first answer comes in a moment, and decides for all.
#[test]
fn of_a_type_with_known_limits_one_eni_is_tried_for_some_seconds_at_most() {
    let mut gate = InstanceTypeGate::default();
    let known = subject(1, 2, true);
    gate.sent("a", &known, at(0));
    assert_eq!(
        (gate.holds_back("a", &known, at(1)), gate.holds_back("b", &known, at(1))),
        (None, Some(Hold::First(at(10))))
    );
    assert_eq!(gate.holds_back("b", &known, at(10)), None, "a try that hangs delays nobody for long");
    gate.sent("b", &known, at(10));
    assert_eq!(gate.holds_back("c", &known, at(10)), None, "nobody waits for the second one as well");
    assert!(gate.answered("a", &known, Call::Attach, &refusal("IncorrectState", ""), None, at(2)), "it shows nothing");
    assert_eq!(gate.holds_back("b", &known, at(2)), None);
    gate.sent("b", &known, at(2));
    assert!(gate.answered("b", &known, Call::Attach, &Ok(()), None, at(3)));
    gate.sent("c", &known, at(3));
    assert_eq!(gate.holds_back("d", &known, at(3)), None);
    let second = subject(2, 3, true);
    gate.sent("e", &second, at(4));
    assert_eq!(gate.holds_back("f", &second, at(4)), Some(Hold::First(at(14))));
    refuse(&mut gate, "e", &second, 5);
    assert!(matches!(gate.holds_back("f", &second, at(5)), Some(Hold::Refused(..))), "it costs one Create");
}

/// A wrong group, for example: each Create fails, at a few a second, on thousands of nodes.
#[test]
fn a_create_that_fails_wakes_the_others_once() {
    let mut gate = InstanceTypeGate::default();
    let (known, fails) = (subject(1, 2, true), refusal("InvalidGroup.NotFound", ""));
    gate.sent("a", &known, at(0));
    assert!(gate.answered("a", &known, Call::Create, &fails, None, at(1)));
    for (n, uid) in ["b", "a", "c"].into_iter().enumerate() {
        let now = at(2 + i64::try_from(n).unwrap());
        assert_eq!(gate.holds_back(uid, &known, now), None);
        gate.sent(uid, &known, now);
        assert!(!gate.answered(uid, &known, Call::Create, &fails, None, now), "{uid}");
    }
}

#[test]
fn a_refused_limit_holds_all_enis_of_the_type_back_and_one_is_tried_each_hour() {
    for is_known in [false, true] {
        let mut gate = InstanceTypeGate::default();
        let third = subject(2, 3, is_known);
        gate.sent("a", &third, at(0));
        assert!(refuse(&mut gate, "a", &third, 2), "those that wait for this one are woken to report it");
        let Some(Hold::Refused(failure, next)) = gate.holds_back("b", &third, at(3)) else { panic!("{gate:?}") };
        assert_eq!((failure.code.as_str(), next), ("AttachmentLimitExceeded", at(3602)));
        assert!(gate.holds_back("b", &subject(9, 7, is_known), at(3)).is_some(), "more interfaces are refused too");
        assert_eq!(gate.holds_back("b", &subject(2, 2, true), at(3)), None, "fewer are not");
        let other = Subject { kind: "m5.large", is_known: true, ..third };
        assert_eq!(gate.holds_back("b", &other, at(3)), None);
        assert_eq!(gate.holds_back("b", &third, at(3602)), None);
        gate.sent("b", &third, at(3602));
        assert!(gate.holds_back("c", &third, at(3602)).is_some(), "one is tried");
        refuse(&mut gate, "b", &third, 3604);
        assert!(gate.holds_back("c", &third, at(3605)).is_some());
        // EC2 attaches it after all.
        assert!(gate.answered("b", &third, Call::Attach, &Ok(()), None, at(3700)));
        assert_eq!(gate.holds_back("c", &third, at(3700)), None);
    }
}

/// Volumes of one instance count toward the limit.
#[test]
fn a_number_that_another_instance_has_is_no_limit_of_the_type() {
    let mut gate = InstanceTypeGate::default();
    let third = subject(2, 3, true);
    assert!(!gate.answered("a", &third, Call::Attach, &Ok(()), None, at(0)));
    refuse(&mut gate, "b", &third, 1);
    assert_eq!(gate.holds_back("c", &third, at(2)), None);
    refuse(&mut gate, "b", &subject(3, 4, true), 3);
    assert!(gate.holds_back("c", &subject(3, 4, true), at(4)).is_some());
}

#[test]
fn each_kind_of_limit_applies_to_what_asks_for_as_much() {
    // The device indexes 9 and 1 are held: both, the first or none.
    let rows = [
        ("InvalidParameterValue", "Invalid device index 9 for network card 0 on m9.large", Some((8, 2))),
        ("InvalidParameterValue", "Network card index 0 does not exist on m9.large", Some((1, 1))),
        ("InvalidParameterValue", "Instance 'i-1' already has an interface attached at device index '9'.", None),
        ("InvalidParameterCombination", "not in the same availability zone", None),
        ("InvalidInterface.IpAddressLimitExceeded", "Address count 1 exceeds the limit", Some((1, 1))),
    ];
    for (code, message, applies) in rows {
        let mut gate = InstanceTypeGate::default();
        let refused = refusal(code, message);
        gate.answered("a", &subject(9, 3, false), Call::Attach, &refused, Some(&failure(&refused, 1)), at(1));
        let is_held = |index| matches!(gate.holds_back("b", &subject(index, 2, false), at(2)), Some(Hold::Refused(..)));
        assert_eq!(
            (is_held(9), is_held(1)),
            (applies.is_some(), applies.is_some_and(|(one, _)| one == 1)),
            "{message}"
        );
    }
}

/// A neighbour took the room between the last lookup and the Attach, or somebody gave the ENI more addresses.
#[test]
fn a_refusal_that_known_limits_explain_concerns_one_instance() {
    let rows = [
        ("AttachmentLimitExceeded", "Interface count 16 exceeds the limit for m9.large", true, false),
        ("AttachmentLimitExceeded", "the limit of attachments is reached", true, false),
        ("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m9.large", true, true),
        ("AttachmentLimitExceeded", "the limit of attachments is reached", false, true),
        ("InvalidInterface.IpAddressLimitExceeded", "Address count 1 on interface-1 exceeds the limit", true, false),
        ("InvalidInterface.IpAddressLimitExceeded", "Address count 7 on interface-1 exceeds the limit", false, false),
        ("InvalidInterface.IpAddressLimitExceeded", "Address count 1 on interface-1 exceeds the limit", false, true),
    ];
    for (code, message, is_known, is_held) in rows {
        let mut gate = InstanceTypeGate::default();
        let refused = refusal(code, message);
        let subject = subject(3, 4, is_known);
        gate.answered("a", &subject, Call::Attach, &refused, Some(&failure(&refused, 1)), at(1));
        assert_eq!(gate.holds_back("b", &subject, at(2)).is_some(), is_held, "{message} {is_known}");
    }
}

#[test]
fn a_new_process_restores_the_refusals_from_the_statuses() {
    let full = refusal("AttachmentLimitExceeded", "Interface count 3 exceeds the limit for m9.large");
    let third = subject(2, 3, true);
    let gate = InstanceTypeGate::from_statuses([].into_iter(), [(third, failure(&full, 100))].into_iter());
    assert!(matches!(gate.holds_back("b", &third, at(200)), Some(Hold::Refused(_, next)) if next == at(3700)));
    assert_eq!(gate.holds_back("b", &third, at(3700)), None);
}

#[test]
fn the_subject_counts_the_interfaces_and_the_older_eniattachments() {
    let (mut first, mut second) = (new_attachment("n0", 1, false), new_attachment("n0", 2, false));
    (first.created, second.created) = (at(1), at(2));
    let mut held = new_attachment("n0", 3, false);
    held.status.last_error = Some(multi_eni_api::eniattachment::LastError {
        action: "AttachNetworkInterface".to_owned(),
        code: "AttachmentLimitExceeded".to_owned(),
        ..Default::default()
    });
    let here = [held, first.clone(), second.clone()];
    let mut catalog = crate::observed::Ec2Catalog::default();
    let of = |attachment, catalog: &_| Subject::of(attachment, ("m9.large", catalog), None, here.iter());
    let (one, two) = (of(&first, &catalog), of(&second, &catalog));
    assert_eq!(
        (one.in_all, two.in_all, two.on_card),
        (2, 3, 3),
        "with the primary interface, and without the ENI that is held back"
    );
    assert_eq!((one.addresses, one.is_known, one.most), ((1, 0), false, None), "the type was not looked up");
    catalog.instance_types.insert("m9.large".to_owned(), None);
    assert!(!of(&first, &catalog).is_known);
    let limits = crate::observed::InstanceLimits { enis: 4, cards: vec![4], ipv4_per_eni: 10, ipv6_per_eni: 10 };
    catalog.instance_types.insert("m9.large".to_owned(), Some(limits));
    assert_eq!((of(&first, &catalog).is_known, of(&first, &catalog).most), (true, Some(4)));
}

#[test]
fn after_a_restart_an_attached_eni_shows_that_a_refused_number_concerns_one_instance() {
    let full = refusal("AttachmentLimitExceeded", "Interface count 3 exceeds the limit for m9.large");
    let failed = || [(subject(2, 3, true), failure(&full, 100))].into_iter();
    let gate = InstanceTypeGate::from_statuses([subject(2, 3, true)].into_iter(), failed());
    assert!(gate.closed() == 0 && gate.holds_back("b", &subject(2, 3, true), at(101)).is_none());
    let gate = InstanceTypeGate::from_statuses([subject(1, 2, true)].into_iter(), failed());
    assert!(gate.closed() == 1 && gate.holds_back("b", &subject(2, 3, true), at(101)).is_some());
}

#[test]
fn the_hourly_try_is_not_held_back_itself_and_is_repeated_if_its_create_fails() {
    let mut gate = InstanceTypeGate::default();
    let third = subject(2, 3, true);
    refuse(&mut gate, "a", &third, 0);
    gate.sent("b", &third, at(3600));
    assert_eq!(gate.holds_back("b", &third, at(3601)), None, "its own Create may wait for the rate limiter");
    assert!(gate.holds_back("c", &third, at(3601)).is_some());
    gate.answered("b", &third, Call::Create, &refusal("RequestLimitExceeded", ""), None, at(3602));
    assert!(gate.holds_back("c", &third, at(3661)).is_some() && gate.holds_back("b", &third, at(3661)).is_some());
    assert_eq!(gate.holds_back("c", &third, at(3662)), None, "a minute later another one may try");
}

#[test]
fn after_a_refused_index_one_eni_tries_the_next_lower_one_before_the_others() {
    let mut gate = InstanceTypeGate::default();
    let invalid = |index: i32| {
        refusal("InvalidParameterValue", &format!("Invalid device index {index} for network card 0 on m9.large"))
    };
    let refuse_index = |gate: &mut InstanceTypeGate, index: i32, seconds: i64| {
        let refused = invalid(index);
        let failure = failure(&refused, seconds);
        gate.answered("a", &subject(index, 2, true), Call::Attach, &refused, Some(&failure), at(seconds))
    };
    assert_eq!(gate.refused_index("m9.large", 0), None);
    refuse_index(&mut gate, 14, 1);
    let refused = (gate.refused_index("m9.large", 0), gate.refused_index("m9.large", 1), gate.refused_index("m5", 0));
    assert_eq!(refused, (Some(14), None, None));
    // The limits of the type are known, and yet one ENI comes first.
    let lower = subject(13, 2, true);
    assert_eq!(gate.holds_back("a", &lower, at(2)), None);
    gate.sent("a", &lower, at(2));
    assert_eq!(gate.holds_back("a", &lower, at(2)), None);
    assert_eq!(gate.holds_back("b", &lower, at(2)), Some(Hold::Probing(at(122))));
    assert!(refuse_index(&mut gate, 13, 3), "the others are woken to move down");
    assert_eq!(gate.refused_index("m9.large", 0), Some(13));
    assert!(matches!(gate.holds_back("b", &lower, at(4)), Some(Hold::Refused(..))));
    let fits = subject(12, 2, true);
    gate.sent("a", &fits, at(4));
    assert!(gate.holds_back("b", &fits, at(4)).is_some());
    assert!(gate.answered("a", &fits, Call::Attach, &Ok(()), None, at(5)));
    assert_eq!(gate.holds_back("b", &fits, at(5)), None);
    assert_eq!(gate.refused_index("m9.large", 0), Some(13), "an ENI at a lower index says nothing about this one");
    gate.answered("c", &subject(14, 2, true), Call::Attach, &Ok(()), None, at(6));
    assert_eq!(gate.refused_index("m9.large", 0), None, "EC2 attached an ENI there after all");
}

fn refuse_index(gate: &mut InstanceTypeGate, uid: &str, index: i32, seconds: i64) {
    let message = format!("Invalid device index {index} for network card 0 on m9.large");
    let refused = refusal("InvalidParameterValue", &message);
    let failure = failure(&refused, seconds);
    gate.answered(uid, &subject(index, 2, true), Call::Attach, &refused, Some(&failure), at(seconds));
}

#[test]
fn an_index_that_another_instance_has_is_no_limit_of_the_type() {
    let mut gate = InstanceTypeGate::default();
    gate.answered("a", &subject(13, 2, true), Call::Attach, &Ok(()), None, at(0));
    for index in [13, 12, 1] {
        refuse_index(&mut gate, "b", index, 1);
        assert_eq!((gate.closed(), gate.refused_index("m9.large", 0)), (0, None), "{index}");
    }
    refuse_index(&mut gate, "b", 14, 2);
    assert_eq!(gate.refused_index("m9.large", 0), Some(14), "nothing has shown that EC2 attaches an ENI there");
}

/// One instance that takes no index at all: the other instances of the type find the highest index again.
#[test]
fn the_lowest_refused_index_is_tried_each_hour_and_each_success_opens_the_next() {
    let mut gate = InstanceTypeGate::default();
    for index in [3, 2, 1] {
        refuse_index(&mut gate, "odd", index, i64::from(4 - index));
    }
    let closed = |gate: &InstanceTypeGate, uid, now| gate.closed_index("m9.large", 0, uid, at(now));
    assert_eq!((closed(&gate, None, 3602), closed(&gate, None, 3603)), (Some(1), Some(2)));
    gate.sent("a", &subject(1, 2, true), at(3603));
    assert_eq!((closed(&gate, None, 3603), closed(&gate, Some("b"), 3603)), (Some(1), Some(1)), "one is tried");
    assert_eq!(closed(&gate, Some("a"), 3603), Some(3), "the try itself stays there");
    let throttled = refusal("RequestLimitExceeded", "");
    let failed = failure(&throttled, 3604);
    gate.answered("a", &subject(1, 2, true), Call::Attach, &throttled, Some(&failed), at(3604));
    assert_eq!(closed(&gate, Some("a"), 3604), Some(3), "its Attach is repeated");
    gate.answered("a", &subject(1, 2, true), Call::Attach, &Ok(()), None, at(3605));
    assert_eq!(closed(&gate, None, 3605), Some(3), "the next one may be tried at once");
    gate.sent("b", &subject(2, 2, true), at(3606));
    refuse_index(&mut gate, "b", 2, 3607);
    assert_eq!((closed(&gate, Some("b"), 3608), closed(&gate, None, 7207)), (Some(2), Some(3)));
}

/// Otherwise the others wait until the time for a probe is over.
#[test]
fn a_probe_whose_attach_fails_for_another_reason_lets_another_eni_be_tried() {
    let mut gate = InstanceTypeGate::default();
    let unknown = subject(1, 2, false);
    gate.sent("a", &unknown, at(0));
    assert!(gate.holds_back("b", &unknown, at(1)).is_some());
    let failed = refusal("IncorrectState", "Instance 'i-1' is not 'running' or 'stopped'.");
    let is_woken = gate.answered("a", &unknown, Call::Attach, &failed, Some(&failure(&failed, 2)), at(2));
    assert_eq!((is_woken, gate.holds_back("b", &unknown, at(2))), (true, None));
}

/// A NodeENI is deleted while its ENI is the one that is tried: nobody waits for an Attach that never comes.
#[test]
fn a_try_whose_eniattachment_is_deleted_holds_nobody_back() {
    for is_known in [true, false] {
        let mut gate = InstanceTypeGate::default();
        let first = subject(1, 2, is_known);
        gate.sent("a", &first, at(0));
        assert!(gate.holds_back("b", &first, at(1)).is_some());
        assert_eq!(
            (gate.left("b", at(1)), gate.holds_back("b", &first, at(1)).is_some()),
            (false, true),
            "not the try"
        );
        assert_eq!((gate.left("a", at(1)), gate.holds_back("b", &first, at(1))), (true, None), "{is_known}");
        assert!(!gate.left("a", at(2)), "others are woken once");
    }
    // The hourly try of a refused limit is repeated after a minute.
    let mut gate = InstanceTypeGate::default();
    refuse_index(&mut gate, "odd", 3, 0);
    gate.sent("a", &subject(3, 2, true), at(3600));
    gate.left("a", at(3601));
    let held = |now| gate.holds_back("b", &subject(3, 2, true), at(now)).is_some();
    assert_eq!([3602, 3660, 3661].map(held), [true, true, false]);
}

//! Tests of what a process may send again: `backs-off`, `nothing-for-the-dead`, and `said`.

use super::requests::process;
use super::*;
use crate::checker::backoff::{Answer, FREE, LONGEST, LONGEST_PASSING, Repeats, Request};
use multi_eni_sim::ec2::Incoming;
use multi_eni_sim::kube::RequestInfo;

fn request(what: &str) -> Request {
    let about = vec![format!("about {what}")];
    Request { what: what.to_owned(), may: "kind".to_owned(), about, ..Request::default() }
}

fn refused(code: &str) -> Answer {
    Answer::Refused(code.to_owned())
}

/// Sends one request at these times, each with its answer. Returns why the last one was too early.
fn sent(at: &[Millis], answer: &dyn Fn(usize) -> Answer) -> Option<String> {
    let (mut repeats, request) = (Repeats::default(), request("delete x"));
    let mut early = None;
    for (n, at) in at.iter().enumerate() {
        early = repeats.sends(REPLICA, &request, *at);
        repeats.ended(REPLICA, &request, answer(n));
    }
    early
}

/// The free attempts at once, and then attempts after these waits.
fn waits(waits: &[Millis]) -> Vec<Millis> {
    let free = usize::try_from(FREE).unwrap();
    let mut at = vec![0; free];
    for wait in waits {
        at.push(at.last().unwrap() + wait);
    }
    at
}

#[test]
fn a_repetition_with_the_same_answer_before_the_back_off_allows_it_breaks_backs_off() {
    let refuses = |_| refused("InvalidNetworkInterface.InUse");
    assert_eq!(sent(&waits(&[500, 1_000, 2_000, 4_000]), &refuses), None);
    let early = sent(&waits(&[500, 1_000, 2_000, 3_999]), &refuses).unwrap();
    assert!(early.contains("a1 repeats delete x after 3999 ms") && early.contains("the minimum is 4000 ms"), "{early}");
    assert!(sent(&waits(&[499]), &refuses).is_some());
    assert_eq!(sent(&waits(&[499]), &|n| refused(&n.to_string())), None, "another answer each time");
    assert_eq!(sent(&waits(&[499]), &|_| Answer::Changed), None);
    assert!(sent(&waits(&[499]), &|_| Answer::Nothing).is_some(), "success that changes nothing");
    assert_eq!(sent(&waits(&[499]), &|n| if n == 2 { Answer::Changed } else { refused("422") }), None);
}

#[test]
fn the_required_wait_has_a_maximum_which_is_shorter_for_transient_errors() {
    let long = |answer: &Answer, last: Millis| {
        let mut waits: Vec<Millis> = (0..20).map(|_| LONGEST).collect();
        waits.push(last);
        sent(&self::waits(&waits), &|_| answer.clone())
    };
    assert_eq!(long(&refused("422"), LONGEST / 2), None);
    assert!(long(&refused("422"), LONGEST / 2 - 1).is_some());
    assert_eq!(long(&refused("UnauthorizedOperation"), LONGEST_PASSING / 2), None);
    assert!(long(&refused("UnauthorizedOperation"), LONGEST_PASSING / 2 - 1).is_some());
}

/// A streak with one minute's waits, then news, then two attempts in quick succession.
fn with_news(topic: &str, by: &str, answer: &Answer, early: [Millis; 2]) -> Option<String> {
    let (mut repeats, request) = (Repeats::default(), request("delete x"));
    let mut at = 0;
    for _ in 0..12 {
        assert_eq!(repeats.sends(REPLICA, &request, at), None);
        repeats.ended(REPLICA, &request, answer.clone());
        at += LONGEST;
    }
    repeats.news(topic.to_owned(), by, at - LONGEST + 1);
    let mut how = None;
    for wait in early {
        how = how.or_else(|| repeats.sends(REPLICA, &request, at - LONGEST + wait));
        repeats.ended(REPLICA, &request, answer.clone());
    }
    how
}

#[test]
fn news_of_the_target_excuses_a_request_unless_the_process_caused_it() {
    let lasting = refused("422");
    let soon = [2, 3];
    assert_eq!(with_news("about delete x", KUBECTL, &lasting, soon), None);
    assert_eq!(with_news("about delete x", "", &lasting, soon), None);
    assert!(with_news("about delete x", REPLICA, &lasting, soon).is_some());
    assert!(with_news("about another", KUBECTL, &lasting, soon).is_some());
    // A success of another request shows that the permission exists, but nothing about an object that is refused.
    assert_eq!(with_news("may kind", "", &refused("403"), soon), None);
    assert!(with_news("may kind", "", &lasting, soon).is_some());
}

#[test]
fn another_process_and_another_term_begin_without_streaks() {
    let (mut repeats, request) = (Repeats::default(), request("delete x"));
    for _ in 0..FREE {
        assert_eq!(repeats.sends(REPLICA, &request, 0), None);
        repeats.ended(REPLICA, &request, refused("422"));
    }
    assert_eq!(repeats.sends("a2", &request, 1), None);
    repeats.forget(REPLICA);
    assert_eq!(repeats.sends(REPLICA, &request, 1), None);
}

fn incoming(number: u64, action: &str, parameters: &[(&str, &str)]) -> Incoming {
    Incoming {
        number,
        at: Timestamp::UNIX_EPOCH,
        action: action.to_owned(),
        parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        user_agent: REPLICA.to_owned(),
    }
}

/// Deletes the ENI every second, with this outcome.
fn deletes(outcome: &Outcome, between: &dyn Fn(&mut World, u64)) -> World {
    let mut world = World::settled();
    for number in 1..10 {
        let at = LATER + number * 1_000;
        let call = incoming(number, "DeleteNetworkInterface", &[("NetworkInterfaceId", ENI)]);
        world.state.sends_ec2(at, &process(1), &call);
        let record = CallRecord { number, outcome: outcome.clone(), ..super::call(REPLICA, "DeleteNetworkInterface") };
        world.state.ec2(at + 1, &Happening::Landed(&record));
        between(&mut world, at + 2);
    }
    world
}

#[test]
fn a_call_that_is_refused_each_second_breaks_backs_off() {
    let refused = Outcome::Refused("InvalidNetworkInterface.InUse".to_owned());
    breaks(&deletes(&refused, &|_, _| ()), Invariant::BacksOff, "repeats DeleteNetworkInterface eni-00000001");
    breaks(&deletes(&Outcome::Done, &|_, _| ()), Invariant::BacksOff, "ended with Nothing");
    // Someone else changes its ENIAttachment each time.
    holds(&deletes(&refused, &|world, at| {
        world.writes(
            at,
            KUBECTL,
            "eniattachments",
            ATTACHMENT,
            ["metadata", "annotations"],
            json!({ "seen": at.to_string() }),
        );
    }));
    let own = deletes(&refused, &|world, at| {
        world.writes(at, REPLICA, "eniattachments", ATTACHMENT, ["status", "attempt"], json!(at % 7));
    });
    breaks(&own, Invariant::BacksOff, "repeats DeleteNetworkInterface eni-00000001");
}

/// Creates an ENIAttachment again and again, with this answer.
fn creates(status: Option<u16>, every: Millis) -> World {
    let mut world = World::settled();
    let body = serde_json::to_vec(&attachment_object("e1-2", "", 2)).unwrap();
    let info = RequestInfo {
        verb: "create".to_owned(),
        group: GROUP.to_owned(),
        resource: "eniattachments".to_owned(),
        ..RequestInfo::default()
    };
    for number in 0..10 {
        let at = LATER + number * every;
        let write = world.state.write_begins(at, &process(1), &info, &body).unwrap();
        world.state.write_ends(&process(1), &(at, write), status);
    }
    world
}

#[test]
fn a_write_that_is_refused_each_second_breaks_backs_off() {
    let words = "a1 repeats create eniattachments.networking.k8s.aws e1-2 after 1000 ms";
    breaks(&creates(Some(422), 1_000), Invariant::BacksOff, words);
    breaks(&creates(None, 1_000), Invariant::BacksOff, words);
    holds(&creates(Some(201), 1_000));
    holds(&creates(Some(422), 40_000));
}

#[test]
fn a_call_for_a_terminated_instance_breaks_nothing_for_the_dead() {
    let attach = |dead: &[&str], later: Millis| {
        let mut world = World::settled();
        world.state.poll(LATER, dead.iter().map(|id| (*id).to_owned()).collect());
        let call = incoming(1, "AttachNetworkInterface", &[("NetworkInterfaceId", ENI), ("InstanceId", INSTANCE)]);
        world.state.sends_ec2(LATER + later, &process(1), &call);
        world
    };
    let words = "a1 sends AttachNetworkInterface for i-00000001, which has been shutting down";
    breaks(&attach(&[INSTANCE], MAX_STALENESS + 1), Invariant::NothingForTheDead, words);
    holds(&attach(&[INSTANCE], MAX_STALENESS));
    holds(&attach(&["i-00000002"], MAX_STALENESS + 1));
    let create = |uid: &str| {
        let mut world = World::settled();
        world.state.poll(LATER, [INSTANCE.to_owned()].into());
        let tags = [("TagSpecification.1.Tag.2.Key", TAG_ATTACHMENT_UID), ("TagSpecification.1.Tag.2.Value", uid)];
        world.state.sends_ec2(LATER + MAX_STALENESS + 1, &process(1), &incoming(1, "CreateNetworkInterface", &tags));
        world
    };
    breaks(&create(ATTACHMENT_UID), Invariant::NothingForTheDead, "a1 sends CreateNetworkInterface for i-00000001");
    holds(&create("another"));
    // A process that has just started may not know yet.
    let mut world = World::settled();
    world.state.poll(LATER, [INSTANCE.to_owned()].into());
    world.state.last_begun = LATER + 1;
    let call = incoming(1, "AttachNetworkInterface", &[("InstanceId", INSTANCE)]);
    world.state.sends_ec2(LATER + MAX_STALENESS + 1, &process(1), &call);
    holds(&world);
}

/// A Delete of an ENI is refused twice, and its NodeENI has these conditions.
fn refused_for_long(conditions: Value, leaves: bool, lasts: Millis) -> World {
    let mut world = World::settled();
    if leaves {
        world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        world.has(LATER, &By::Time, made(ENI, ATTACHMENT_UID));
    }
    world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], conditions);
    for (number, at) in [(1, LATER), (2, LATER + lasts)] {
        let call = incoming(number, "DeleteNetworkInterface", &[("NetworkInterfaceId", ENI)]);
        world.state.sends_ec2(at, &process(1), &call);
        let outcome = Outcome::Refused("InvalidNetworkInterface.InUse".to_owned());
        let record = CallRecord { number, outcome, ..super::call(REPLICA, "DeleteNetworkInterface") };
        world.state.ec2(at, &Happening::Landed(&record));
    }
    world.state.poll(LATER + lasts, std::collections::BTreeSet::new());
    world
}

#[test]
fn a_refusal_that_is_not_reported_for_minutes_breaks_said() {
    let words =
        "for ENIAttachment e1-1: DeleteNetworkInterface has been refused (InvalidNetworkInterface.InUse) for 300 s";
    let well = || condition("Degraded", "False", "AsExpected");
    breaks(&refused_for_long(well(), true, 300_000), Invariant::Said, words);
    breaks(&refused_for_long(condition("Ready", "True", "AllReady"), true, 300_000), Invariant::Said, "reports Ready");
    breaks(&refused_for_long(json!(null), true, 300_000), Invariant::Said, "reports nothing");
    holds(&refused_for_long(well(), true, 299_999));
    holds(&refused_for_long(well(), false, 300_000));
    holds(&refused_for_long(condition("Degraded", "True", "Refused"), true, 300_000));
    // To report progress is not enough.
    breaks(&refused_for_long(condition("Progressing", "True", "Working"), true, 300_000), Invariant::Said, words);
}

#[test]
fn a_new_leader_must_report_only_its_own_repeated_refusals() {
    let code = Some("InvalidNetworkInterface.InUse");
    let world = |again: bool| {
        let mut world = refused_for_long(condition("Degraded", "False", "AsExpected"), true, 1_000);
        world.state.refusals.counted_anew(LATER + 2_000);
        world.state.refusals.ended(LATER + 2_500, ATTACHMENT, "DeleteNetworkInterface", code);
        if again {
            world.state.refusals.ended(LATER + 302_500, ATTACHMENT, "DeleteNetworkInterface", code);
        }
        world.state.poll(LATER + 302_500, std::collections::BTreeSet::new());
        world
    };
    holds(&world(false));
    breaks(&world(true), Invariant::Said, "for 300 s");
}

#[test]
fn earlier_refusals_are_over_after_a_new_attachment_or_a_new_object() {
    let well = || condition("Degraded", "False", "AsExpected");
    let at = LATER + 300_000;
    let later = |attached: bool| {
        let mut world = refused_for_long(well(), true, 299_999);
        world.state.refusals.ended(at, ATTACHMENT, "DeleteNetworkInterface", Some("InvalidNetworkInterface.InUse"));
        if attached {
            world.has(at, &By::Time, on(made(ENI, ATTACHMENT_UID), 1, AttachmentStatus::Attached));
        }
        world.state.poll(at, std::collections::BTreeSet::new());
        if attached {
            // The attachment came and ended: a Delete is necessary anew.
            world.has(at, &By::Time, made(ENI, ATTACHMENT_UID));
            world.state.poll(at, std::collections::BTreeSet::new());
        }
        world
    };
    breaks(&later(false), Invariant::Said, "DeleteNetworkInterface has been refused");
    holds(&later(true));

    let torn = |anew: bool| {
        let mut world = World::settled();
        world.deletes(LATER, KUBECTL, "eniattachments", ATTACHMENT);
        world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], well());
        for at in [LATER, at] {
            world.state.refusals.ended(at, ATTACHMENT, "patch eniattachments.networking.k8s.aws", Some("404"));
        }
        if anew {
            let object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
            world.lets_go(at, KUBECTL, "eniattachments", ATTACHMENT);
            world.stores(at, REPLICA, "eniattachments", object);
        }
        world.state.poll(at, std::collections::BTreeSet::new());
        world
    };
    breaks(&torn(false), Invariant::Said, "patch eniattachments.networking.k8s.aws has been refused (404)");
    holds(&torn(true));
}

#[test]
fn a_refusal_of_a_request_that_is_not_needed_any_more_is_over() {
    let refused = |what: &str, twice: [Millis; 2], status: Value, at: Millis| {
        let mut world = World::settled();
        world.has_no(LATER, &By::Hand, ENI);
        let well = condition("Degraded", "False", "AsExpected");
        world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], well);
        world.writes(LATER, REPLICA, "eniattachments", ATTACHMENT, ["status", "conditions"], status);
        for after in twice {
            world.state.refusals.ended(LATER + after, ATTACHMENT, what, Some("403"));
        }
        world.state.poll(LATER + at, std::collections::BTreeSet::new());
        world
    };
    let waits = || condition("Ready", "False", "Creating");
    // A write that was refused for only four seconds would have been sent again long ago.
    let patch = "patch eniattachments.networking.k8s.aws";
    holds(&refused(patch, [0, 4_000], waits(), 393_000));
    breaks(&refused(patch, [0, 200_000], waits(), 393_000), Invariant::Said, "has been refused (403) for 393 s");
    // The controller creates nothing for an instance that it believes to be gone.
    let create = "CreateNetworkInterface";
    breaks(&refused(create, [0, 4_000], waits(), 393_000), Invariant::Said, "CreateNetworkInterface has been refused");
    holds(&refused(create, [0, 4_000], condition("Ready", "False", "InstanceGone"), 393_000));
}

#[test]
fn a_refused_create_is_over_when_ec2_attaches_the_eni_of_an_earlier_create() {
    let create = "CreateNetworkInterface";
    let found = |status: Option<AttachmentStatus>| {
        let mut world = World::settled();
        world.has(LATER, &By::Time, made(ENI, ATTACHMENT_UID));
        let well = condition("Degraded", "False", "AsExpected");
        world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], well);
        for after in [0, 4_000] {
            world.state.refusals.ended(LATER + after, ATTACHMENT, create, Some("UnauthorizedOperation"));
        }
        if let Some(status) = status {
            world.has(LATER + 5_000, &By::Time, on(made(ENI, ATTACHMENT_UID), 1, status));
        }
        world.state.poll(LATER + 393_000, std::collections::BTreeSet::new());
        world
    };
    holds(&found(Some(AttachmentStatus::Attaching)));
    breaks(&found(None), Invariant::Said, "CreateNetworkInterface has been refused");
}

#[test]
fn a_reported_refusal_has_three_minutes_to_be_reported_again() {
    let anew = |reported: Millis| {
        let mut world = World::settled();
        world.has_no(LATER, &By::Hand, ENI);
        world.writes(
            LATER,
            REPLICA,
            "nodeenis",
            NODEENI,
            ["status", "conditions"],
            condition("Degraded", "True", "Refused"),
        );
        world.state.poll(reported, std::collections::BTreeSet::new());
        world.writes(
            reported,
            REPLICA,
            "nodeenis",
            NODEENI,
            ["status", "conditions"],
            condition("Degraded", "False", "AsExpected"),
        );
        world.state.refusals.ended(LATER, ATTACHMENT, "CreateNetworkInterface", Some("InvalidGroup.NotFound"));
        let mut object = world.objects[&("eniattachments", ATTACHMENT.to_owned())].clone();
        object["status"] = Value::Null;
        world.lets_go(LATER, REPLICA, "eniattachments", ATTACHMENT);
        world.stores(LATER, REPLICA, "eniattachments", object);
        let at = LATER + 300_000;
        world.state.refusals.ended(at, ATTACHMENT, "CreateNetworkInterface", Some("InvalidGroup.NotFound"));
        world.state.poll(at, std::collections::BTreeSet::new());
        world
    };
    breaks(
        &anew(LATER + 119_999),
        Invariant::Said,
        "CreateNetworkInterface has been refused (InvalidGroup.NotFound) for 300 s",
    );
    holds(&anew(LATER + 120_000));
}

//! What a process may send again: `backs-off`, `nothing-for-the-dead`, and `said`.

use super::requests::life;
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

/// Sends one request at these times, each ended so; how the last one was too early.
fn sent(at: &[Millis], answer: &dyn Fn(usize) -> Answer) -> Option<String> {
    let (mut repeats, request) = (Repeats::default(), request("delete x"));
    let mut early = None;
    for (n, at) in at.iter().enumerate() {
        early = repeats.sends(REPLICA, &request, *at);
        repeats.ended(REPLICA, &request, answer(n));
    }
    early
}

/// The first tries at once, and then after these waits.
fn waits(waits: &[Millis]) -> Vec<Millis> {
    let free = usize::try_from(FREE).unwrap();
    let mut at = vec![0; free];
    for wait in waits {
        at.push(at.last().unwrap() + wait);
    }
    at
}

#[test]
fn the_same_with_the_same_answer_breaks_it_when_it_comes_before_the_back_off_allows() {
    let refuses = |_| refused("InvalidNetworkInterface.InUse");
    assert_eq!(sent(&waits(&[500, 1_000, 2_000, 4_000]), &refuses), None);
    let early = sent(&waits(&[500, 1_000, 2_000, 3_999]), &refuses).unwrap();
    assert!(early.contains("a1 repeats delete x after 3999 ms") && early.contains("4000 ms are the least"), "{early}");
    assert!(sent(&waits(&[499]), &refuses).is_some());
    assert_eq!(sent(&waits(&[499]), &|n| refused(&n.to_string())), None, "another answer each time");
    assert_eq!(sent(&waits(&[499]), &|_| Answer::Changed), None);
    assert!(sent(&waits(&[499]), &|_| Answer::Nothing).is_some(), "success that changes nothing");
    assert_eq!(sent(&waits(&[499]), &|n| if n == 2 { Answer::Changed } else { refused("422") }), None);
}

#[test]
fn it_never_has_to_wait_longer_than_the_longest_and_less_for_what_passes() {
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

/// A streak of one minute's waits, news at some time, and two tries more at once.
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
fn news_of_its_target_is_an_excuse_and_ones_own_doing_is_none() {
    let lasting = refused("422");
    let soon = [2, 3];
    assert_eq!(with_news("about delete x", PEOPLE, &lasting, soon), None);
    assert_eq!(with_news("about delete x", "", &lasting, soon), None);
    assert!(with_news("about delete x", REPLICA, &lasting, soon).is_some());
    assert!(with_news("about another", PEOPLE, &lasting, soon).is_some());
    // Another's success shows that a permission is there, and nothing of an object that is refused.
    assert_eq!(with_news("may kind", "", &refused("403"), soon), None);
    assert!(with_news("may kind", "", &lasting, soon).is_some());
}

#[test]
fn another_process_and_another_term_begin_anew() {
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

/// A Delete of our ENI is sent every second, and EC2 answers so.
fn deletes(outcome: &Outcome, between: &dyn Fn(&mut World, u64)) -> World {
    let mut world = World::settled();
    for number in 1..10 {
        let at = LATER + number * 1_000;
        let call = incoming(number, "DeleteNetworkInterface", &[("NetworkInterfaceId", ENI)]);
        world.state.sends_ec2(at, &life(1), &call);
        let record = CallRecord { number, outcome: outcome.clone(), ..super::call(REPLICA, "DeleteNetworkInterface") };
        world.state.ec2(at + 1, &Happening::Landed(&record));
        between(&mut world, at + 2);
    }
    world
}

#[test]
fn a_call_that_is_refused_each_second_breaks_it() {
    let refused = Outcome::Refused("InvalidNetworkInterface.InUse".to_owned());
    breaks(&deletes(&refused, &|_, _| ()), Promise::BacksOff, "repeats DeleteNetworkInterface eni-00000001");
    breaks(&deletes(&Outcome::Done, &|_, _| ()), Promise::BacksOff, "ended so: Nothing");
    // Somebody else does something with its ENIAttachment each time.
    holds(&deletes(&refused, &|world, at| {
        world.writes(
            at,
            PEOPLE,
            "eniattachments",
            HELD,
            ["metadata", "annotations"],
            json!({ "seen": at.to_string() }),
        );
    }));
    let own = deletes(&refused, &|world, at| {
        world.writes(at, REPLICA, "eniattachments", HELD, ["status", "attempt"], json!(at % 7));
    });
    breaks(&own, Promise::BacksOff, "repeats DeleteNetworkInterface eni-00000001");
}

/// An ENIAttachment is created every second, and the API server answers so.
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
        let asked = world.state.asks(at, &life(1), &info, &body).unwrap();
        world.state.ended(&life(1), &(at, asked), status);
    }
    world
}

#[test]
fn a_write_that_is_refused_each_second_breaks_it() {
    let words = "a1 repeats create eniattachments.networking.k8s.aws e1-2 after 1000 ms";
    breaks(&creates(Some(422), 1_000), Promise::BacksOff, words);
    breaks(&creates(None, 1_000), Promise::BacksOff, words);
    holds(&creates(Some(201), 1_000));
    holds(&creates(Some(422), 40_000));
}

#[test]
fn what_is_sent_for_an_instance_long_dead_breaks_nothing_for_the_dead() {
    let attach = |dead: &[&str], later: Millis| {
        let mut world = World::settled();
        world.state.looks(LATER, dead.iter().map(|id| (*id).to_owned()).collect());
        let call = incoming(1, "AttachNetworkInterface", &[("NetworkInterfaceId", ENI), ("InstanceId", INSTANCE)]);
        world.state.sends_ec2(LATER + later, &life(1), &call);
        world
    };
    let words = "a1 sends AttachNetworkInterface for i-00000001, which is dead";
    breaks(&attach(&[INSTANCE], PICTURE + 1), Promise::NothingForTheDead, words);
    holds(&attach(&[INSTANCE], PICTURE));
    holds(&attach(&["i-00000002"], PICTURE + 1));
    let create = |uid: &str| {
        let mut world = World::settled();
        world.state.looks(LATER, [INSTANCE.to_owned()].into());
        let tags = [("TagSpecification.1.Tag.2.Key", TAG_ATTACHMENT_UID), ("TagSpecification.1.Tag.2.Value", uid)];
        world.state.sends_ec2(LATER + PICTURE + 1, &life(1), &incoming(1, "CreateNetworkInterface", &tags));
        world
    };
    breaks(&create(HELD_UID), Promise::NothingForTheDead, "a1 sends CreateNetworkInterface for i-00000001");
    holds(&create("another"));
    // Who begins anew has not looked yet.
    let mut world = World::settled();
    world.state.looks(LATER, [INSTANCE.to_owned()].into());
    world.state.last_begun = LATER + 1;
    let call = incoming(1, "AttachNetworkInterface", &[("InstanceId", INSTANCE)]);
    world.state.sends_ec2(LATER + PICTURE + 1, &life(1), &call);
    holds(&world);
}

/// Deletes of a leaving ENI are refused for six minutes, and this is what its NodeENI says.
fn refused_for_long(conditions: Value, leaves: bool, lasts: Millis) -> World {
    let mut world = World::settled();
    if leaves {
        world.deletes(LATER, PEOPLE, "eniattachments", HELD);
        world.has(LATER, &By::Time, made(ENI, HELD_UID));
    }
    world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], conditions);
    for (number, at) in [(1, LATER), (2, LATER + lasts)] {
        let call = incoming(number, "DeleteNetworkInterface", &[("NetworkInterfaceId", ENI)]);
        world.state.sends_ec2(at, &life(1), &call);
        let outcome = Outcome::Refused("InvalidNetworkInterface.InUse".to_owned());
        let record = CallRecord { number, outcome, ..super::call(REPLICA, "DeleteNetworkInterface") };
        world.state.ec2(at, &Happening::Landed(&record));
    }
    world.state.looks(LATER + lasts, std::collections::BTreeSet::new());
    world
}

#[test]
fn what_is_refused_for_minutes_and_not_said_breaks_said() {
    let words = "of e1-1: DeleteNetworkInterface has been refused (InvalidNetworkInterface.InUse) for 300 s";
    let well = || condition("Degraded", "False", "AsExpected");
    breaks(&refused_for_long(well(), true, 300_000), Promise::Said, words);
    breaks(&refused_for_long(condition("Ready", "True", "AllReady"), true, 300_000), Promise::Said, "says Ready");
    breaks(&refused_for_long(json!(null), true, 300_000), Promise::Said, "says nothing");
    holds(&refused_for_long(well(), true, 299_999));
    holds(&refused_for_long(well(), false, 300_000));
    holds(&refused_for_long(condition("Degraded", "True", "Refused"), true, 300_000));
    // That it is under way is not enough.
    breaks(&refused_for_long(condition("Progressing", "True", "Working"), true, 300_000), Promise::Said, words);
}

#[test]
fn of_a_new_leader_its_own_refusals_count_and_one_is_none_in_a_row() {
    let code = Some("InvalidNetworkInterface.InUse");
    let world = |again: bool| {
        let mut world = refused_for_long(condition("Degraded", "False", "AsExpected"), true, 1_000);
        world.state.refusals.counted_anew(LATER + 2_000);
        world.state.refusals.ended(LATER + 2_500, HELD, "DeleteNetworkInterface", code);
        if again {
            world.state.refusals.ended(LATER + 302_500, HELD, "DeleteNetworkInterface", code);
        }
        world.state.looks(LATER + 302_500, std::collections::BTreeSet::new());
        world
    };
    holds(&world(false));
    breaks(&world(true), Promise::Said, "for 300 s");
}

#[test]
fn what_was_refused_to_an_eni_that_has_come_loose_since_or_to_an_object_that_was_made_anew_is_over() {
    let well = || condition("Degraded", "False", "AsExpected");
    let at = LATER + 300_000;
    let later = |attached: bool| {
        let mut world = refused_for_long(well(), true, 299_999);
        world.state.refusals.ended(at, HELD, "DeleteNetworkInterface", Some("InvalidNetworkInterface.InUse"));
        if attached {
            world.has(at, &By::Time, on(made(ENI, HELD_UID), 1, AttachmentStatus::Attached));
        }
        world.state.looks(at, std::collections::BTreeSet::new());
        if attached {
            // It has come loose: Delete is asked for anew.
            world.has(at, &By::Time, made(ENI, HELD_UID));
            world.state.looks(at, std::collections::BTreeSet::new());
        }
        world
    };
    breaks(&later(false), Promise::Said, "DeleteNetworkInterface has been refused");
    holds(&later(true));

    let torn = |anew: bool| {
        let mut world = World::settled();
        world.deletes(LATER, PEOPLE, "eniattachments", HELD);
        world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], well());
        for at in [LATER, at] {
            world.state.refusals.ended(at, HELD, "patch eniattachments.networking.k8s.aws", Some("404"));
        }
        if anew {
            let object = world.objects[&("eniattachments", HELD.to_owned())].clone();
            world.lets_go(at, PEOPLE, "eniattachments", HELD);
            world.stores(at, REPLICA, "eniattachments", object);
        }
        world.state.looks(at, std::collections::BTreeSet::new());
        world
    };
    breaks(&torn(false), Promise::Said, "patch eniattachments.networking.k8s.aws has been refused (404)");
    holds(&torn(true));
}

#[test]
fn what_is_not_asked_for_any_more_is_over() {
    let refused = |what: &str, twice: [Millis; 2], status: Value, at: Millis| {
        let mut world = World::settled();
        world.has_no(LATER, &By::Hand, ENI);
        let well = condition("Degraded", "False", "AsExpected");
        world.writes(LATER, REPLICA, "nodeenis", NODEENI, ["status", "conditions"], well);
        world.writes(LATER, REPLICA, "eniattachments", HELD, ["status", "conditions"], status);
        for after in twice {
            world.state.refusals.ended(LATER + after, HELD, what, Some("403"));
        }
        world.state.looks(LATER + at, std::collections::BTreeSet::new());
        world
    };
    let waits = || condition("Ready", "False", "Creating");
    // A write that was tried for four seconds would have been tried again long since.
    let patch = "patch eniattachments.networking.k8s.aws";
    holds(&refused(patch, [0, 4_000], waits(), 393_000));
    breaks(&refused(patch, [0, 200_000], waits(), 393_000), Promise::Said, "has been refused (403) for 393 s");
    // Nothing is made for what is thought to be gone.
    let create = "CreateNetworkInterface";
    breaks(&refused(create, [0, 4_000], waits(), 393_000), Promise::Said, "CreateNetworkInterface has been refused");
    holds(&refused(create, [0, 4_000], condition("Ready", "False", "InstanceGone"), 393_000));
}

#[test]
fn what_was_said_has_three_minutes_when_another_is_asked_for() {
    let anew = |told: Millis| {
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
        world.state.looks(told, std::collections::BTreeSet::new());
        world.writes(
            told,
            REPLICA,
            "nodeenis",
            NODEENI,
            ["status", "conditions"],
            condition("Degraded", "False", "AsExpected"),
        );
        world.state.refusals.ended(LATER, HELD, "CreateNetworkInterface", Some("InvalidGroup.NotFound"));
        let mut object = world.objects[&("eniattachments", HELD.to_owned())].clone();
        object["status"] = Value::Null;
        world.lets_go(LATER, REPLICA, "eniattachments", HELD);
        world.stores(LATER, REPLICA, "eniattachments", object);
        let at = LATER + 300_000;
        world.state.refusals.ended(at, HELD, "CreateNetworkInterface", Some("InvalidGroup.NotFound"));
        world.state.looks(at, std::collections::BTreeSet::new());
        world
    };
    breaks(
        &anew(LATER + 119_999),
        Promise::Said,
        "CreateNetworkInterface has been refused (InvalidGroup.NotFound) for 300 s",
    );
    holds(&anew(LATER + 120_000));
}

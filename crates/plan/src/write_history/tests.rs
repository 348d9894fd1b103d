use super::*;
use crate::backoff::Content;
use jiff::SignedDuration;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn asked(write: Write, name: &str, what: u64) -> PendingWrite {
    let content = Content { what, ground: what };
    PendingWrite {
        target: Target { write, name: name.into() },
        content,
        nodeeni: "uid".into(),
        node: Some(format!("n-{name}")),
    }
}

fn create(name: &str) -> PendingWrite {
    asked(Write::CreateAttachment, name, 1)
}

fn refused(code: u16, words: &str) -> Outcome {
    Outcome::Refused(Answer { code: Some(code), words: words.into() })
}

#[test]
fn a_refused_write_delays_no_other_write_of_its_key() {
    let mut writes = Writes::default();
    writes.ended(&"n", create("a"), refused(422, "no"), at(0));
    assert!(writes.not_before(&"n", &create("a"), at(0)).is_some());
    assert_eq!(writes.not_before(&"n", &create("b"), at(0)), None);
    assert_eq!(writes.not_before(&"n", &asked(Write::DeleteAttachment, "a", 1), at(0)), None);
    assert_eq!(writes.not_before(&"m", &create("a"), at(0)), None);
}

#[test]
fn a_refusal_is_reported_on_the_nodeeni_until_it_ends() {
    let mut writes = Writes::default();
    for name in ["a", "b", "c"] {
        assert!(writes.ended(&name, create(name), refused(422, "denied by policy p"), at(0)).changed);
    }
    let problems = writes.problems("uid");
    assert_eq!((problems.len(), writes.failing()), (3, 3));
    let Problem { reason, message, node } = &problems[0];
    assert_eq!((*reason, node.as_deref()), ("APIServerRefused", Some("n-a")));
    assert!(message.contains("create 3 eniattachments, a among them, since 1970"), "{message}");
    assert!(message.contains("422 denied by policy p"), "{message}");
    assert!(writes.problems("another").is_empty());
    assert!(writes.ended(&"a", create("a"), Outcome::Taken, at(1)).changed);
    assert_eq!(writes.failing(), 2);
    assert!(writes.problems("uid")[0].message.contains("create 2 eniattachments, b among them"));
    assert!(writes.decided(&"b", &[], |_| true, at(1)).fewer.is_empty(), "it waits for a lookup");
    assert_eq!(writes.decided(&"b", &[], |_| false, at(1)).fewer, ["uid"], "the write is no longer decided");
    assert!(
        writes.not_before(&"b", &create("b"), at(0)).is_some(),
        "the write is not sent sooner when it is decided again"
    );
    writes.ended(&"a", asked(Write::GuardNodeEni, "a", 1), refused(403, "no"), at(1));
    let message = &writes.problems("uid")[0].message;
    assert!(message.starts_with("the API server has refused to patch nodeenis a since 1970"), "{message}");
    assert!(message.contains(" (1 other write is refused, too). Change"), "{message}");
    writes.forget(at(2), |_| false);
    assert!(writes.problems("uid").is_empty());
}

#[test]
fn an_outage_of_the_api_server_is_reported_from_the_second_time_on() {
    let mut writes = Writes::default();
    for (n, reported) in [(0, 0), (1, 1), (2, 1)] {
        writes.ended(&"n", create("a"), refused(500, "etcdserver: mvcc: database space exceeded"), at(n));
        assert_eq!(writes.problems("uid").len(), reported);
    }
    assert_eq!(writes.answers_again(), ["n"]);
    assert_eq!(writes.not_before(&"n", &create("a"), at(3)), None);
    writes.ended(&"m", create("b"), refused(403, "forbidden"), at(3));
    assert!(writes.answers_again().is_empty(), "a refusal is no outage, and a second wake changes nothing");
}

#[test]
fn messages_that_differ_by_a_number_are_logged_once_in_ten_minutes() {
    let mut writes = Writes::default();
    let mut lines = 0;
    for n in 0..20 {
        let name = format!("web-4f{n}");
        let words = format!("webhook denied {name}: request 7b{n} at 12:00:{n}");
        let news = writes.ended(&n, create(&name), refused(400, &words), at(n));
        lines += usize::from(news.line.is_some());
        let again = writes.ended(
            &n,
            create(&name),
            refused(400, &format!("webhook denied {name}: request 9c at 13:00")),
            at(n),
        );
        assert!(!again.changed && again.line.is_none());
    }
    assert_eq!(lines, 1);
    assert!(writes.ended(&0, create("web-4f0"), refused(400, "another reason"), at(30)).changed);
    assert!(writes.ended(&1, create("web-4f1"), refused(400, "webhook denied : request"), at(700)).line.is_some());
    assert!(writes.ended(&0, create("web-4f0"), Outcome::Taken, at(701)).line.is_some());
}

#[test]
fn each_success_wakes_a_few_refused_writes() {
    let mut writes = Writes::default();
    let mut now = 0;
    for n in 0..60 {
        for try_ in 0..9 {
            now = try_;
            writes.ended(&n, create(&format!("a{n}")), refused(422, "no"), at(now));
        }
    }
    let mut free = vec![0];
    let mut served = 0;
    while let Some(key) = free.pop() {
        assert!(key == 0 || writes.not_before(&key, &create(&format!("a{key}")), at(now + 1)).is_none());
        free.extend(writes.ended(&key, create(&format!("a{key}")), Outcome::Taken, at(now + 1)).woken);
        served += 1;
    }
    assert_eq!(served, 60, "one write detects the end of a refusal and wakes all others");
    assert_eq!(writes.refused, 0);
}

#[test]
fn a_conflict_is_no_refusal() {
    let mut writes = Writes::default();
    writes.ended(&"n", create("a"), Outcome::Outrun, at(0));
    assert!(writes.problems("uid").is_empty());
    assert!(writes.not_before(&"n", &create("a"), at(0)).is_some());
    assert_eq!(writes.not_before(&"n", &create("a"), at(1)), None);
}

#[test]
fn an_accepted_write_is_forgotten_after_ten_minutes() {
    let mut writes = Writes::default();
    writes.ended(&"n", create("a"), Outcome::Taken, at(0));
    writes.forget(at(599), |_| true);
    assert_eq!(writes.by_key.len(), 1);
    writes.forget(at(600), |_| true);
    assert!(writes.by_key.is_empty());
}

/// A webhook removes the finalizer each time, or a CRD of another version drops a field.
#[test]
fn an_accepted_write_that_does_not_last_is_reported() {
    let mut writes = Writes::default();
    let repair = || asked(Write::RepairAttachment, "a", 1);
    for n in 0..3 {
        assert!(!writes.ended(&"a", repair(), Outcome::Taken, at(n)).changed);
    }
    let news = writes.ended(&"a", repair(), Outcome::Taken, at(3));
    assert!(news.changed && news.line.is_some());
    let problems = writes.problems("uid");
    assert_eq!((problems[0].reason, problems[0].node.as_deref()), ("RepairUndone", Some("n-a")));
    assert!(problems[0].message.contains("finalizer, label and owner"), "{problems:?}");
    assert!(writes.ended(&"a", repair(), Outcome::Taken, at(300)).changed, "another end is said");
    // Nothing is decided for the key any more.
    assert!(writes.forget(at(899), |_| true).is_empty());
    assert_eq!(writes.forget(at(900), |_| true), ["uid"]);
    assert!(writes.problems("uid").is_empty());
}

/// A user strips the finalizer of a NodeENI four times, and then leaves it.
#[test]
fn a_repair_that_lasts_through_its_back_off_is_no_problem_any_more() {
    let (mut writes, repair) = (Writes::default(), asked(Write::GuardNodeEni, "a", 1));
    for n in 0..4 {
        writes.ended(&"a", repair.clone(), Outcome::Taken, at(n));
    }
    let until = writes.not_before(&"a", &repair, at(3)).unwrap();
    assert!((at(11)..=at(13)).contains(&until), "{until}");
    let end = format!("this report ends at {} if the content is still there", crate::message_time::second(until));
    assert!(writes.problems("uid")[0].message.contains(&end), "{:?}", writes.problems("uid"));
    // The content is there. It must last until then.
    let early = writes.decided(&"a", &[], |_| false, at(4));
    assert_eq!((early.fewer.len(), early.again, writes.problems("uid").len()), (0, Some(until), 1));
    // The content is missing again when the back-off is over.
    let missing = writes.decided(&"a", std::slice::from_ref(&repair.target), |_| false, until);
    assert_eq!((missing, writes.problems("uid").len()), (DecidedEffect::default(), 1));
    // It is not known whether the content is there.
    assert_eq!(writes.decided(&"a", &[], |_| true, until), DecidedEffect::default());
    let lasts = writes.decided(&"a", &[], |_| false, until);
    assert_eq!((lasts.fewer, lasts.again, writes.undone), (vec!["uid".to_owned()], None, 0));
    assert!(writes.problems("uid").is_empty());
    // The back-off stays: the next repair that does not last is reported at once.
    assert!(writes.ended(&"a", repair.clone(), Outcome::Taken, at(120)).changed);
    assert_eq!(writes.problems("uid").len(), 1);
    writes.decided(&"a", &[], |_| false, at(200));
    // A refusal is no accepted write.
    writes.ended(&"a", asked(Write::GuardNodeEni, "a", 2), refused(422, "no"), at(210));
    assert!(writes.problems("uid").iter().all(|problem| problem.reason != "RepairUndone"));
}

#[test]
fn a_request_of_a_user_ends_the_report_of_a_repair_that_is_there_and_the_back_off_of_one_that_is_missing() {
    let (mut writes, repair) = (Writes::default(), asked(Write::GuardNodeEni, "a", 1));
    for n in 0..9 {
        writes.ended(&"a", repair.clone(), Outcome::Taken, at(n));
    }
    let wanted = std::slice::from_ref(&repair.target);
    writes.wake_key(&"a", |_, _| true, at(20));
    assert_eq!(writes.decided(&"a", wanted, |_| false, at(20)), DecidedEffect::default(), "the content is missing");
    assert_eq!(writes.not_before(&"a", &repair, at(20)), None);
    assert_eq!(writes.problems("uid").len(), 1);
    assert_eq!(writes.decided(&"a", &[], |_| false, at(20)).fewer, ["uid"]);
    assert!(writes.problems("uid").is_empty());
}

#[test]
fn a_taint_that_is_set_again_and_again_is_no_problem_and_is_removed_at_growing_intervals() {
    let mut writes = Writes::default();
    let remove = || asked(Write::RemoveStartupTaint, "a", 1);
    for n in 0..9 {
        assert!(!writes.ended(&"a", remove(), Outcome::Taken, at(n)).changed);
    }
    assert!(writes.problems("uid").is_empty() && writes.not_before(&"a", &remove(), at(60)).is_some());
}

#[test]
fn a_write_that_conflicts_each_time_is_reported() {
    let mut writes = Writes::default();
    let news: Vec<bool> = (0..9).map(|n| writes.ended(&"a", create("a"), Outcome::Outrun, at(n)).changed).collect();
    assert_eq!(news.iter().position(|changed| *changed), Some(7), "{news:?}");
    assert!(writes.problems("uid")[0].message.contains("another client changes the object"));
    assert!(writes.ended(&"a", create("a"), Outcome::Taken, at(9)).changed && writes.problems("uid").is_empty());
}

#[test]
fn a_request_of_a_user_ends_the_back_off_of_the_writes_that_it_concerns_once() {
    let mut writes = Writes::default();
    for n in 0..9 {
        writes.ended(&"n", create("a"), refused(422, "no"), at(n * 400));
    }
    let waits = |writes: &Writes<&str>, seconds| writes.not_before(&"n", &create("a"), at(seconds)).is_some();
    writes.wake_key(&"n", |target, _| target.name == "b", at(3210));
    writes.wake_key(&"m", |_, _| true, at(3210));
    assert!(waits(&writes, 3210), "the requests are for other objects");
    writes.wake_key(&"n", |_, nodeeni| nodeeni == Some("uid"), at(3210));
    assert!(!waits(&writes, 3210));
    writes.ended(&"n", create("a"), refused(422, "no"), at(3210));
    assert!(waits(&writes, 3400), "the request was for one try");
}

#[test]
fn a_request_of_a_user_delays_no_write() {
    let mut writes = Writes::default();
    writes.ended(&"n", create("a"), Outcome::Taken, at(0));
    writes.wake_key(&"n", |_, _| true, at(0));
    assert_eq!(writes.not_before(&"n", &asked(Write::CreateAttachment, "a", 2), at(0)), None);
}

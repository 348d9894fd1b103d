//! The answers of our own calls, and how long they override a Describe.

use super::*;

#[test]
fn an_attach_is_not_undone_by_an_older_read_and_moves_forward_at_once() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0)]);
    assert!(cache.apply_attached(&id(1), attachment(Attaching, 10), at(10)));
    assert!(cache.is_moving());
    // This Describe began before the answer.
    cache.apply_shown(vec![eni(1, 9)]);
    assert_eq!(state(&mut cache), Some(Attaching));
    // This Describe began after the answer, and still shows the older state.
    cache.apply_shown(vec![eni(1, 12)]);
    assert_eq!(state(&mut cache), Some(Attaching));
    assert_eq!(cache.apply_shown(vec![on(1, Attached, 13)]).len(), 1);
    assert_eq!(state(&mut cache), Some(Attached));
    assert!(!cache.is_moving());
    // Within the lag, a Describe that shows an earlier state is late.
    cache.apply_shown(vec![on(1, Attaching, 14)]);
    assert_eq!(state(&mut cache), Some(Attached));
    cache.apply_shown(vec![eni(1, 69)]);
    assert_eq!(state(&mut cache), Some(Attached));
    // After the lag, the Describe is right: another party detached the ENI.
    assert_eq!(cache.apply_shown(vec![eni(1, 70)]).len(), 1);
    assert_eq!(state(&mut cache), None);
}

#[test]
fn a_detach_is_not_undone_and_its_end_is_applied_at_once() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![on(1, Attached, 0)]);
    assert!(cache.apply_detached(&id(1), "attach-1", at(10)));
    cache.apply_shown(vec![on(1, Attached, 11)]);
    assert_eq!(state(&mut cache), Some(Detaching));
    assert_eq!(seen(&mut cache).attachment.map(|a| a.since), Some(at(10)));
    cache.apply_shown(vec![eni(1, 12)]);
    assert_eq!(state(&mut cache), None);
    // A Describe that EC2 answers with an older state does not bring the attachment back.
    cache.apply_shown(vec![on(1, Detaching, 13)]);
    assert_eq!(state(&mut cache), None);
    cache.apply_shown(vec![on(1, Attached, 70)]);
    assert_eq!(state(&mut cache), Some(Attached));
}

#[test]
fn attach_then_detach_within_the_lag() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0)]);
    cache.apply_attached(&id(1), attachment(Attaching, 1), at(1));
    cache.apply_shown(vec![on(1, Attached, 3)]);
    cache.apply_detached(&id(1), "attach-1", at(5));
    cache.apply_shown(vec![on(1, Attaching, 6)]);
    assert_eq!(state(&mut cache), Some(Detaching));
    cache.apply_shown(vec![eni(1, 7)]);
    assert_eq!(state(&mut cache), None);
}

#[test]
fn modifications_hold_for_the_lag() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![on(1, Attached, 0)]);
    cache.apply_delete_on_termination(&id(1), "attach-1", true, at(10));
    cache.apply_description(&id(1), "new", at(10));
    cache.apply_source_dest_check(&id(1), false, at(10));
    let timeouts = ConnectionTracking { udp_timeout_seconds: Some(60), ..ConnectionTracking::default() };
    cache.apply_connection_tracking(&id(1), timeouts, at(10));
    cache.apply_tagged(&id(1), &BTreeMap::from([("team".to_owned(), "a".to_owned())]), at(10));
    assert_eq!(seen(&mut cache).shown_at, at(0), "the answer of a call is no observation");
    cache.apply_shown(vec![on(1, Attached, 20)]);
    let eni_attachment = seen(&mut cache);
    assert!(eni_attachment.attachment.is_some_and(|a| a.delete_on_termination));
    assert_eq!((eni_attachment.description.as_str(), eni_attachment.source_dest_check), ("new", false));
    assert_eq!(eni_attachment.connection_tracking, timeouts);
    assert_eq!(eni_attachment.tags.get("team"), Some("a"));
    cache.apply_shown(vec![on(1, Attached, 70)]);
    let actual = seen(&mut cache);
    assert!(actual.attachment.is_some_and(|a| !a.delete_on_termination));
    assert_eq!((actual.description.as_str(), actual.source_dest_check, actual.tags.len()), ("", true, 2));
    assert!(actual.connection_tracking.is_empty());
}

#[test]
fn answered_calls_are_dropped_when_no_describe_can_be_older() {
    let mut cache = cache();
    cache.apply_created(eni(1, 0), &tags(), false, at(0));
    cache.apply_attached(&id(1), attachment(Attaching, 30), at(30));
    let calls = |cache: &CacheState| cache.entries[&id(1)].answered_calls().clone();
    cache.apply_shown(vec![on(1, Attached, 59)]);
    assert!(calls(&cache).created.is_some() && calls(&cache).tags.len() == 2, "{:?}", calls(&cache));
    cache.apply_shown(vec![on(1, Attached, 60)]);
    assert!(calls(&cache).created.is_none() && calls(&cache).tags.is_empty() && calls(&cache).attached.is_some());
    cache.apply_shown(vec![on(1, Attached, 90)]);
    assert_eq!(calls(&cache), AnsweredCalls::default());
}

#[test]
fn created_tags_are_shown_before_ec2_shows_them() {
    let mut cache = cache();
    let bare = ObservedEni { tags: StringMap::default(), ..eni(1, 10) };
    let created = cache.apply_created(bare.clone(), &tags(), false, at(10));
    assert_eq!((created.tags.clone(), created.last_call), (tags().into_iter().collect(), Some(at(10))));
    cache.apply_shown(vec![ObservedEni { shown_at: at(11), ..bare }]);
    assert_eq!(seen(&mut cache).tags, tags().into_iter().collect());
}

/// EC2 answers a repeated Create as it answered the first Create, whatever has changed on the ENI since.
#[test]
fn a_create_that_may_repeat_an_earlier_one_proves_no_tags() {
    let mut stripped = tags();
    stripped.remove(names::TAG_CLUSTER);
    let stripped: StringMap = stripped.into_iter().collect();
    let shown = ObservedEni { tags: stripped.clone(), ..eni(1, 11) };
    let mut cache = cache();
    let created = cache.apply_created(eni(1, 10), &tags(), true, at(10));
    assert_eq!(created.shown_at, NEVER_SHOWN, "the ENI is looked up first");
    cache.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![shown]);
    assert_eq!(seen(&mut cache).tags, stripped, "an observation replaces the answer of a call");

    // The same holds if a resync has already shown the ENI.
    let mut cache = self::cache();
    let other: StringMap = [(names::TAG_CLUSTER.to_owned(), tags()[names::TAG_CLUSTER].clone())].into_iter().collect();
    resync(&mut cache, 5, vec![ObservedEni { tags: other.clone(), ..eni(1, 5) }]);
    let created = cache.apply_created(eni(1, 10), &tags(), true, at(10));
    assert_eq!(created.shown_at, NEVER_SHOWN);
    cache.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![ObservedEni { tags: other.clone(), ..eni(1, 11) }]);
    let Observation::Seen(known) = cache.observation("another", Some(&id(1))) else { panic!("it is there") };
    assert_eq!(known.tags, other);

    // An ENI that EC2 does not show yet is new, so it has the tags that were sent.
    let mut cache = self::cache();
    cache.apply_created(eni(1, 10), &tags(), true, at(10));
    cache.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![]);
    assert_eq!((seen(&mut cache).shown_at, seen(&mut cache).tags), (at(11), tags().into_iter().collect()));
}

#[test]
fn a_deleted_eni_stays_deleted_through_late_describes() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0)]);
    cache.apply_deleted(&id(1), at(10));
    let deleted = Some(at(10));
    // The last resync showed the ENI, so no lookup by tag proves its absence yet.
    let never = Timestamp::UNIX_EPOCH;
    let absent = |by_tag, home| Observation::Absent { by_tag, home: Some(at(home)), by_id: None, deleted };
    assert_eq!(cache.observation("uid", Some(&id(1))), absent(never, 0));
    resync(&mut cache, 60, vec![eni(1, 60)]);
    assert_eq!(cache.observation("uid", None), absent(never, 60));
    resync(&mut cache, 120, vec![]);
    assert_eq!(cache.observation("uid", None), absent(at(120), 60));
    // Long after the Delete, the Describe is right.
    resync(&mut cache, 180, vec![eni(1, 180)]);
    assert!(matches!(cache.observation("uid", None), Observation::Seen(_)));
}

#[test]
fn delete_not_found_is_ignored_for_a_young_create() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![]);
    cache.apply_created(eni(1, 10), &tags(), false, at(10));
    cache.apply_delete_not_found(&id(1), at(20));
    assert!(matches!(cache.observation("uid", None), Observation::Seen(_)));
    cache.apply_delete_not_found(&id(1), at(70));
    let gone = Observation::Absent { by_tag: at(0), home: None, by_id: Some(Missed::by_delete(at(70))), deleted: None };
    assert_eq!(cache.observation("uid", None), gone, "another account gives the same answer");
    assert!(!cache.is_deleted(&id(1)));
    cache.apply_deleted(&id(1), at(71));
    assert!(cache.is_deleted(&id(1)));
}

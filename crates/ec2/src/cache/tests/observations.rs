//! What decisions read of single ENIs, and when an ENI counts as absent.

use super::*;

#[test]
fn blind_until_a_whole_resync_or_a_lookup_by_tag() {
    let mut cache = cache();
    assert_eq!(cache.observation("uid", None), Observation::Blind);
    // The pages of a resync that never ends show which ENIs exist, and prove no absence.
    cache.apply_shown(vec![eni(1, 0)]);
    assert!(matches!(cache.observation("uid", None), Observation::Seen(_)));
    assert_eq!(cache.observation("other", None), Observation::Blind);
    let asked = Uids::from(["other".to_owned()]);
    assert_eq!(cache.finish_lookup_by_tag(at(1), &asked, vec![]), asked);
    assert_eq!(
        cache.observation("other", None),
        Observation::Absent { by_tag: at(1), home: Some(at(0)), by_id: None, deleted: None }
    );
    assert_eq!(cache.observation("third", None), Observation::Blind);
    cache.finish_resync(at(0), &BTreeSet::from([id(1)]));
    assert_eq!(
        cache.observation("third", None),
        Observation::Absent { by_tag: at(0), home: Some(at(0)), by_id: None, deleted: None }
    );
    assert_eq!(cache.last_resync(), Some(at(0)));
}

#[test]
fn only_real_changes_are_reported() {
    let mut cache = cache();
    assert_eq!(resync(&mut cache, 0, vec![on(1, Attached, 0)]).len(), 1);
    assert_eq!(resync(&mut cache, 60, vec![on(1, Attached, 60)]).len(), 0);
    let seen = seen(&mut cache);
    assert_eq!((seen.as_of(), seen.attachment.map(|a| a.since)), (at(60), Some(at(0))));
    assert_eq!(resync(&mut cache, 120, vec![ObservedEni { mac: "x".into(), ..on(1, Attached, 120) }]).len(), 1);
}

#[test]
fn an_absence_within_the_lag_of_a_call_is_ignored() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![]);
    cache.apply_created(eni(1, 10), &tags(), false, at(10));
    resync(&mut cache, 5, vec![]);
    resync(&mut cache, 69, vec![]);
    assert_eq!(cache.finish_poll(at(69), &BTreeSet::from([id(1)]), vec![]).len(), 0);
    assert!(matches!(cache.observation("uid", None), Observation::Seen(_)));
    assert_eq!(resync(&mut cache, 70, vec![]).len(), 1);
    assert_eq!(
        cache.observation("uid", Some(&id(1))),
        Observation::Absent { by_tag: at(70), home: None, by_id: None, deleted: None }
    );
    assert_eq!(cache.finish_lookup_by_id(at(71), &BTreeSet::from([id(1)]), vec![]), Uids::from(["uid".to_owned()]));
    assert_eq!(
        cache.observation("uid", Some(&id(1))),
        Observation::Absent { by_tag: at(70), home: None, by_id: Some(Missed::once(at(71))), deleted: None }
    );
}

#[test]
fn an_eni_seen_after_a_resync_began_is_not_missing_from_it() {
    let mut cache = cache();
    cache.apply_shown(vec![eni(1, 5)]);
    cache.finish_resync(at(0), &BTreeSet::new());
    assert!(matches!(cache.observation("uid", None), Observation::Seen(_)));
}

#[test]
fn an_eni_whose_tag_names_no_or_another_eniattachment_is_reported_to_the_one_of_before() {
    let named = |uid: Option<&str>, shown_at| {
        let tags = eni(1, shown_at).tags;
        let tags = tags.iter().filter(|(key, _)| *key != names::TAG_ATTACHMENT_UID);
        let uid = uid.map(|uid| (names::TAG_ATTACHMENT_UID, uid));
        ObservedEni { tags: tags.chain(uid).collect(), ..eni(1, shown_at) }
    };
    let uids = |uids: &[&str]| uids.iter().map(|uid| (*uid).to_owned()).collect::<Uids>();
    let mut cache = cache();
    assert_eq!(resync(&mut cache, 0, vec![named(Some("uid"), 0)]), uids(&["uid"]));
    assert_eq!(resync(&mut cache, 60, vec![named(None, 60)]), uids(&["uid"]));
    assert_eq!(resync(&mut cache, 120, vec![named(None, 120)]), uids(&[]));
    assert_eq!(resync(&mut cache, 180, vec![named(Some("uid"), 180)]), uids(&["uid"]));
    assert_eq!(resync(&mut cache, 240, vec![named(Some("other"), 240)]), uids(&["other", "uid"]));
}

#[test]
fn an_eni_whose_tags_were_removed_is_found_by_id_and_reported_to_its_eniattachment() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0)]);
    resync(&mut cache, 60, vec![]);
    assert!(matches!(cache.observation("uid", Some(&id(1))), Observation::Absent { by_id: None, .. }));
    let bare = ObservedEni { tags: StringMap::default(), ..eni(1, 61) };
    let uids = cache.finish_lookup_by_id(at(61), &BTreeSet::from([id(1)]), vec![bare]);
    assert_eq!(uids, Uids::from(["uid".to_owned()]));
    assert!(
        matches!(cache.observation("uid", Some(&id(1))), Observation::Seen(seen) if seen.attachment_uid().is_none())
    );
    assert_eq!(cache.owned_where(|_| true).0, 0);
    // A resync by tag proves nothing about an ENI without the tag.
    resync(&mut cache, 120, vec![]);
    assert!(matches!(cache.observation("uid", Some(&id(1))), Observation::Seen(_)));
}

#[test]
fn of_several_enis_an_attached_one_is_preferred_then_the_given_id_then_the_lowest() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0), eni(2, 0), eni(3, 0)]);
    assert_eq!(seen(&mut cache).id, id(1));
    assert!(matches!(cache.observation("uid", Some(&id(2))), Observation::Seen(seen) if seen.id == id(2)));
    cache.apply_shown(vec![on(3, Attached, 1)]);
    assert!(matches!(cache.observation("uid", Some(&id(2))), Observation::Seen(seen) if seen.id == id(3)));
    // An ENI with the tag is preferred to the ENI of the ID in the status.
    let foreign = ObservedEni { tags: StringMap::default(), ..on(9, Attached, 2) };
    cache.apply_shown(vec![foreign]);
    assert!(matches!(cache.observation("uid", Some(&id(9))), Observation::Seen(seen) if seen.id == id(3)));
}

#[test]
fn is_absent_needs_a_resync_and_no_known_eni() {
    let mut cache = cache();
    assert!(!cache.is_absent("uid", None), "no resync has ended yet");
    resync(&mut cache, 0, vec![eni(1, 0)]);
    assert!(!cache.is_absent("uid", None) && cache.is_absent("another", None));
    assert!(!cache.is_absent("another", Some(&id(1))), "its status names it");
}

#[test]
fn the_time_in_a_state_is_by_our_own_clock_and_no_describe_restarts_it() {
    let mut cache = cache();
    resync(&mut cache, 0, vec![eni(1, 0)]);
    cache.apply_attached(&id(1), attachment(Attaching, 10), at(10));
    let shown = ObservedEni { attachment: Some(attachment(Attaching, 9)), ..eni(1, 12) };
    assert_eq!(cache.apply_shown(vec![shown]).len(), 0);
    assert_eq!(seen(&mut cache).attachment.map(|a| a.since), Some(at(10)), "EC2's clock may differ");
    cache.apply_shown(vec![on(1, Attaching, 90)]);
    assert_eq!(seen(&mut cache).attachment.map(|a| a.since), Some(at(10)));
}

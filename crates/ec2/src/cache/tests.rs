//! Tests of the cache's rules, without I/O. Times are seconds after a fixed time; the lag is 60 s.

use super::answered_calls::AnsweredCalls;
use super::state::{CacheState, NEVER_SHOWN, Uids};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_api::names;
use multi_eni_plan::instance_life::{InstanceState, Life};
use multi_eni_plan::observed::{
    AttachmentState, Cluster, Missed, Observation, ObservedAttachment, ObservedEni, ObservedIpv6, Unshown,
};
use multi_eni_plan::string_map::StringMap;
use std::collections::{BTreeMap, BTreeSet};

use AttachmentState::{Attached, Attaching, Detaching};

fn at(second: i64) -> Timestamp {
    // Far from the epoch, which means "never" in `by_tag`.
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
}

fn cache() -> CacheState {
    let cluster = Cluster { uid: "cluster".into(), name: "test".into() };
    CacheState::new(cluster, SignedDuration::from_secs(60))
}

fn id(n: u32) -> EniId {
    EniId::parse(&format!("eni-{n:08x}")).unwrap()
}

fn instance() -> InstanceId {
    InstanceId::parse("i-00000001").unwrap()
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::TAG_CLUSTER.to_owned(), "cluster".to_owned()),
        (names::TAG_ATTACHMENT_UID.to_owned(), "uid".to_owned()),
    ])
}

/// ENI `n` of ENIAttachment `uid` as a Describe that began at `second` shows it.
fn eni(n: u32, second: i64) -> ObservedEni {
    ObservedEni {
        id: id(n),
        subnet: Some(SubnetId::parse("subnet-00000001").unwrap()),
        vpc: "vpc-1".into(),
        zone: "eu-west-1a".into(),
        owner: "123456789012".into(),
        mac: "02:00:00:00:00:01".into(),
        private_ips: vec!["10.0.0.4".into()],
        ipv4_prefixes: Vec::new(),
        ipv6: ObservedIpv6::default(),
        operator: None,
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
        connection_tracking: ConnectionTracking::default(),
        tags: tags().into_iter().collect(),
        attachment: None,
        in_use_since: None,
        shown_at: at(second),
        last_call: None,
    }
}

fn attachment(state: AttachmentState, second: i64) -> ObservedAttachment {
    ObservedAttachment {
        id: "attach-1".into(),
        instance: Some(instance()),
        card: 0,
        index: 1,
        state,
        since: at(second),
        delete_on_termination: false,
    }
}

fn on(n: u32, state: AttachmentState, second: i64) -> ObservedEni {
    ObservedEni { attachment: Some(attachment(state, second)), ..eni(n, second) }
}

fn resync(cache: &mut CacheState, second: i64, shown: Vec<ObservedEni>) -> Uids {
    let ids = shown.iter().map(|seen| seen.id.clone()).collect();
    let mut uids = cache.apply_shown(shown);
    uids.extend(cache.finish_resync(at(second), &ids));
    uids
}

fn seen(cache: &mut CacheState) -> ObservedEni {
    match cache.observation("uid", None) {
        Observation::Seen(seen) => *seen,
        other => panic!("{other:?}"),
    }
}

fn state(cache: &mut CacheState) -> Option<AttachmentState> {
    seen(cache).attachment.map(|attachment| attachment.state)
}

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
fn an_instance_shows_foreign_enis_of_its_lookup_and_our_enis_of_the_cache() {
    let mut cache = cache();
    let foreign = ObservedEni { tags: StringMap::default(), ..on(9, Attached, 0) };
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(0), &asked, vec![primary(0), foreign, on(1, Attached, 0)]);
    let (all, none) = cache.owned_where(|seen| seen.id != id(1));
    assert_eq!((all, none.len(), cache.owned_where(|_| true).1.len()), (1, 0, 1));
    cache.apply_detached(&id(1), "attach-1", at(5));
    cache.apply_shown(vec![eni(1, 6), on(2, Attached, 6)]);
    let ids: Vec<EniId> =
        cache.instance_interfaces(&instance()).unwrap().enis.into_iter().map(|seen| seen.id).collect();
    assert_eq!(ids, [id(2), id(9), id(99)]);
    cache.finish_instances(at(10), &asked, vec![]);
    let observation = cache.instance_interfaces(&instance()).unwrap();
    assert_eq!(observation.as_of, at(0), "a lookup without the primary interface does not count");
    assert_eq!(observation.without_primary, Some(Unshown { since: at(10), as_of: at(10) }));
}

/// The VPC CNI has up to 50 addresses on each of its ENIs, and nothing here ever reads them.
#[test]
fn a_neighbour_is_kept_without_its_addresses() {
    let mut cache = cache();
    let ips: Vec<_> = (1..=30).map(|n| format!("10.0.0.{n}").into()).collect();
    let whole = |seen: ObservedEni| ObservedEni { private_ips: ips.clone(), ..seen };
    let neighbour = [("cluster.k8s.amazonaws.com/name", "demo")];
    let neighbour = ObservedEni { tags: StringMap::from(neighbour), ..on(9, Attached, 0) };
    let upstreams =
        [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, "storage")];
    let upstreams = ObservedEni { tags: StringMap::from(upstreams), ..on(8, Attached, 0) };
    let all = [primary(0), neighbour, upstreams, on(1, Attached, 0)].map(whole);
    cache.finish_instances(at(0), &BTreeSet::from([instance()]), all.into());
    let kept = cache.instance_interfaces(&instance()).unwrap().enis;
    let kept: Vec<_> = kept.iter().map(|seen| (seen.id.clone(), seen.private_ips.len())).collect();
    assert_eq!(kept, [(id(1), 30), (id(8), 30), (id(9), 0), (id(99), 0)]);
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

/// Otherwise, an ENIAttachment would be created for the ENI and deleted again without end.
#[test]
fn an_eni_that_a_lookup_by_id_missed_is_not_on_its_instance_until_a_lookup_shows_it_again() {
    let mut cache = cache();
    let foreign = |second| ObservedEni { tags: StringMap::default(), ..on(9, Attached, second) };
    let (asked, by_id_asked) = (BTreeSet::from([instance()]), BTreeSet::from([id(9)]));
    cache.finish_instances(at(0), &asked, vec![primary(0), foreign(0)]);
    cache.observation("uid", Some(&id(9)));
    cache.finish_lookup_by_id(at(5), &by_id_asked, vec![]);
    assert_eq!(cache.instance_interfaces(&instance()).unwrap().enis, [primary(0).without_addresses()]);
    cache.finish_instances(at(10), &asked, vec![primary(10), foreign(10)]);
    assert_eq!(cache.instance_interfaces(&instance()).unwrap().enis.len(), 2);
    assert!(matches!(cache.observation("uid", Some(&id(9))), Observation::Seen(_)), "both say the same");
}

/// No resync shows an ENI that has lost the cluster's tag, so only lookups keep its entry current.
#[test]
fn an_eni_without_our_tags_occupies_its_slot_only_while_lookups_of_the_instance_show_it() {
    let mut cache = cache();
    let untagged = |second| ObservedEni { tags: StringMap::default(), ..on(1, Attached, second) };
    cache.observation("uid", Some(&id(1)));
    cache.finish_lookup_by_id(at(0), &BTreeSet::from([id(1)]), vec![untagged(0)]);
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(10), &asked, vec![primary(10), untagged(10)]);
    let shown = |cache: &CacheState| cache.instance_interfaces(&instance()).unwrap().enis.len() - 1;
    assert_eq!(shown(&cache), 1);
    cache.finish_instances(at(20), &asked, vec![primary(20)]);
    assert_eq!(shown(&cache), 0);
    cache.finish_lookup_by_id(at(30), &BTreeSet::from([id(1)]), vec![untagged(30)]);
    assert_eq!(shown(&cache), 1, "seen there since");
    resync(&mut cache, 4_000, vec![]);
    assert_eq!(
        cache.observation("uid", Some(&id(1))),
        Observation::Absent { by_tag: at(4_000), home: None, by_id: None, deleted: None }
    );
}

/// A subnet's name is resolved in the instance's VPC, so the cache must not drop the VPC after an hour.
#[test]
fn the_enis_of_an_instance_are_kept_while_its_node_exists() {
    let mut cache = cache();
    let asked = BTreeSet::from([instance()]);
    cache.finish_instances(at(0), &asked, vec![on(1, Attached, 0), primary(0)]);
    resync(&mut cache, 10_000, vec![on(1, Attached, 10_000)]);
    cache.keep_instances(&asked);
    assert_eq!(
        cache.instance_interfaces(&instance()).and_then(|observation| observation.vpc).as_deref(),
        Some("vpc-1")
    );
    cache.keep_instances(&BTreeSet::new());
    assert_eq!(cache.instance_interfaces(&instance()), None);
}

/// An ENI in another VPC may have the lower ID.
#[test]
fn an_instance_has_the_vpc_and_zone_of_its_primary_interface() {
    let mut cache = cache();
    let elsewhere = ObservedEni { vpc: "vpc-0".into(), zone: "z0".into(), ..on(1, Attached, 0) };
    cache.finish_instances(at(0), &BTreeSet::from([instance()]), vec![elsewhere, primary(0)]);
    let observation = cache.instance_interfaces(&instance()).unwrap();
    assert_eq!((observation.vpc.as_deref(), observation.zone.as_deref()), (Some("vpc-1"), Some("eu-west-1a")));
}

/// The primary interface of the instance.
fn primary(second: i64) -> ObservedEni {
    let at = ObservedAttachment { id: "attach-99".into(), index: 0, ..attachment(Attached, second) };
    ObservedEni { tags: StringMap::default(), attachment: Some(at), ..eni(99, second) }
}

#[test]
fn an_instance_that_lookups_miss_is_gone_only_after_a_whole_resync() {
    let mut cache = cache();
    let misses = |cache: &mut CacheState, second| {
        cache.finish_states(at(second), [(instance(), InstanceState::Missing)].into());
        cache.instance_observation(&instance()).unwrap().life()
    };
    cache.finish_resync(at(-10), &BTreeSet::new());
    assert_eq!([0, 60, 120].map(|second| misses(&mut cache, second)), [Life::Doubtful; 3]);
    cache.finish_resync(at(50), &BTreeSet::new());
    assert_eq!(cache.instance_observation(&instance()).unwrap().life(), Life::Gone);
}

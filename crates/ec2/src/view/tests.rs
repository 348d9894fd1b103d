//! The view's rules, without I/O. Times are seconds after the epoch; the lag is 60 s.

use super::state::{NEVER_SHOWN, Uids, ViewState};
use super::told::Told;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_api::names;
use multi_eni_plan::facts::{AttachmentState, Cluster, EniSeen, Missed, SeenAttachment, Sight, Unshown};
use multi_eni_plan::pairs::Pairs;
use std::collections::{BTreeMap, BTreeSet};

use AttachmentState::{Attached, Attaching, Detaching};

fn at(second: i64) -> Timestamp {
    // Far from the epoch, which means "never" in `by_tag`.
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
}

fn view() -> ViewState {
    let cluster = Cluster { uid: "cluster".into(), name: "test".into() };
    ViewState::new(cluster, SignedDuration::from_secs(60))
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
fn eni(n: u32, second: i64) -> EniSeen {
    EniSeen {
        id: id(n),
        subnet: Some(SubnetId::parse("subnet-00000001").unwrap()),
        vpc: "vpc-1".into(),
        zone: "eu-west-1a".into(),
        owner: "123456789012".into(),
        mac: "02:00:00:00:00:01".into(),
        private_ips: vec!["10.0.0.4".into()],
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
        tags: tags().into_iter().collect(),
        attachment: None,
        in_use_since: None,
        shown_at: at(second),
        last_call: None,
    }
}

fn attachment(state: AttachmentState, second: i64) -> SeenAttachment {
    SeenAttachment {
        id: "attach-1".into(),
        instance: Some(instance()),
        card: 0,
        index: 1,
        state,
        since: at(second),
        delete_on_termination: false,
    }
}

fn on(n: u32, state: AttachmentState, second: i64) -> EniSeen {
    EniSeen { attachment: Some(attachment(state, second)), ..eni(n, second) }
}

fn sweep(view: &mut ViewState, second: i64, shown: Vec<EniSeen>) -> Uids {
    let ids = shown.iter().map(|seen| seen.id.clone()).collect();
    let mut uids = view.apply_shown(shown);
    uids.extend(view.finish_sweep(at(second), &ids));
    uids
}

fn seen(view: &mut ViewState) -> EniSeen {
    match view.sight("uid", None) {
        Sight::Seen(seen) => *seen,
        other => panic!("{other:?}"),
    }
}

fn state(view: &mut ViewState) -> Option<AttachmentState> {
    seen(view).attachment.map(|attachment| attachment.state)
}

#[test]
fn blind_until_a_whole_sweep_or_a_look_by_tag() {
    let mut view = view();
    assert_eq!(view.sight("uid", None), Sight::Blind);
    // Pages of a sweep that never ends say what is there, and nothing of what is not.
    view.apply_shown(vec![eni(1, 0)]);
    assert!(matches!(view.sight("uid", None), Sight::Seen(_)));
    assert_eq!(view.sight("other", None), Sight::Blind);
    let asked = Uids::from(["other".to_owned()]);
    assert_eq!(view.finish_look_by_tag(at(1), &asked, vec![]), asked);
    assert_eq!(
        view.sight("other", None),
        Sight::Absent { by_tag: at(1), home: Some(at(0)), by_id: None, deleted: None }
    );
    assert_eq!(view.sight("third", None), Sight::Blind);
    view.finish_sweep(at(0), &BTreeSet::from([id(1)]));
    assert_eq!(
        view.sight("third", None),
        Sight::Absent { by_tag: at(0), home: Some(at(0)), by_id: None, deleted: None }
    );
    assert_eq!(view.last_sweep(), Some(at(0)));
}

#[test]
fn only_real_changes_are_told() {
    let mut view = view();
    assert_eq!(sweep(&mut view, 0, vec![on(1, Attached, 0)]).len(), 1);
    assert_eq!(sweep(&mut view, 60, vec![on(1, Attached, 60)]).len(), 0);
    let seen = seen(&mut view);
    assert_eq!((seen.as_of(), seen.attachment.map(|a| a.since)), (at(60), Some(at(0))));
    assert_eq!(sweep(&mut view, 120, vec![EniSeen { mac: "x".into(), ..on(1, Attached, 120) }]).len(), 1);
}

#[test]
fn an_attach_is_not_undone_by_an_older_read_and_moves_forward_at_once() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0)]);
    assert!(view.apply_attached(&id(1), attachment(Attaching, 10), at(10)));
    assert!(view.is_moving());
    // Began before the answer.
    view.apply_shown(vec![eni(1, 9)]);
    assert_eq!(state(&mut view), Some(Attaching));
    // Began after it, and is late.
    view.apply_shown(vec![eni(1, 12)]);
    assert_eq!(state(&mut view), Some(Attaching));
    assert_eq!(view.apply_shown(vec![on(1, Attached, 13)]).len(), 1);
    assert_eq!(state(&mut view), Some(Attached));
    assert!(!view.is_moving());
    // Backwards within the lag: late again.
    view.apply_shown(vec![on(1, Attaching, 14)]);
    assert_eq!(state(&mut view), Some(Attached));
    view.apply_shown(vec![eni(1, 69)]);
    assert_eq!(state(&mut view), Some(Attached));
    // After it: somebody detached it.
    assert_eq!(view.apply_shown(vec![eni(1, 70)]).len(), 1);
    assert_eq!(state(&mut view), None);
}

#[test]
fn a_detach_is_not_undone_and_its_end_is_taken_at_once() {
    let mut view = view();
    sweep(&mut view, 0, vec![on(1, Attached, 0)]);
    assert!(view.apply_detached(&id(1), "attach-1", at(10)));
    view.apply_shown(vec![on(1, Attached, 11)]);
    assert_eq!(state(&mut view), Some(Detaching));
    assert_eq!(seen(&mut view).attachment.map(|a| a.since), Some(at(10)));
    view.apply_shown(vec![eni(1, 12)]);
    assert_eq!(state(&mut view), None);
    // A late replica does not bring it back.
    view.apply_shown(vec![on(1, Detaching, 13)]);
    assert_eq!(state(&mut view), None);
    view.apply_shown(vec![on(1, Attached, 70)]);
    assert_eq!(state(&mut view), Some(Attached));
}

#[test]
fn attach_then_detach_within_the_lag() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0)]);
    view.apply_attached(&id(1), attachment(Attaching, 1), at(1));
    view.apply_shown(vec![on(1, Attached, 3)]);
    view.apply_detached(&id(1), "attach-1", at(5));
    view.apply_shown(vec![on(1, Attaching, 6)]);
    assert_eq!(state(&mut view), Some(Detaching));
    view.apply_shown(vec![eni(1, 7)]);
    assert_eq!(state(&mut view), None);
}

#[test]
fn modifications_hold_for_the_lag() {
    let mut view = view();
    sweep(&mut view, 0, vec![on(1, Attached, 0)]);
    view.apply_delete_on_termination(&id(1), "attach-1", true, at(10));
    view.apply_description(&id(1), "new", at(10));
    view.apply_source_dest_check(&id(1), false, at(10));
    view.apply_tagged(&id(1), &BTreeMap::from([("team".to_owned(), "a".to_owned())]), at(10));
    assert_eq!(seen(&mut view).shown_at, at(0), "answers of calls show nothing");
    view.apply_shown(vec![on(1, Attached, 20)]);
    let held = seen(&mut view);
    assert!(held.attachment.is_some_and(|a| a.delete_on_termination));
    assert_eq!((held.description.as_str(), held.source_dest_check), ("new", false));
    assert_eq!(held.tags.get("team"), Some("a"));
    view.apply_shown(vec![on(1, Attached, 70)]);
    let truth = seen(&mut view);
    assert!(truth.attachment.is_some_and(|a| !a.delete_on_termination));
    assert_eq!((truth.description.as_str(), truth.source_dest_check, truth.tags.len()), ("", true, 2));
}

#[test]
fn what_calls_were_told_is_let_go_when_no_describe_can_be_older() {
    let mut view = view();
    view.apply_created(eni(1, 0), &tags(), false, at(0));
    view.apply_attached(&id(1), attachment(Attaching, 30), at(30));
    let told = |view: &ViewState| view.entries[&id(1)].told().clone();
    view.apply_shown(vec![on(1, Attached, 59)]);
    assert!(told(&view).created.is_some() && told(&view).tags.len() == 2, "{:?}", told(&view));
    view.apply_shown(vec![on(1, Attached, 60)]);
    assert!(told(&view).created.is_none() && told(&view).tags.is_empty() && told(&view).attached.is_some());
    view.apply_shown(vec![on(1, Attached, 90)]);
    assert_eq!(told(&view), Told::default());
}

#[test]
fn absence_within_the_lag_of_a_call_means_nothing() {
    let mut view = view();
    sweep(&mut view, 0, vec![]);
    view.apply_created(eni(1, 10), &tags(), false, at(10));
    sweep(&mut view, 5, vec![]);
    sweep(&mut view, 69, vec![]);
    assert_eq!(view.finish_poll(at(69), &BTreeSet::from([id(1)]), vec![]).len(), 0);
    assert!(matches!(view.sight("uid", None), Sight::Seen(_)));
    assert_eq!(sweep(&mut view, 70, vec![]).len(), 1);
    assert_eq!(
        view.sight("uid", Some(&id(1))),
        Sight::Absent { by_tag: at(70), home: None, by_id: None, deleted: None }
    );
    assert_eq!(view.finish_look_by_id(at(71), &BTreeSet::from([id(1)]), vec![]), Uids::from(["uid".to_owned()]));
    assert_eq!(
        view.sight("uid", Some(&id(1))),
        Sight::Absent { by_tag: at(70), home: None, by_id: Some(Missed::once(at(71))), deleted: None }
    );
}

#[test]
fn what_was_seen_after_a_sweep_began_is_not_missing_from_it() {
    let mut view = view();
    view.apply_shown(vec![eni(1, 5)]);
    view.finish_sweep(at(0), &BTreeSet::new());
    assert!(matches!(view.sight("uid", None), Sight::Seen(_)));
}

#[test]
fn created_tags_are_shown_before_ec2_shows_them() {
    let mut view = view();
    let bare = EniSeen { tags: Pairs::default(), ..eni(1, 10) };
    let created = view.apply_created(bare.clone(), &tags(), false, at(10));
    assert_eq!((created.tags.clone(), created.last_call), (tags().into_iter().collect(), Some(at(10))));
    view.apply_shown(vec![EniSeen { shown_at: at(11), ..bare }]);
    assert_eq!(seen(&mut view).tags, tags().into_iter().collect());
}

/// EC2 answers a repeated Create as it answered the first, whatever has been done to the ENI since.
#[test]
fn a_create_that_may_repeat_an_earlier_one_proves_no_tags() {
    let mut stripped = tags();
    stripped.remove(names::TAG_CLUSTER);
    let stripped: Pairs = stripped.into_iter().collect();
    let shown = EniSeen { tags: stripped.clone(), ..eni(1, 11) };
    let mut view = view();
    let created = view.apply_created(eni(1, 10), &tags(), true, at(10));
    assert_eq!(created.shown_at, NEVER_SHOWN, "it is looked at first");
    view.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![shown]);
    assert_eq!(seen(&mut view).tags, stripped, "what EC2 shows goes before what was answered");

    // So it is where a sweep has shown it already.
    let mut view = self::view();
    let other: Pairs = [(names::TAG_CLUSTER.to_owned(), tags()[names::TAG_CLUSTER].clone())].into_iter().collect();
    sweep(&mut view, 5, vec![EniSeen { tags: other.clone(), ..eni(1, 5) }]);
    let created = view.apply_created(eni(1, 10), &tags(), true, at(10));
    assert_eq!(created.shown_at, NEVER_SHOWN);
    view.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![EniSeen { tags: other.clone(), ..eni(1, 11) }]);
    let Sight::Seen(known) = view.sight("another", Some(&id(1))) else { panic!("it is there") };
    assert_eq!(known.tags, other);

    // One that EC2 does not show yet is new, so it has the tags that were sent.
    let mut view = self::view();
    view.apply_created(eni(1, 10), &tags(), true, at(10));
    view.finish_poll(at(11), &BTreeSet::from([id(1)]), vec![]);
    assert_eq!((seen(&mut view).shown_at, seen(&mut view).tags), (at(11), tags().into_iter().collect()));
}

#[test]
fn a_deleted_eni_stays_deleted_through_late_reads() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0)]);
    view.apply_deleted(&id(1), at(10));
    let deleted = Some(at(10));
    // The last sweep showed it: no look by tag has missed it yet.
    let never = Timestamp::UNIX_EPOCH;
    let absent = |by_tag, home| Sight::Absent { by_tag, home: Some(at(home)), by_id: None, deleted };
    assert_eq!(view.sight("uid", Some(&id(1))), absent(never, 0));
    sweep(&mut view, 60, vec![eni(1, 60)]);
    assert_eq!(view.sight("uid", None), absent(never, 60));
    sweep(&mut view, 120, vec![]);
    assert_eq!(view.sight("uid", None), absent(at(120), 60));
    // Long after: EC2 is right.
    sweep(&mut view, 180, vec![eni(1, 180)]);
    assert!(matches!(view.sight("uid", None), Sight::Seen(_)));
}

#[test]
fn delete_not_found_is_not_believed_of_a_young_create() {
    let mut view = view();
    sweep(&mut view, 0, vec![]);
    view.apply_created(eni(1, 10), &tags(), false, at(10));
    view.apply_delete_not_found(&id(1), at(20));
    assert!(matches!(view.sight("uid", None), Sight::Seen(_)));
    view.apply_delete_not_found(&id(1), at(70));
    let said = Sight::Absent { by_tag: at(0), home: None, by_id: Some(Missed::said(at(70))), deleted: None };
    assert_eq!(view.sight("uid", None), said, "another account answers so, too");
    assert!(!view.is_deleted(&id(1)));
    view.apply_deleted(&id(1), at(71));
    assert!(view.is_deleted(&id(1)));
}

#[test]
fn an_eni_whose_tags_were_removed_is_found_by_id_and_tells_who_asked() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0)]);
    sweep(&mut view, 60, vec![]);
    assert!(matches!(view.sight("uid", Some(&id(1))), Sight::Absent { by_id: None, .. }));
    let bare = EniSeen { tags: Pairs::default(), ..eni(1, 61) };
    let told = view.finish_look_by_id(at(61), &BTreeSet::from([id(1)]), vec![bare]);
    assert_eq!(told, Uids::from(["uid".to_owned()]));
    assert!(matches!(view.sight("uid", Some(&id(1))), Sight::Seen(seen) if seen.attachment_uid().is_none()));
    assert_eq!(view.owned_where(|_| true).0, 0);
    // A sweep by tag says nothing about an ENI without the tag.
    sweep(&mut view, 120, vec![]);
    assert!(matches!(view.sight("uid", Some(&id(1))), Sight::Seen(_)));
}

#[test]
fn of_several_the_attached_one_then_the_given_then_the_lowest() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0), eni(2, 0), eni(3, 0)]);
    assert_eq!(seen(&mut view).id, id(1));
    assert!(matches!(view.sight("uid", Some(&id(2))), Sight::Seen(seen) if seen.id == id(2)));
    view.apply_shown(vec![on(3, Attached, 1)]);
    assert!(matches!(view.sight("uid", Some(&id(2))), Sight::Seen(seen) if seen.id == id(3)));
    // An ID in a status never wins over the tag.
    let foreign = EniSeen { tags: Pairs::default(), ..on(9, Attached, 2) };
    view.apply_shown(vec![foreign]);
    assert!(matches!(view.sight("uid", Some(&id(9))), Sight::Seen(seen) if seen.id == id(3)));
}

#[test]
fn absence_is_told_without_a_sight() {
    let mut view = view();
    assert!(!view.is_absent("uid", None), "nothing was swept yet");
    sweep(&mut view, 0, vec![eni(1, 0)]);
    assert!(!view.is_absent("uid", None) && view.is_absent("another", None));
    assert!(!view.is_absent("another", Some(&id(1))), "its status names it");
}

#[test]
fn an_instance_shows_foreign_enis_as_looked_at_and_ours_as_known() {
    let mut view = view();
    let foreign = EniSeen { tags: Pairs::default(), ..on(9, Attached, 0) };
    let asked = BTreeSet::from([instance()]);
    view.finish_instances(at(0), &asked, vec![primary(0), foreign, on(1, Attached, 0)]);
    let (all, none) = view.owned_where(|seen| seen.id != id(1));
    assert_eq!((all, none.len(), view.owned_where(|_| true).1.len()), (1, 0, 1));
    view.apply_detached(&id(1), "attach-1", at(5));
    view.apply_shown(vec![eni(1, 6), on(2, Attached, 6)]);
    let ids: Vec<EniId> = view.instance_sight(&instance()).unwrap().enis.into_iter().map(|seen| seen.id).collect();
    assert_eq!(ids, [id(2), id(9), id(99)]);
    view.finish_instances(at(10), &asked, vec![]);
    let sight = view.instance_sight(&instance()).unwrap();
    assert_eq!(sight.as_of, at(0), "a look that does not show the primary interface is no look");
    assert_eq!(sight.without_primary, Some(Unshown { since: at(10), as_of: at(10) }));
}

#[test]
fn the_wait_is_counted_by_our_own_clock_and_no_describe_restarts_it() {
    let mut view = view();
    sweep(&mut view, 0, vec![eni(1, 0)]);
    view.apply_attached(&id(1), attachment(Attaching, 10), at(10));
    let shown = EniSeen { attachment: Some(attachment(Attaching, 9)), ..eni(1, 12) };
    assert_eq!(view.apply_shown(vec![shown]).len(), 0);
    assert_eq!(seen(&mut view).attachment.map(|a| a.since), Some(at(10)), "EC2's clock may be another");
    view.apply_shown(vec![on(1, Attaching, 90)]);
    assert_eq!(seen(&mut view).attachment.map(|a| a.since), Some(at(10)));
}

/// Else an ENIAttachment would be made for it and given up again without end.
#[test]
fn what_a_look_by_id_missed_is_no_longer_on_its_instance_until_a_look_shows_it_again() {
    let mut view = view();
    let foreign = |second| EniSeen { tags: Pairs::default(), ..on(9, Attached, second) };
    let (asked, looked_for) = (BTreeSet::from([instance()]), BTreeSet::from([id(9)]));
    view.finish_instances(at(0), &asked, vec![primary(0), foreign(0)]);
    view.sight("uid", Some(&id(9)));
    view.finish_look_by_id(at(5), &looked_for, vec![]);
    assert_eq!(view.instance_sight(&instance()).unwrap().enis, [primary(0)]);
    view.finish_instances(at(10), &asked, vec![primary(10), foreign(10)]);
    assert_eq!(view.instance_sight(&instance()).unwrap().enis.len(), 2);
    assert!(matches!(view.sight("uid", Some(&id(9))), Sight::Seen(_)), "both say the same");
}

/// Nothing else tells of it: no sweep follows an ENI that has lost the cluster's tag.
#[test]
fn an_eni_without_our_tags_holds_its_slot_only_as_long_as_looks_at_the_instance_show_it() {
    let mut view = view();
    let untagged = |second| EniSeen { tags: Pairs::default(), ..on(1, Attached, second) };
    view.sight("uid", Some(&id(1)));
    view.finish_look_by_id(at(0), &BTreeSet::from([id(1)]), vec![untagged(0)]);
    let asked = BTreeSet::from([instance()]);
    view.finish_instances(at(10), &asked, vec![primary(10), untagged(10)]);
    let shown = |view: &ViewState| view.instance_sight(&instance()).unwrap().enis.len() - 1;
    assert_eq!(shown(&view), 1);
    view.finish_instances(at(20), &asked, vec![primary(20)]);
    assert_eq!(shown(&view), 0);
    view.finish_look_by_id(at(30), &BTreeSet::from([id(1)]), vec![untagged(30)]);
    assert_eq!(shown(&view), 1, "seen there since");
    sweep(&mut view, 4_000, vec![]);
    assert_eq!(
        view.sight("uid", Some(&id(1))),
        Sight::Absent { by_tag: at(4_000), home: None, by_id: None, deleted: None }
    );
}

/// A subnet's name counts in the instance's VPC: no hour may make that unknown again.
#[test]
fn a_look_at_an_instance_is_kept_as_long_as_its_node_is_there() {
    let mut view = view();
    let asked = BTreeSet::from([instance()]);
    view.finish_instances(at(0), &asked, vec![on(1, Attached, 0), primary(0)]);
    sweep(&mut view, 10_000, vec![on(1, Attached, 10_000)]);
    view.keep_instances(&asked);
    assert_eq!(view.instance_sight(&instance()).and_then(|sight| sight.vpc).as_deref(), Some("vpc-1"));
    view.keep_instances(&BTreeSet::new());
    assert_eq!(view.instance_sight(&instance()), None);
}

/// An ENI in another VPC may have the lower ID.
#[test]
fn an_instance_is_where_its_primary_interface_is() {
    let mut view = view();
    let elsewhere = EniSeen { vpc: "vpc-0".into(), zone: "z0".into(), ..on(1, Attached, 0) };
    view.finish_instances(at(0), &BTreeSet::from([instance()]), vec![elsewhere, primary(0)]);
    let sight = view.instance_sight(&instance()).unwrap();
    assert_eq!((sight.vpc.as_deref(), sight.zone.as_deref()), (Some("vpc-1"), Some("eu-west-1a")));
}

/// The primary interface of the instance.
fn primary(second: i64) -> EniSeen {
    let at = SeenAttachment { id: "attach-99".into(), index: 0, ..attachment(Attached, second) };
    EniSeen { tags: Pairs::default(), attachment: Some(at), ..eni(99, second) }
}

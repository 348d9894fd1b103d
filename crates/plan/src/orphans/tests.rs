//! Which orphans are detached, deleted or only reported.

use super::*;
use crate::assign::tests::at;
use crate::lifecycle::tests::{attachment, eni};

struct World {
    owned: Vec<ObservedEni>,
    known: BTreeSet<String>,
    named: BTreeSet<EniId>,
    instances: BTreeSet<InstanceId>,
    before: BTreeMap<EniId, Timestamp>,
    called: Option<Timestamp>,
}

impl World {
    /// One ENI that no ENIAttachment knows, suspected at 10 s and shown by a resync at `resync`.
    fn new(state: Option<AttachmentState>, resync: i64) -> Self {
        let mut orphan = eni(1);
        orphan.attachment = state.map(attachment);
        orphan.shown_at = at(resync);
        let instances = attachment(AttachmentState::Attached).instance.into_iter().collect();
        let before = [(orphan.id.clone(), at(10))].into();
        Self { owned: vec![orphan], known: BTreeSet::new(), named: BTreeSet::new(), instances, before, called: None }
    }

    fn judge(&self, resync: i64) -> OrphanPlan {
        judge(Input {
            may_be_adopted: &|_| false,
            now: at(resync + 1),
            resync: at(resync),
            all: self.owned.len(),
            owned: &self.owned,
            known: &self.known,
            named: &self.named,
            instances: &self.instances,
            before: &self.before,
            called: self.called,
            refused: &Refusals::default(),
            settings: &Settings::default(),
        })
    }
}

#[test]
fn two_complete_resyncs_apart_must_show_an_orphan() {
    let id = eni(1).id;
    let mut world = World::new(None, 189);
    assert_eq!(world.judge(189).delete, [], "the second resync began too early");
    world.owned[0].shown_at = at(190);
    assert_eq!(world.judge(190).delete, std::slice::from_ref(&id));
    world.owned[0].shown_at = at(100);
    assert_eq!(world.judge(190).delete, [], "this resync did not show the ENI");
    world.before.clear();
    world.owned[0].shown_at = at(190);
    let plan = world.judge(190);
    assert_eq!(
        (plan.delete.as_slice(), plan.suspects.get(&id)),
        (&[][..], Some(&at(191))),
        "the ENI is suspected from now on"
    );
}

#[test]
fn a_call_that_failed_is_sent_again_after_the_next_resync() {
    let id = eni(1).id;
    let mut world = World::new(None, 300);
    world.called = Some(at(300));
    let plan = world.judge(300);
    assert_eq!((plan.delete.as_slice(), plan.suspects.get(&id)), (&[][..], Some(&at(10))), "the ENI stays suspected");
    world.owned[0].shown_at = at(360);
    assert_eq!(world.judge(360).delete, [id]);
}

#[test]
fn an_eni_that_is_known_or_named_or_has_no_attachment_tag_is_no_orphan() {
    let mut world = World::new(None, 500);
    world.named.insert(eni(1).id);
    assert_eq!(world.judge(500), OrphanPlan::default());
    world.named.clear();
    world.known.extend(world.owned[0].attachment_uid().map(str::to_owned));
    assert_eq!(world.judge(500), OrphanPlan::default());
    world.known.clear();
    world.owned[0].tags.remove(multi_eni_api::names::TAG_ATTACHMENT_UID);
    assert_eq!(world.judge(500), OrphanPlan::default());
}

#[test]
fn an_orphan_stuck_in_attaching_or_detaching_is_detached_after_its_limit() {
    let force = |state, resync| World::new(Some(state), resync).judge(resync).detach.first().map(|d| d.force);
    assert_eq!(force(AttachmentState::Attached, 250), Some(false));
    assert_eq!(force(AttachmentState::Attaching, 250), None);
    assert_eq!(force(AttachmentState::Attaching, 300), Some(false));
    assert_eq!(force(AttachmentState::Detaching, 899), None);
    assert_eq!(force(AttachmentState::Detaching, 900), Some(true));
}

#[test]
fn orphans_on_foreign_instances_and_too_many_orphans_are_only_reported() {
    let mut world = World::new(Some(AttachmentState::Attached), 500);
    world.instances.clear();
    let plan = world.judge(500);
    assert_eq!((plan.foreign, plan.detach), (vec![eni(1).id], vec![]));
    let mut many = World::new(None, 500);
    many.owned = (1..=11)
        .map(|n| {
            let mut orphan = eni(n);
            orphan.shown_at = at(500);
            orphan
        })
        .collect();
    many.before = many.owned.iter().map(|orphan| (orphan.id.clone(), at(10))).collect();
    let plan = many.judge(500);
    assert!(plan.delete.is_empty() && plan.brake.is_some_and(|brake| brake.message.contains("11 of 11")));
}

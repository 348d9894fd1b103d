//! Estimates, for one that watches from outside, when the running controller removes each orphan by itself, and says which it
//! never removes and why. It applies the rules of the controller's own decision to what EC2 shows, and decides nothing itself.
//!
//! The controller suspects an orphan at the end of the next resync, and proves it by one that begins [`APART`] later. It sends a
//! Detach then, and a Delete after a resync that begins [`APART`] after the Detach.

use super::evidence::{APART, ForeignUse, in_use_elsewhere, lone, most_at_once};
use crate::observed::{AttachmentState, ObservedEni};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::TAG_ATTACHMENT_UID;
use std::collections::{BTreeMap, BTreeSet};

/// Since when an orphan has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Since when it has been seen as an orphan.
    since: Timestamp,
    /// Whether it was attached when it was seen last.
    was_attached: bool,
    /// When it was first seen free, if it had been seen attached before.
    freed: Option<Timestamp>,
}

/// The orphans that were seen, by ENI. An ENI that is no orphan any more is forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings(BTreeMap<EniId, Seen>);

impl Sightings {
    /// Notes the orphans that EC2 shows at this time.
    pub fn note<'a>(&mut self, orphans: impl Iterator<Item = &'a ObservedEni>, now: Timestamp) {
        let before = std::mem::take(&mut self.0);
        for eni in orphans {
            let is_attached = eni.attachment.is_some();
            let seen = match before.get(&eni.id) {
                None => Seen { since: now, was_attached: is_attached, freed: None },
                Some(seen) => {
                    let is_freed = seen.was_attached && !is_attached;
                    Seen { freed: if is_freed { Some(now) } else { seen.freed }, was_attached: is_attached, ..*seen }
                }
            };
            self.0.insert(eni.id.clone(), seen);
        }
    }
}

/// Why the controller never removes an ENI by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Something that is not a Node of this cluster uses it.
    InUse(ForeignUse),
    /// It has no tag that names an ENIAttachment.
    Untagged,
    /// There are too many at once.
    TooMany(TooMany),
}

/// More orphans than the controller removes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Their number.
    pub count: usize,
    /// How many the controller removes at once by default.
    pub limit: usize,
}

impl TooMany {
    /// The sentence about them.
    pub fn sentence(self) -> String {
        let Self { count, limit } = self;
        format!(
            "{count} ENIs without an ENIAttachment are more than the {limit} that the controller removes at once: find out why \
             their ENIAttachments are gone, and start the controller with --max-orphans={count}"
        )
    }
}

impl Kept {
    /// Why the controller never removes the ENI, without the name of the ENI.
    pub fn sentence(&self) -> String {
        match self {
            Self::InUse(ForeignUse::Instance(Some(instance))) => {
                format!("{instance} is no instance of a Node of this cluster, so the controller never changes this ENI")
            }
            Self::InUse(ForeignUse::Instance(None)) => {
                "EC2 does not show its instance, so the controller never changes this ENI".to_owned()
            }
            Self::InUse(ForeignUse::Hidden) => {
                "EC2 shows it in use and no attachment, as of a branch interface, so the controller never changes it"
                    .to_owned()
            }
            Self::Untagged => format!("it has no tag {TAG_ATTACHMENT_UID}, so the controller never changes it"),
            Self::TooMany(many) => many.sentence(),
        }
    }
}

/// What the controller does with the ENIs that no ENIAttachment has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalEstimates {
    /// Those that the controller removes by itself, each with the time at which it has done so, unless a call fails.
    pub removed_by: BTreeMap<EniId, Timestamp>,
    /// Those that it never removes by itself.
    pub kept: BTreeMap<EniId, Kept>,
    /// Some if [`Self::removed_by`] has more than a controller removes at once by default.
    pub too_many: Option<TooMany>,
}

/// What is known of the orphans.
pub struct Known<'a> {
    /// The present time.
    pub now: Timestamp,
    /// All ENIs of this cluster that EC2 shows.
    pub owned: &'a [ObservedEni],
    /// UIDs of all ENIAttachments.
    pub attachments: &'a BTreeSet<String>,
    /// ENIs that ENIAttachments name in their statuses.
    pub named: &'a BTreeSet<EniId>,
    /// Instances of all Nodes.
    pub instances: &'a BTreeSet<InstanceId>,
    /// Since when the orphans have been seen.
    pub seen: &'a Sightings,
    /// The interval of the controller's resyncs.
    pub resync_every: SignedDuration,
    /// The times and limits of the controller.
    pub settings: &'a Settings,
}

/// Estimates what the controller does with each ENI that no ENIAttachment has.
pub fn estimates(known: &Known<'_>) -> RemovalEstimates {
    let mut out = RemovalEstimates::default();
    for eni in known.owned.iter().filter(|eni| eni.attachment_uid().is_none() && !known.named.contains(&eni.id)) {
        out.kept.insert(eni.id.clone(), Kept::Untagged);
    }
    for eni in lone(known.owned, known.attachments, known.named) {
        match in_use_elsewhere(eni, known.instances) {
            Some(by) => {
                out.kept.insert(eni.id.clone(), Kept::InUse(by));
            }
            None => {
                out.removed_by.insert(eni.id.clone(), removed_by(eni, known));
            }
        }
    }
    let (count, limit) = (out.removed_by.len(), most_at_once(known.owned.len(), known.settings));
    if count > limit {
        let many = TooMany { count, limit };
        out.too_many = Some(many);
        // The controller may have been started with a higher maximum. Only the time shows whether it was.
        let is_overdue = |by: &Timestamp| known.now > by.saturating_add(known.resync_every).unwrap_or(Timestamp::MAX);
        let (kept, removed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut out.removed_by).into_iter().partition(|(_, by)| is_overdue(by));
        out.removed_by = removed;
        out.kept.extend(kept.into_keys().map(|eni| (eni, Kept::TooMany(many))));
    }
    out
}

fn removed_by(eni: &ObservedEni, known: &Known<'_>) -> Timestamp {
    let seen = known.seen.0.get(&eni.id);
    let since = seen.map_or(known.now, |seen| seen.since);
    let (resync, settings) = (known.resync_every, known.settings);
    // The resync after which it is suspected, and the wait for the one that proves it.
    let proven = APART.saturating_add(resync).saturating_add(resync);
    let deleted_after_detach = APART.saturating_add(resync);
    let after = |from: Timestamp, wait: SignedDuration| from.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let detached = |stuck: SignedDuration| {
        let stuck = stuck.saturating_add(resync).saturating_add(resync);
        after(since, proven.max(stuck).saturating_add(deleted_after_detach))
    };
    match eni.attachment.as_ref().map(|at| at.state) {
        None => {
            let freed = seen.and_then(|seen| seen.freed);
            freed.map_or(Timestamp::MIN, |freed| after(freed, deleted_after_detach)).max(after(since, proven))
        }
        Some(AttachmentState::Attached) => detached(SignedDuration::ZERO),
        Some(AttachmentState::Attaching) => detached(settings.attaching_detach),
        Some(AttachmentState::Detaching) => detached(settings.force_detach),
    }
}

impl RemovalEstimates {
    /// When the controller has removed the last one that it removes by itself.
    pub fn last(&self) -> Option<Timestamp> {
        self.removed_by.values().max().copied()
    }

    /// Whether the controller removes nothing more by itself.
    pub fn is_final(&self) -> bool {
        self.removed_by.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::at;
    use crate::lifecycle::tests::{attachment, eni};
    use crate::observed::ObservedAttachment;

    const RESYNC: SignedDuration = SignedDuration::from_secs(60);

    struct World {
        owned: Vec<ObservedEni>,
        attachments: BTreeSet<String>,
        named: BTreeSet<EniId>,
        instances: BTreeSet<InstanceId>,
        seen: Sightings,
    }

    impl World {
        fn new(owned: Vec<ObservedEni>) -> Self {
            let instances = attachment(AttachmentState::Attached).instance.into_iter().collect();
            let empty = (BTreeSet::new(), BTreeSet::new());
            Self { owned, attachments: empty.0, named: empty.1, instances, seen: Sightings::default() }
        }

        fn look(&mut self, now: i64) -> RemovalEstimates {
            self.seen.note(lone(&self.owned, &self.attachments, &self.named), at(now));
            estimates(&Known {
                now: at(now),
                owned: &self.owned,
                attachments: &self.attachments,
                named: &self.named,
                instances: &self.instances,
                seen: &self.seen,
                resync_every: RESYNC,
                settings: &Settings::default(),
            })
        }
    }

    fn with(attachment: Option<ObservedAttachment>) -> ObservedEni {
        ObservedEni { attachment, ..eni(1) }
    }

    fn in_state(state: AttachmentState) -> ObservedEni {
        with(Some(attachment(state)))
    }

    #[test]
    fn a_free_orphan_is_gone_after_the_proof_and_an_attached_one_after_a_second_wait() {
        let by = |eni: ObservedEni| World::new(vec![eni]).look(100).last();
        assert_eq!(by(with(None)), Some(at(100 + 300)));
        assert_eq!(by(in_state(AttachmentState::Attached)), Some(at(100 + 540)));
        assert_eq!(by(in_state(AttachmentState::Attaching)), Some(at(100 + 420 + 240)));
        assert_eq!(by(in_state(AttachmentState::Detaching)), Some(at(100 + 1020 + 240)));
    }

    #[test]
    fn the_time_counts_from_the_first_sight_and_a_detach_puts_it_off() {
        let mut world = World::new(vec![in_state(AttachmentState::Attached)]);
        world.look(100);
        assert_eq!(world.look(130).last(), Some(at(640)), "it does not move");
        world.owned = vec![with(None)];
        assert_eq!(world.look(330).last(), Some(at(330 + 240)), "the Detach was before this look");
        assert_eq!(world.look(345).last(), Some(at(330 + 240)));
        world.owned.clear();
        assert!(world.look(350).is_final());
        world.owned = vec![with(None)];
        assert_eq!(world.look(360).last(), Some(at(660)), "it was forgotten");
    }

    /// The estimate is an upper bound of what the controller's own decision does, with a resync every minute.
    #[test]
    fn the_controller_deletes_by_the_estimated_time() {
        for (state, first_resync) in [None, Some(AttachmentState::Attached)]
            .into_iter()
            .flat_map(|state| [1, 20, 40, 60].map(|first| (state, first)))
        {
            let mut orphan = with(state.map(attachment));
            let by = World::new(vec![orphan.clone()]).look(0).last().unwrap();
            let (mut before, mut called, mut deleted) = (BTreeMap::new(), None, None);
            let instances = attachment(AttachmentState::Attached).instance.into_iter().collect();
            for resync in (0..20).map(|n| first_resync + n * 60) {
                orphan.shown_at = at(resync);
                let owned = [orphan.clone()];
                let plan = super::super::judge(super::super::Input {
                    now: at(resync + 1),
                    resync: at(resync),
                    all: 1,
                    owned: &owned,
                    known: &BTreeSet::new(),
                    named: &BTreeSet::new(),
                    may_be_adopted: &|_| false,
                    instances: &instances,
                    before: &before,
                    called,
                    refused: &super::super::Refusals::default(),
                    settings: &Settings::default(),
                });
                before = plan.suspects;
                if !plan.detach.is_empty() {
                    (orphan.attachment, orphan.last_call, called) = (None, Some(at(resync + 1)), Some(at(resync)));
                }
                if !plan.delete.is_empty() {
                    deleted = Some(at(resync + 1));
                    break;
                }
            }
            let deleted = deleted.unwrap();
            assert!(deleted <= by.saturating_add(SignedDuration::from_secs(1)).unwrap(), "{state:?}: {deleted}, {by}");
            assert!(deleted >= by.saturating_sub(RESYNC * 2).unwrap(), "{state:?}: {by} is far from {deleted}");
        }
    }

    #[test]
    fn the_controller_never_removes_what_is_used_elsewhere_or_has_lost_its_tag() {
        let mut world = World::new(vec![in_state(AttachmentState::Attached)]);
        world.instances.clear();
        let found = world.look(0);
        assert!(found.is_final());
        let sentence = found.kept[&eni(1).id].sentence();
        assert!(sentence.contains("is no instance of a Node of this cluster"), "{sentence}");

        let mut hidden = with(None);
        hidden.in_use_since = Some(at(0));
        let found = World::new(vec![hidden]).look(0);
        assert_eq!(found.kept[&eni(1).id], Kept::InUse(ForeignUse::Hidden));

        let mut untagged = with(None);
        untagged.tags.remove(TAG_ATTACHMENT_UID);
        let found = World::new(vec![untagged]).look(0);
        assert!(found.is_final() && found.kept[&eni(1).id] == Kept::Untagged, "{found:?}");
    }

    #[test]
    fn an_eni_that_an_eniattachment_has_is_no_orphan() {
        let mut world = World::new(vec![with(None)]);
        world.named.insert(eni(1).id);
        assert_eq!(world.look(0), RemovalEstimates::default());
        world.named.clear();
        world.attachments.extend(with(None).attachment_uid().map(str::to_owned));
        assert_eq!(world.look(0), RemovalEstimates::default());
    }

    #[test]
    fn too_many_at_once_are_kept_when_their_time_is_over() {
        let mut world = World::new((1..=11).map(eni).collect());
        let found = world.look(0);
        assert_eq!((found.removed_by.len(), found.too_many), (11, Some(TooMany { count: 11, limit: 10 })));
        assert_eq!(world.look(360).removed_by.len(), 11, "the controller may have a higher maximum");
        let found = world.look(361);
        assert!(found.is_final() && found.kept.len() == 11, "{found:?}");
        let sentence = found.kept[&eni(1).id].sentence();
        assert!(sentence.contains("--max-orphans=11"), "{sentence}");
        world.owned.pop();
        assert_eq!(world.look(400).too_many, None);
    }
}

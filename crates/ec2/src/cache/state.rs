//! The data of the cache, and the rules by which Describes change it. Synchronous, no I/O.
//!
//! A function that returns [`Uids`] returns the ENIAttachments to report: those whose ENI changed, or whose lookup was answered.

use super::account_evidence::{Home, LookupsByTag};
use super::answered_calls::{AnsweredCalls, within};
use super::comparison::same;
use super::entry::{Entry, Gone};
use super::instance_lookup::InstanceLookup;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance_life::{InstanceObservation, InstanceState};
use multi_eni_plan::observed::{AttachmentState, Cluster, ObservedEni};
use multi_eni_plan::string_map::SharedKeys;
use std::collections::{BTreeMap, BTreeSet};

/// UIDs of ENIAttachments.
pub(crate) type Uids = BTreeSet<String>;

/// How long the cache keeps foreign ENIs, absent ENIs and instance states after it last learned of them.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(3600);

/// The `shown_at` of an ENI that no Describe has shown yet. Such an ENI is looked up before any call on it.
pub(super) const NEVER_SHOWN: Timestamp = Timestamp::UNIX_EPOCH;

/// The cache of EC2.
#[derive(Debug)]
pub(crate) struct CacheState {
    pub(super) cluster: Cluster,
    pub(super) lag: SignedDuration,
    pub(super) entries: BTreeMap<EniId, Box<Entry>>,
    /// The keys of the tags in `entries`: nearly all ENIs have the same.
    tag_keys: SharedKeys,
    /// ENIs by the UID in their tag, sorted by ID; nearly always one.
    pub(super) by_uid: BTreeMap<String, Vec<EniId>>,
    /// ENIs by the instance of their attachment, sorted by ID; a few.
    pub(super) by_instance: BTreeMap<InstanceId, Vec<EniId>>,
    /// The ENIs that are attaching or detaching.
    pub(super) moving: BTreeSet<EniId>,
    pub(super) gone: BTreeMap<EniId, Gone>,
    /// By UID: the ENI with that UID in its tag that became absent last.
    pub(super) gone_by_uid: BTreeMap<String, EniId>,
    /// By UID: the latest lookup by tag that did not show an ENI with that UID.
    pub(super) absent_by_tag: LookupsByTag,
    /// By UID: start of the latest Describe that showed an ENI with that UID, applied or not.
    pub(super) shown: BTreeMap<String, Timestamp>,
    pub(super) last_resync: Option<Timestamp>,
    /// The number of ENIs of this cluster that the last resync showed, including unreadable ones that the cache holds by UID.
    pub(super) resynced: usize,
    /// When EC2 showed something of this cluster.
    pub(super) home: Home,
    /// The time of the latest such evidence at the start of the last resync, or that start if the resync itself showed an ENI.
    pub(super) resynced_home: Option<Timestamp>,
    /// ENIAttachments that asked for an ENI whose tags do not name them: since the last resync, and between the two before.
    pub(super) requesters: BTreeMap<EniId, Uids>,
    pub(super) earlier_askers: BTreeMap<EniId, Uids>,
    pub(super) instances: BTreeMap<InstanceId, Box<InstanceLookup>>,
    pub(super) lookups: BTreeMap<InstanceId, InstanceObservation>,
}

impl CacheState {
    /// An empty cache.
    pub fn new(cluster: Cluster, lag: SignedDuration) -> Self {
        Self {
            cluster,
            lag,
            entries: BTreeMap::new(),
            tag_keys: SharedKeys::default(),
            by_uid: BTreeMap::new(),
            by_instance: BTreeMap::new(),
            moving: BTreeSet::new(),
            gone: BTreeMap::new(),
            gone_by_uid: BTreeMap::new(),
            absent_by_tag: LookupsByTag::new(),
            shown: BTreeMap::new(),
            last_resync: None,
            resynced: 0,
            home: Home::default(),
            resynced_home: None,
            requesters: BTreeMap::new(),
            earlier_askers: BTreeMap::new(),
            instances: BTreeMap::new(),
            lookups: BTreeMap::new(),
        }
    }

    /// Applies the ENIs that a Describe showed; their `shown_at` is the start of the Describe. Other ENIs do not change.
    pub fn apply_shown(&mut self, page: Vec<ObservedEni>) -> Uids {
        let mut uids = Uids::new();
        page.into_iter().for_each(|seen| self.apply_one(seen, &mut uids));
        uids
    }

    /// Applies one ENI that a Describe showed, and adds the ENIAttachments to report. If a tag no longer names the ENIAttachment
    /// of before, both are reported: the one of before has lost its ENI.
    fn apply_one(&mut self, shown: ObservedEni, uids: &mut Uids) {
        if shown.is_of(&self.cluster) {
            self.home.shown(shown.shown_at);
        }
        if let Some(uid) = shown.attachment_uid() {
            note_latest(&mut self.shown, uid, shown.shown_at);
        }
        let Some(entry) = self.entries.get_mut(&shown.id) else {
            // Only a successful Delete overrides this Describe. NotFound does not: another account gives the same answer.
            let deleted = self.gone.get(&shown.id).and_then(Gone::confirmed);
            if !deleted.is_some_and(|at| within(self.lag, at, shown.shown_at)) {
                uids.extend(shown.attachment_uid().map(str::to_owned));
                self.put(Entry::new(shown, AnsweredCalls::default()));
            }
            return;
        };
        if shown.shown_at < entry.seen.as_of() {
            return;
        }
        let began = shown.shown_at;
        let seen = entry.answered_calls().correct(&entry.seen, shown, self.lag);
        let calls = entry.answered_calls().clone().after(began, self.lag);
        if same(&entry.seen, &seen) {
            // This is nearly always so, for thousands of ENIs in each resync. The indexes need no update.
            entry.seen_again(&seen, calls);
            return;
        }
        uids.extend([&entry.seen, &seen].into_iter().filter_map(|eni| eni.attachment_uid()).map(str::to_owned));
        self.put(Entry::new(seen, calls));
    }

    /// A resync that began at `began` showed ENIs of these ENIAttachments that cannot be read: they are not absent. Returns the
    /// ENIs of these ENIAttachments that the cache holds.
    pub fn shown_unread(&mut self, uids: &Uids, began: Timestamp) -> Vec<EniId> {
        uids.iter().for_each(|uid| note_latest(&mut self.shown, uid, began));
        uids.iter().filter_map(|uid| self.by_uid.get(uid)).flatten().cloned().collect()
    }

    /// The UID of the ENIAttachment to report when this ENI changes.
    pub fn uid_of(&self, eni: &EniId) -> Option<String> {
        let tagged = self.entries.get(eni).and_then(|entry| entry.seen.attachment_uid()).map(str::to_owned);
        tagged.or_else(|| self.gone.get(eni).and_then(|gone| gone.uid.clone()))
    }

    pub(super) fn put(&mut self, mut entry: Entry) {
        let id = entry.seen.id.clone();
        if let Some(old) = self.entries.remove(&id) {
            self.unindex(&old.seen);
        }
        self.gone.remove(&id);
        if let Some(uid) = entry.seen.attachment_uid() {
            add_to(&mut self.by_uid, uid.to_owned(), &id);
        }
        if let Some(attachment) = &entry.seen.attachment {
            if let Some(instance) = &attachment.instance {
                add_to(&mut self.by_instance, instance.clone(), &id);
            }
            if attachment.state != AttachmentState::Attached {
                self.moving.insert(id.clone());
            }
        }
        entry.seen.tags.share_keys(&mut self.tag_keys);
        self.entries.insert(id, Box::new(entry));
    }

    pub(super) fn remove(&mut self, id: &EniId, at: Timestamp) -> &mut Gone {
        let uid = self.entries.remove(id).and_then(|old| {
            self.unindex(&old.seen);
            old.seen.attachment_uid().map(str::to_owned)
        });
        if let Some(uid) = &uid {
            self.gone_by_uid.insert(uid.clone(), id.clone());
        }
        let gone = self.gone.entry(id.clone()).or_default();
        gone.uid = uid.or(gone.uid.take());
        gone.noted = gone.noted.max(at);
        gone
    }

    pub(super) fn unindex(&mut self, seen: &ObservedEni) {
        if let Some(uid) = seen.attachment_uid() {
            drop_from(&mut self.by_uid, uid, &seen.id);
        }
        if let Some(instance) = seen.attachment.as_ref().and_then(|attachment| attachment.instance.as_ref()) {
            drop_from(&mut self.by_instance, instance, &seen.id);
        }
        self.moving.remove(&seen.id);
    }

    /// Drops the observed ENIs of all other instances. Those of `instances` are kept however old they are: an instance never
    /// changes its VPC, and without the observation the statuses would report a new lookup.
    pub fn keep_instances(&mut self, instances: &BTreeSet<InstanceId>) {
        self.instances.retain(|instance, _| instances.contains(instance));
    }

    /// Records other proof that the account and Region were this cluster's at that time.
    pub fn note_home(&mut self, at: Timestamp) {
        self.home.shown(at);
    }

    /// Drops all absences except those by our own successful Deletes.
    pub fn forget_absences(&mut self) {
        self.lookups.retain(|_, lookup| lookup.state != InstanceState::Missing);
        self.instances.retain(|_, lookup| lookup.without_primary.is_none());
        self.absent_by_tag.clear();
        self.gone.retain(|_, gone| gone.confirmed().is_some());
        // Until the next resync ends, an ENI that the cache does not hold is not known to be absent.
        self.last_resync = None;
    }

    /// Drops records that a complete resync has replaced, and records that are older than `REMEMBERED`.
    pub(super) fn forget(&mut self, began: Timestamp) {
        self.absent_by_tag.retain(|_, lookup| lookup.began > began);
        self.shown.retain(|_, at| *at >= began);
        let old = |at: Timestamp| began.duration_since(at) > REMEMBERED;
        let lapsed = |seen: &&ObservedEni| !seen.is_of(&self.cluster) && old(seen.as_of());
        let lapsed: Vec<ObservedEni> = self.entries.values().map(|entry| &entry.seen).filter(lapsed).cloned().collect();
        let lapsed_absences: BTreeMap<EniId, Gone> = self.gone.extract_if(.., |_, gone| old(gone.noted)).collect();
        self.correct_lookups(&lapsed, &lapsed_absences);
        for seen in lapsed {
            self.unindex(&seen);
            self.entries.remove(&seen.id);
        }
        let gone = &self.gone;
        self.gone_by_uid.retain(|_, id| gone.contains_key(id));
        self.lookups.retain(|_, lookup| !old(lookup.as_of));
        self.earlier_askers = std::mem::take(&mut self.requesters);
    }

    /// Takes out of the lookups of instances what the cache knows better and is about to forget: an instance may not be looked up again
    /// for days, and would seem to have an ENI that left it long ago.
    fn correct_lookups(&mut self, enis: &[ObservedEni], absences: &BTreeMap<EniId, Gone>) {
        if enis.is_empty() && absences.is_empty() {
            return;
        }
        let enis: BTreeMap<&EniId, &ObservedEni> = enis.iter().map(|seen| (&seen.id, seen)).collect();
        for (instance, lookup) in &mut self.instances {
            let began = lookup.as_of;
            let is_elsewhere = |seen: &ObservedEni| {
                seen.attachment.as_ref().and_then(|attachment| attachment.instance.as_ref()) != Some(instance)
            };
            lookup.take_out(|id| {
                absences.get(id).is_some_and(|gone| gone.is_after(began))
                    || enis.get(id).is_some_and(|seen| seen.as_of() >= began && is_elsewhere(seen))
            });
        }
    }
}

fn add_to<K: Ord>(index: &mut BTreeMap<K, Vec<EniId>>, key: K, id: &EniId) {
    let ids = index.entry(key).or_default();
    if let Err(place) = ids.binary_search(id) {
        // There is a list for nearly each ENI, so it gets no spare capacity.
        ids.reserve_exact(1);
        ids.insert(place, id.clone());
    }
}

fn drop_from<K, Q>(index: &mut BTreeMap<K, Vec<EniId>>, key: &Q, id: &EniId)
where
    K: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// Records a time, unless a later time is recorded.
fn note_latest(times: &mut BTreeMap<String, Timestamp>, uid: &str, at: Timestamp) {
    match times.get_mut(uid) {
        Some(last) => *last = at.max(*last),
        None => drop(times.insert(uid.to_owned(), at)),
    }
}

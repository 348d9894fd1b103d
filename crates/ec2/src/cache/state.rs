//! The data of the cache, and the rules by which Describes change it. Synchronous, no I/O.
//!
//! A function that returns [`Uids`] returns the ENIAttachments to report: those whose ENI changed, or whose lookup was answered.

use super::account_evidence::{Home, Lookup, LookupsByTag};
use super::answered_calls::{AnsweredCalls, within};
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance_life::{InstanceObservation, InstanceState};
use multi_eni_plan::observed::{
    AttachmentState, Cluster, InstanceInterfaces, Missed, ObservedAttachment, ObservedEni, Unshown,
};
use std::collections::{BTreeMap, BTreeSet};

/// UIDs of ENIAttachments.
pub(crate) type Uids = BTreeSet<String>;

/// How long the cache keeps foreign ENIs, absent ENIs and instance states after it last learned of them.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(3600);

/// The `shown_at` of an ENI that no Describe has shown yet. Such an ENI is looked up before any call on it.
pub(super) const NEVER_SHOWN: Timestamp = Timestamp::UNIX_EPOCH;

/// An ENI that exists, as far as the cache knows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub seen: ObservedEni,
    /// The answers of calls that still override Describes. None for nearly all ENIs, so the box saves memory.
    answered_calls: Option<Box<AnsweredCalls>>,
}

impl Entry {
    /// An ENI, and the answers of calls that override Describes of it.
    pub fn new(seen: ObservedEni, calls: AnsweredCalls) -> Self {
        Self { seen, answered_calls: (calls != AnsweredCalls::default()).then(|| Box::new(calls)) }
    }

    /// The answers of calls that override Describes.
    pub fn answered_calls(&self) -> &AnsweredCalls {
        static NOTHING: AnsweredCalls = AnsweredCalls::NOTHING;
        self.answered_calls.as_deref().unwrap_or(&NOTHING)
    }
}

/// An ENI that is absent, as far as the cache knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    /// The UID of the ENIAttachment that its tags named, if the cache ever held the ENI.
    pub uid: Option<String>,
    /// The lookups by ID that did not show the ENI, or EC2's answer NotFound to our Delete.
    pub by_id: Option<Missed>,
    /// When EC2 answered our Delete, with success or with NotFound.
    pub deleted: Option<Timestamp>,
    /// EC2 answered our Deletes with NotFound only.
    pub unknown: bool,
    /// When this record was last updated.
    pub noted: Timestamp,
}

impl Gone {
    /// When EC2 answered our Delete, if any Delete succeeded.
    pub fn confirmed(&self) -> Option<Timestamp> {
        self.deleted.filter(|_| !self.unknown)
    }
}

/// The cache of EC2.
#[derive(Debug)]
pub(crate) struct CacheState {
    pub(super) cluster: Cluster,
    pub(super) lag: SignedDuration,
    pub(super) entries: BTreeMap<EniId, Box<Entry>>,
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
    pub(super) instances: BTreeMap<InstanceId, InstanceInterfaces>,
    pub(super) lookups: BTreeMap<InstanceId, InstanceObservation>,
}

impl CacheState {
    /// An empty cache.
    pub fn new(cluster: Cluster, lag: SignedDuration) -> Self {
        Self {
            cluster,
            lag,
            entries: BTreeMap::new(),
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
        page.into_iter().filter_map(|seen| self.apply_one(seen)).collect()
    }

    fn apply_one(&mut self, shown: ObservedEni) -> Option<String> {
        if shown.is_of(&self.cluster) {
            self.home.shown(shown.shown_at);
        }
        if let Some(uid) = shown.attachment_uid() {
            note_latest(&mut self.shown, uid, shown.shown_at);
        }
        let Some(entry) = self.entries.get_mut(&shown.id) else {
            // Only a successful Delete overrides this Describe. NotFound does not: another account gives the same answer.
            let deleted = self.gone.get(&shown.id).and_then(Gone::confirmed);
            if deleted.is_some_and(|at| within(self.lag, at, shown.shown_at)) {
                return None;
            }
            let uid = shown.attachment_uid().map(str::to_owned);
            self.put(Entry::new(shown, AnsweredCalls::default()));
            return uid;
        };
        if shown.shown_at < entry.seen.as_of() {
            return None;
        }
        let began = shown.shown_at;
        let seen = entry.answered_calls().correct(&entry.seen, shown, self.lag);
        let calls = entry.answered_calls().clone().after(began, self.lag);
        if same(&entry.seen, &seen) {
            // This is nearly always so, for thousands of ENIs in each resync. The indexes need no update.
            **entry = Entry::new(seen, calls);
            return None;
        }
        let uid = seen.attachment_uid().map(str::to_owned);
        self.put(Entry::new(seen, calls));
        uid
    }

    /// A resync that began at `began` showed ENIs of these ENIAttachments that cannot be read: they are not absent. Returns the
    /// ENIs of these ENIAttachments that the cache holds.
    pub fn shown_unread(&mut self, uids: &Uids, began: Timestamp) -> Vec<EniId> {
        uids.iter().for_each(|uid| note_latest(&mut self.shown, uid, began));
        uids.iter().filter_map(|uid| self.by_uid.get(uid)).flatten().cloned().collect()
    }

    /// Applies the end of a complete resync that began at `began` and showed exactly the ENIs in `shown`.
    pub fn finish_resync(&mut self, began: Timestamp, shown: &BTreeSet<EniId>) -> Uids {
        let missing: Vec<EniId> = self
            .entries
            .values()
            .filter(|entry| entry.seen.is_of(&self.cluster) && !shown.contains(&entry.seen.id))
            .filter(|entry| self.counts_as_absence(entry, began))
            .map(|entry| entry.seen.id.clone())
            .collect();
        let mut uids = Uids::new();
        for id in missing {
            uids.extend(self.remove(&id, began).uid.clone());
        }
        self.last_resync = Some(self.last_resync.map_or(began, |last| last.max(began)));
        self.resynced = shown.len();
        // An ENI on a later page is evidence from after `began`, which `at(began)` does not find.
        self.resynced_home = if shown.is_empty() { self.home.at(began) } else { Some(began) };
        self.forget(began);
        uids
    }

    /// Applies a complete lookup by tag that began at `began` for `asked` and showed `shown`. Returns all of `asked`.
    pub fn finish_lookup_by_tag(&mut self, began: Timestamp, asked: &Uids, shown: Vec<ObservedEni>) -> Uids {
        let ids: BTreeSet<EniId> = shown.iter().map(|seen| seen.id.clone()).collect();
        let found: Uids = shown.iter().filter_map(ObservedEni::attachment_uid).map(str::to_owned).collect();
        self.apply_shown(shown);
        for uid in asked {
            for id in self.by_uid.get(uid).cloned().unwrap_or_default() {
                let absent = !ids.contains(&id)
                    && self.entries.get(&id).is_some_and(|entry| self.counts_as_absence(entry, began));
                if absent {
                    self.remove(&id, began);
                }
            }
            if !found.contains(uid) {
                self.absent_by_tag.insert(uid.clone(), Lookup { began, home: self.home.at(began) });
            }
        }
        asked.clone()
    }

    /// Applies a complete lookup by ID filter that began at `began` for `asked` and showed `shown`. Always returns the
    /// ENIAttachments that asked for these ENIs or that their tags name.
    pub fn finish_lookup_by_id(&mut self, began: Timestamp, asked: &BTreeSet<EniId>, shown: Vec<ObservedEni>) -> Uids {
        let mut uids = self.finish_poll(began, asked, shown);
        for id in asked {
            uids.extend(self.requesters.remove(id).unwrap_or_default());
            uids.extend(self.earlier_askers.remove(id).unwrap_or_default());
            let tagged = self.entries.get(id).and_then(|entry| entry.seen.attachment_uid());
            let was = self.gone.get(id).and_then(|gone| gone.uid.as_deref());
            uids.extend(tagged.or(was).map(str::to_owned));
        }
        uids
    }

    /// The same for a poll, but returns only the ENIAttachments whose ENI changed.
    pub fn finish_poll(&mut self, began: Timestamp, asked: &BTreeSet<EniId>, shown: Vec<ObservedEni>) -> Uids {
        let ids: BTreeSet<EniId> = shown.iter().map(|seen| seen.id.clone()).collect();
        let mut uids = self.apply_shown(shown);
        for id in asked.difference(&ids) {
            match self.entries.get(id) {
                Some(entry) if !self.counts_as_absence(entry, began) => {
                    // EC2 does not show the ENI yet, so the ENI is new: no earlier Create made it, and its tags are as sent.
                    if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.seen.shown_at == NEVER_SHOWN) {
                        entry.seen.shown_at = began;
                    }
                }
                Some(_) => {
                    let home = self.home.at(began);
                    let gone = self.remove(id, began);
                    gone.by_id = Some(Missed::once(began).after(home));
                    uids.extend(gone.uid.clone());
                }
                None => {
                    let home = self.home.at(began);
                    let gone = self.gone.entry(id.clone()).or_default();
                    gone.by_id = Some(gone.by_id.map_or(Missed::once(began), |missed| missed.and(began)).after(home));
                    gone.noted = gone.noted.max(began);
                }
            }
        }
        uids
    }

    /// Applies a complete lookup of the ENIs on the instances `asked` that began at `began`.
    pub fn finish_instances(
        &mut self,
        began: Timestamp,
        asked: &BTreeSet<InstanceId>,
        shown: Vec<ObservedEni>,
    ) -> Uids {
        for instance in asked {
            let on = |seen: &&ObservedEni| seen.attachment.as_ref().and_then(|a| a.instance.as_ref()) == Some(instance);
            let mut enis: Vec<ObservedEni> = shown.iter().filter(on).map(|seen| self.kept(seen)).collect();
            enis.sort_by(|a, b| a.id.cmp(&b.id));
            // The cache keeps this list for each node, and its capacity grew by doubling.
            enis.shrink_to_fit();
            self.finish_instance(instance, began, enis);
        }
        // Only ENIs of this cluster, and ENIs that a lookup requested by ID, have entries.
        let is_known = |seen: &ObservedEni| {
            seen.is_of(&self.cluster) || self.entries.contains_key(&seen.id) || self.gone.contains_key(&seen.id)
        };
        let known = shown.into_iter().filter(is_known).collect();
        self.apply_shown(known)
    }

    /// What the lookup of an instance keeps of an ENI: all of it, if it is of this cluster or upstream left it here.
    fn kept(&self, seen: &ObservedEni) -> ObservedEni {
        let is_whole = seen.is_of(&self.cluster) || seen.upstreams(&self.cluster).is_some();
        if is_whole { seen.clone() } else { seen.clone().without_addresses() }
    }

    /// Applies the lookup of one instance. A lookup without the primary interface shows neither the ENIs nor the free slots of
    /// the instance; only `without_primary` records it.
    fn finish_instance(&mut self, instance: &InstanceId, began: Timestamp, enis: Vec<ObservedEni>) {
        match enis.iter().find(|seen| seen.is_primary_of(instance)) {
            Some(primary) => {
                let (vpc, zone, operator) =
                    (non_empty(&primary.vpc), non_empty(&primary.zone), primary.operator.clone());
                let observation = InstanceInterfaces { as_of: began, vpc, zone, operator, enis, without_primary: None };
                self.instances.insert(instance.clone(), observation);
            }
            None => {
                let new = || InstanceInterfaces { as_of: began, ..InstanceInterfaces::default() };
                let observation = self.instances.entry(instance.clone()).or_insert_with(new);
                let since = observation.without_primary.map_or(began, |unshown| unshown.since);
                observation.without_primary = Some(Unshown { since, as_of: began });
            }
        }
    }

    /// Applies a complete lookup of instance states that began at `began`.
    pub fn finish_states(&mut self, began: Timestamp, states: BTreeMap<InstanceId, InstanceState>) {
        for (instance, state) in states {
            if state != InstanceState::Missing {
                self.home.shown(began);
            }
            let first = InstanceObservation::first(state, began);
            let next = self.lookups.get(&instance).map_or(first, |lookup| lookup.then(state, began));
            self.lookups.insert(instance, next);
        }
    }

    /// Whether an entry that a Describe did not show counts as absent: only if the Describe began no earlier than the cache last
    /// learned of the ENI, and at least the lag after our last call on it.
    fn counts_as_absence(&self, entry: &Entry, began: Timestamp) -> bool {
        began >= entry.seen.as_of() && entry.seen.last_call.is_none_or(|call| !within(self.lag, call, began))
    }

    /// The UID of the ENIAttachment to report when this ENI changes.
    pub fn uid_of(&self, eni: &EniId) -> Option<String> {
        let tagged = self.entries.get(eni).and_then(|entry| entry.seen.attachment_uid()).map(str::to_owned);
        tagged.or_else(|| self.gone.get(eni).and_then(|gone| gone.uid.clone()))
    }

    pub(super) fn put(&mut self, entry: Entry) {
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

    fn unindex(&mut self, seen: &ObservedEni) {
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
        self.instances.retain(|_, observation| observation.without_primary.is_none());
        self.absent_by_tag.clear();
        self.gone.retain(|_, gone| gone.confirmed().is_some());
        // Until the next resync ends, an ENI that the cache does not hold is not known to be absent.
        self.last_resync = None;
    }

    /// Drops records that a complete resync has replaced, and records that are older than `REMEMBERED`.
    fn forget(&mut self, began: Timestamp) {
        self.absent_by_tag.retain(|_, lookup| lookup.began > began);
        self.shown.retain(|_, at| *at >= began);
        let old = |at: Timestamp| began.duration_since(at) > REMEMBERED;
        let lapsed = |seen: &&ObservedEni| !seen.is_of(&self.cluster) && old(seen.as_of());
        let lapsed: Vec<ObservedEni> = self.entries.values().map(|entry| &entry.seen).filter(lapsed).cloned().collect();
        for seen in lapsed {
            self.unindex(&seen);
            self.entries.remove(&seen.id);
        }
        self.gone.retain(|_, gone| !old(gone.noted));
        let gone = &self.gone;
        self.gone_by_uid.retain(|_, id| gone.contains_key(id));
        self.lookups.retain(|_, lookup| !old(lookup.as_of));
        self.earlier_askers = std::mem::take(&mut self.requesters);
    }
}

/// Records a time, unless a later time is recorded.
fn note_latest(times: &mut BTreeMap<String, Timestamp>, uid: &str, at: Timestamp) {
    match times.get_mut(uid) {
        Some(last) => *last = at.max(*last),
        None => drop(times.insert(uid.to_owned(), at)),
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

/// Whether two observations of an ENI are equal, apart from the times at which they were made.
fn same(a: &ObservedEni, b: &ObservedEni) -> bool {
    let ObservedEni {
        id,
        subnet,
        vpc,
        zone,
        owner,
        operator,
        mac,
        private_ips,
        ipv4_prefixes,
        ipv6,
        groups,
        description,
        source_dest_check,
        connection_tracking,
        tags,
        attachment,
        in_use_since,
        shown_at: _,
        last_call: _,
    } = a;
    *id == b.id
        && *subnet == b.subnet
        && *vpc == b.vpc
        && *zone == b.zone
        && *owner == b.owner
        && *mac == b.mac
        && *operator == b.operator
        && *private_ips == b.private_ips
        && *ipv4_prefixes == b.ipv4_prefixes
        && *ipv6 == b.ipv6
        && *groups == b.groups
        && *description == b.description
        && *source_dest_check == b.source_dest_check
        && *connection_tracking == b.connection_tracking
        && *tags == b.tags
        && in_use_since.is_some() == b.in_use_since.is_some()
        && same_attachment(attachment.as_ref(), b.attachment.as_ref())
}

/// The text; None if EC2's answer left it out.
fn non_empty(text: &CompactString) -> Option<CompactString> {
    (!text.is_empty()).then(|| text.clone())
}

fn same_attachment(a: Option<&ObservedAttachment>, b: Option<&ObservedAttachment>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let ObservedAttachment { id, instance, card, index, state, since: _, delete_on_termination } = a;
    *id == b.id
        && *instance == b.instance
        && (*card, *index) == (b.card, b.index)
        && *state == b.state
        && *delete_on_termination == b.delete_on_termination
}

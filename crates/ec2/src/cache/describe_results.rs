//! How the end of a Describe changes the cache: what it did not show may be absent. Synchronous, no I/O.
//!
//! A function that returns [`Uids`] returns the ENIAttachments to report: those whose ENI changed, or whose lookup was answered.

use super::account_evidence::Lookup;
use super::answered_calls::within;
use super::entry::Entry;
use super::instance_lookup::InstanceLookup;
use super::state::{CacheState, NEVER_SHOWN, Uids};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance_life::{InstanceObservation, InstanceState};
use multi_eni_plan::observed::{Missed, ObservedEni, Unshown};
use std::collections::{BTreeMap, BTreeSet};

impl CacheState {
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
            let enis: Vec<&ObservedEni> = shown.iter().filter(on).collect();
            self.finish_instance(instance, began, &enis);
        }
        // Only ENIs of this cluster, and ENIs that a lookup requested by ID, have entries.
        let is_known = |seen: &ObservedEni| {
            seen.is_of(&self.cluster) || self.entries.contains_key(&seen.id) || self.gone.contains_key(&seen.id)
        };
        let known = shown.into_iter().filter(is_known).collect();
        self.apply_shown(known)
    }

    /// Applies the Outposts of instances that the lookup applied last has shown.
    pub fn note_outposts(&mut self, outposts: Vec<(InstanceId, Box<str>)>) {
        for (instance, arn) in outposts {
            if let Some(lookup) = self.instances.get_mut(&instance) {
                lookup.outpost = Some(arn);
            }
        }
    }

    /// Applies the lookup of one instance. A lookup without the primary interface shows neither the ENIs nor the free slots of
    /// the instance; only `without_primary` records it.
    fn finish_instance(&mut self, instance: &InstanceId, began: Timestamp, enis: &[&ObservedEni]) {
        match InstanceLookup::of(instance, began, enis, &self.cluster) {
            Some(lookup) => drop(self.instances.insert(instance.clone(), Box::new(lookup))),
            None => {
                let new = || Box::new(InstanceLookup::without_primary(began));
                let lookup = self.instances.entry(instance.clone()).or_insert_with(new);
                let since = lookup.without_primary.map_or(began, |unshown| unshown.since);
                lookup.without_primary = Some(Unshown { since, as_of: began });
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
}

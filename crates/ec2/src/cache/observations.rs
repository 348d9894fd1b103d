//! The reads of the cache that decisions make. Synchronous; never calls EC2.

use super::account_evidence::Lookup;
use super::entry::Gone;
use super::state::CacheState;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance_life::InstanceObservation;
use multi_eni_plan::observed::{InstanceInterfaces, Observation, ObservedEni};
use std::cmp::Reverse;

impl CacheState {
    /// The observation of the ENI of an ENIAttachment: by the UID in the ENI's tag, and by `eni`, the ENI ID in its status. Of
    /// several ENIs, an ENI with the tag is preferred, then an ENI that is attached, then `eni`, then the lowest ID.
    pub fn observation(&mut self, uid: &str, eni: Option<&EniId>) -> Observation {
        if let Some(seen) = self.find(uid, eni) {
            return Observation::Seen(Box::new(seen.clone()));
        }
        let Some(Lookup { began: by_tag, home }) = self.last_lookup(uid) else { return Observation::Blind };
        // If a Describe since the start of that resync or lookup showed the ENI, the ENI's absence from the answer proves
        // nothing.
        let shown = self.shown.get(uid).is_some_and(|shown| *shown >= by_tag);
        let gone = eni.or_else(|| self.gone_by_uid.get(uid)).and_then(|id| self.gone.get(id));
        Observation::Absent {
            by_tag: if shown { Timestamp::UNIX_EPOCH } else { by_tag },
            home,
            by_id: gone.and_then(|gone| gone.by_id),
            deleted: gone.and_then(Gone::confirmed),
        }
    }

    /// Whether [`observation`](Self::observation) would return `Observation::Absent`. It clones no ENI: after each resync it is
    /// called for each of thousands of ENIAttachments.
    pub fn is_absent(&mut self, uid: &str, eni: Option<&EniId>) -> bool {
        // Nearly always the tags lead to this one ENI, and the index has only ENIs that are there.
        if self.by_uid.get(uid).is_some_and(|ids| !ids.is_empty() && eni.is_none_or(|eni| ids.contains(eni))) {
            return false;
        }
        self.find(uid, eni).is_none() && self.last_lookup(uid).is_some()
    }

    /// The latest complete resync or lookup by tag that would have shown an ENI with this UID in its tag.
    fn last_lookup(&self, uid: &str) -> Option<Lookup> {
        let resync = self.last_resync.map(|began| Lookup { began, home: self.resynced_home });
        self.absent_by_tag.get(uid).copied().max(resync)
    }

    /// The ENI that [`observation`](Self::observation) returns. If the tags do not lead to `eni`, records that this ENIAttachment
    /// asked for it.
    fn find(&mut self, uid: &str, eni: Option<&EniId>) -> Option<&ObservedEni> {
        let tagged = self.by_uid.get(uid);
        if let Some(eni) = eni
            && !tagged.is_some_and(|ids| ids.contains(eni))
        {
            self.requesters.entry(eni.clone()).or_default().insert(uid.to_owned());
        }
        tagged
            .into_iter()
            .flatten()
            .chain(eni)
            .filter_map(|id| self.entries.get(id).map(|entry| &entry.seen))
            .min_by_key(|seen| {
                let carries = seen.attachment_uid() == Some(uid);
                (Reverse(carries), Reverse(seen.attachment.is_some()), Reverse(Some(&seen.id) == eni), &seen.id)
            })
    }

    /// The number of ENIs that carry this cluster's tag, and those of them for which `is_so` is true, sorted by ID.
    pub fn owned_where(&self, is_so: impl Fn(&ObservedEni) -> bool) -> (usize, Vec<ObservedEni>) {
        let owned = || self.entries.values().map(|entry| &entry.seen).filter(|seen| seen.is_of(&self.cluster));
        (owned().count(), owned().filter(|seen| is_so(seen)).cloned().collect())
    }

    /// Start of the last complete resync.
    pub fn last_resync(&self) -> Option<Timestamp> {
        self.last_resync
    }

    /// The number of ENIs of this cluster that the last complete resync showed.
    pub fn resynced(&self) -> usize {
        self.resynced
    }

    /// Start of the latest Describe that showed an ENI or an instance of this cluster, or the time of later proof.
    pub fn home_shown(&self) -> Option<Timestamp> {
        self.home.latest()
    }

    /// Whether EC2 answered our own Delete of this ENI with success.
    pub fn is_deleted(&self, eni: &EniId) -> bool {
        self.gone.get(eni).is_some_and(|gone| gone.confirmed().is_some())
    }

    /// The ENIs that the last lookup of an instance showed, corrected by what the cache has learned since.
    pub fn instance_interfaces(&self, instance: &InstanceId) -> Option<InstanceInterfaces> {
        let lookup = self.instances.get(instance)?;
        let here = self.by_instance.get(instance);
        // An ENI that a later lookup by ID did not show can neither be adopted nor occupy a slot.
        let is_gone = |id: &EniId| self.gone.get(id).is_some_and(|gone| gone.is_after(lookup.as_of));
        let mut enis = lookup.enis(instance, |id| !self.entries.contains_key(id) && !is_gone(id));
        let known = here.into_iter().flatten().filter_map(|id| self.entries.get(id)).map(|entry| &entry.seen);
        // No resync shows an ENI without this cluster's tag. If the lookup of the instance is newer than the entry of such an ENI
        // and did not show the ENI here, the entry is outdated.
        let still = known.filter(|seen| seen.is_of(&self.cluster) || seen.as_of() >= lookup.as_of);
        enis.extend(still.cloned());
        enis.sort_by(|a, b| a.id.cmp(&b.id));
        let (vpc, zone, operator) = (lookup.vpc.clone(), lookup.zone.clone(), lookup.operator.clone());
        Some(InstanceInterfaces {
            as_of: lookup.as_of,
            vpc,
            zone,
            outpost: lookup.outpost.clone(),
            operator,
            primary_addresses: lookup.primary_addresses,
            enis,
            without_primary: lookup.without_primary,
        })
    }

    /// The last lookup of an instance's state.
    pub fn instance_observation(&self, instance: &InstanceId) -> Option<InstanceObservation> {
        self.lookups.get(instance).map(|lookup| lookup.with_resync(self.last_resync))
    }

    /// Whether any ENI is attaching or detaching.
    pub fn is_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    /// The ENIs that are attaching or detaching: since when, or since our last call for the ENI if that is later, and when the
    /// cache last learned of the ENI.
    pub fn moving(&self) -> Vec<(EniId, Timestamp, Timestamp)> {
        let moving = self.moving.iter().filter_map(|id| self.entries.get(id)).map(|entry| &entry.seen);
        // After a call of ours, the time in motion starts again, so the poll is frequent again.
        let begun = |seen: &ObservedEni| {
            let since = seen.attachment.as_ref()?.since;
            Some(seen.last_call.map_or(since, |call| call.max(since)))
        };
        moving.filter_map(|seen| Some((seen.id.clone(), begun(seen)?, seen.as_of()))).collect()
    }
}

//! What decisions read of the view.

use super::home::Lookup;
use super::state::{CacheState, Gone};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance::InstanceObservation;
use multi_eni_plan::observed::{InstanceInterfaces, Observation, ObservedEni};
use std::cmp::Reverse;

impl CacheState {
    /// What is there for an ENIAttachment: by tag, and by the ID that its status has. Of several, one that carries the tag
    /// goes before one that does not, then one that is attached, then the given ID, then the lowest.
    pub fn observation(&mut self, uid: &str, eni: Option<&EniId>) -> Observation {
        if let Some(seen) = self.find(uid, eni) {
            return Observation::Seen(Box::new(seen.clone()));
        }
        let Some(Lookup { began: looked, home }) = self.looked_for(uid) else { return Observation::Blind };
        // A sweep whose page still showed it says nothing about its absence.
        let shown = self.shown.get(uid).is_some_and(|shown| *shown >= looked);
        let gone = eni.or_else(|| self.gone_by_uid.get(uid)).and_then(|id| self.gone.get(id));
        Observation::Absent {
            by_tag: if shown { Timestamp::UNIX_EPOCH } else { looked },
            home,
            by_id: gone.and_then(|gone| gone.by_id),
            deleted: gone.and_then(Gone::confirmed),
        }
    }

    /// Whether [`observation`](Self::observation) would be that it is absent. Asked for each of thousands after each sweep.
    pub fn is_absent(&mut self, uid: &str, eni: Option<&EniId>) -> bool {
        self.find(uid, eni).is_none() && self.looked_for(uid).is_some()
    }

    /// The latest whole look that would have shown an ENI with this UID in its tag.
    fn looked_for(&self, uid: &str) -> Option<Lookup> {
        let resync = self.last_resync.map(|began| Lookup { began, home: self.resynced_home });
        self.absent_by_tag.get(uid).copied().max(resync)
    }

    fn find(&mut self, uid: &str, eni: Option<&EniId>) -> Option<&ObservedEni> {
        let tagged = self.by_uid.get(uid);
        if let Some(eni) = eni
            && !tagged.is_some_and(|ids| ids.contains(eni))
        {
            self.askers.entry(eni.clone()).or_default().insert(uid.to_owned());
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

    /// How many ENIs carry this cluster's tag; and those of them for which it is so, by ID.
    pub fn owned_where(&self, is_so: impl Fn(&ObservedEni) -> bool) -> (usize, Vec<ObservedEni>) {
        let owned = || self.entries.values().map(|entry| &entry.seen).filter(|seen| seen.is_of(&self.cluster));
        (owned().count(), owned().filter(|seen| is_so(seen)).cloned().collect())
    }

    /// Start of the last whole sweep.
    pub fn last_resync(&self) -> Option<Timestamp> {
        self.last_resync
    }

    /// How many ENIs of this cluster the last whole sweep showed.
    pub fn resynced(&self) -> usize {
        self.resynced
    }

    /// Start of the latest Describe that showed an ENI or an instance of this cluster.
    pub fn home_shown(&self) -> Option<Timestamp> {
        self.home.latest()
    }

    /// Whether EC2 answered our own Delete of this ENI.
    pub fn is_deleted(&self, eni: &EniId) -> bool {
        self.gone.get(eni).is_some_and(|gone| gone.confirmed().is_some())
    }

    /// The ENIs on an instance when it was looked at, with what is known of ours since.
    pub fn instance_interfaces(&self, instance: &InstanceId) -> Option<InstanceInterfaces> {
        let looked = self.instances.get(instance)?;
        let here = self.by_instance.get(instance);
        // One that a look by ID has missed since is not there to be taken over or to hold a slot.
        let is_gone = |id: &EniId| {
            self.gone.get(id).is_some_and(|gone| {
                gone.uid.is_some()
                    || gone.deleted.is_some()
                    || gone.by_id.is_some_and(|missed| missed.last >= looked.as_of)
            })
        };
        let foreign = looked.enis.iter().filter(|seen| !self.entries.contains_key(&seen.id) && !is_gone(&seen.id));
        let known = here.into_iter().flatten().filter_map(|id| self.entries.get(id)).map(|entry| &entry.seen);
        // What lost our tags no sweep follows: a look that did not show it here is news.
        let still = known.filter(|seen| seen.is_of(&self.cluster) || seen.as_of() >= looked.as_of);
        let mut enis: Vec<ObservedEni> = foreign.chain(still).cloned().collect();
        enis.sort_by(|a, b| a.id.cmp(&b.id));
        let (vpc, zone) = (looked.vpc.clone(), looked.zone.clone());
        Some(InstanceInterfaces { as_of: looked.as_of, vpc, zone, enis, without_primary: looked.without_primary })
    }

    /// The last look at an instance's state.
    pub fn instance_observation(&self, instance: &InstanceId) -> Option<InstanceObservation> {
        self.lookups.get(instance).copied()
    }

    /// Whether any ENI is on its way in or out.
    pub fn is_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    /// ENIs on their way in or out: since when, or since our last call for it, and when each was seen last.
    pub fn moving(&self) -> Vec<(EniId, Timestamp, Timestamp)> {
        let moving = self.moving.iter().filter_map(|id| self.entries.get(id)).map(|entry| &entry.seen);
        // A call of ours sets it in motion anew.
        let begun = |seen: &ObservedEni| {
            let since = seen.attachment.as_ref()?.since;
            Some(seen.last_call.map_or(since, |call| call.max(since)))
        };
        moving.filter_map(|seen| Some((seen.id.clone(), begun(seen)?, seen.as_of()))).collect()
    }
}

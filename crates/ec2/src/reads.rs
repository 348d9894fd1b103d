//! What decisions read: observations, the catalog, failures and counts. Nothing here calls EC2.

use crate::ec2::Ec2;
use crate::lock::lock;
use crate::rate_limit::limiter::RateStatus;
use crate::unreadable::UnreadableEni;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::instance::InstanceObservation;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::{CatalogLookup, Ec2Catalog, InstanceInterfaces, Observation, ObservedEni};
use multi_eni_plan::silence::Silence;
use multi_eni_plan::wait_estimate::CallQueues;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Ec2 {
    /// How the budget of each action stands.
    pub fn rate_status(&self) -> Vec<RateStatus> {
        self.inner.rate_limiter.status()
    }

    /// Who waits to create and to attach.
    pub fn call_queues(&self) -> CallQueues {
        self.inner.rate_limiter.queues()
    }

    /// What the view shows for one ENIAttachment: by its UID tag, and by the ENI ID that its status has.
    pub fn observation(&self, attachment_uid: &str, eni: Option<&EniId>) -> Observation {
        lock(&self.inner.cache).observation(attachment_uid, eni)
    }

    /// Whether [`observation`](Self::observation) would be that it is absent.
    pub fn is_absent(&self, attachment_uid: &str, eni: Option<&EniId>) -> bool {
        lock(&self.inner.cache).is_absent(attachment_uid, eni)
    }

    /// How many ENIs carry this cluster's tag; and those of them for which it is so, sorted by ID.
    pub fn owned_where(&self, is_so: impl Fn(&ObservedEni) -> bool) -> (usize, Vec<ObservedEni>) {
        lock(&self.inner.cache).owned_where(is_so)
    }

    /// Start of the last whole sweep.
    pub fn last_resync(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).last_resync()
    }

    /// How many ENIs of this cluster the last whole sweep showed, readable or not.
    pub fn resynced(&self) -> usize {
        lock(&self.inner.cache).resynced()
    }

    /// Start of the latest Describe that showed an ENI or an instance of this cluster, or when the place was proven otherwise.
    pub fn home_shown(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).home_shown()
    }

    /// The account and Region are this cluster's, as of then.
    pub fn note_home(&self, at: Timestamp) {
        lock(&self.inner.cache).note_home(at);
    }

    /// Whether EC2 answered a Delete of this process's for that ENI.
    pub fn is_deleted(&self, eni: &EniId) -> bool {
        lock(&self.inner.cache).is_deleted(eni)
    }

    /// All ENIs on an instance, if it was looked at since its Node is there.
    pub fn instance_interfaces(&self, instance: &InstanceId) -> Option<InstanceInterfaces> {
        lock(&self.inner.cache).instance_interfaces(instance)
    }

    /// Forgets what was seen on other instances than these.
    pub fn keep_instances(&self, instances: &BTreeSet<InstanceId>) {
        lock(&self.inner.cache).keep_instances(instances);
    }

    /// The state of an instance, if it was looked at within about an hour.
    pub fn instance_observation(&self, instance: &InstanceId) -> Option<InstanceObservation> {
        lock(&self.inner.cache).instance_observation(instance)
    }

    /// Why the last look at states of instances failed; None when it succeeded.
    pub fn states_failure(&self) -> Option<LookupFailure> {
        lock(&self.inner.states_failure).clone()
    }

    /// What is known of subnets and groups.
    pub fn catalog(&self) -> Arc<Ec2Catalog> {
        lock(&self.inner.catalog).facts()
    }

    /// The Region that is called.
    pub fn region(&self) -> Option<String> {
        self.inner.client.config().region().map(ToString::to_string)
    }

    /// Why the last sweep failed, or else the last look at instances' states, or at subnets, groups or instance types; None if all
    /// succeeded.
    pub fn failure(&self) -> Option<LookupFailure> {
        self.place_failure().or_else(|| self.catalog().failures.values().next().cloned())
    }

    /// The same of what proves the place: ENIs, instances, subnets.
    pub fn place_failure(&self) -> Option<LookupFailure> {
        let resync = lock(&self.inner.failure).clone();
        resync
            .or_else(|| self.states_failure())
            .or_else(|| self.catalog().failure(&[CatalogLookup::SubnetsById]).cloned())
    }

    /// EC2 calls sent, by EC2's name of the action.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.inner.counts.all()
    }

    /// Since when EC2 gives no good answer to what is asked of it now; None: it does.
    pub fn silence(&self) -> Option<Silence> {
        lock(&self.inner.silences).longest(self.now())
    }

    /// ENIs of this cluster that the last sweep showed without an ID, by the UID of their ENIAttachment.
    pub fn unreadable(&self) -> BTreeMap<String, UnreadableEni> {
        lock(&self.inner.unread).ours.clone()
    }

    /// How many items of each kind EC2's answers had that could not be read.
    pub fn unreadable_counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.inner.unread).counts.clone()
    }
}

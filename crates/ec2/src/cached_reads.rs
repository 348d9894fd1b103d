//! The synchronous reads that decisions make: observations, the catalog, failures and counts. Nothing here calls EC2.

use crate::ec2::Ec2;
use crate::lock::lock;
use crate::rate_limit::limiter::RateStatus;
use crate::request_stats::RequestStats;
use crate::resync_stats::ResyncStats;
use crate::unreadable::UnreadableEni;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_plan::describe_outage::DescribeOutage;
use multi_eni_plan::instance_life::InstanceObservation;
use multi_eni_plan::lookup_failure::LookupFailure;
use multi_eni_plan::observed::{CatalogLookup, Ec2Catalog, InstanceInterfaces, Observation, ObservedEni};
use multi_eni_plan::wait_estimate::CallQueues;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Ec2 {
    /// The rate limit and the queue length of each action.
    pub fn rate_status(&self) -> Vec<RateStatus> {
        self.inner.rate_limiter.status()
    }

    /// The Creates and Attaches that wait for a token, by NodeENI, and the rates of both actions.
    pub fn call_queues(&self) -> CallQueues {
        self.inner.rate_limiter.queues()
    }

    /// The observation of the ENI of one ENIAttachment: by the UID in the ENI's tag, and by `eni`, the ENI ID in its status.
    /// If the tag does not lead to `eni`, the next lookup of `eni` by ID is reported to this ENIAttachment, too.
    pub fn observation(&self, attachment_uid: &str, eni: Option<&EniId>) -> Observation {
        lock(&self.inner.cache).observation(attachment_uid, eni)
    }

    /// Whether [`observation`](Self::observation) would return `Observation::Absent`.
    pub fn is_absent(&self, attachment_uid: &str, eni: Option<&EniId>) -> bool {
        lock(&self.inner.cache).is_absent(attachment_uid, eni)
    }

    /// The number of ENIs that carry this cluster's tag, and those of them for which `is_so` is true, sorted by ID.
    pub fn owned_where(&self, is_so: impl Fn(&ObservedEni) -> bool) -> (usize, Vec<ObservedEni>) {
        lock(&self.inner.cache).owned_where(is_so)
    }

    /// Start of the last complete resync. None before the first one, and after [`forget_absences`](Self::forget_absences).
    pub fn last_resync(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).last_resync()
    }

    /// The number of ENIs of this cluster that the last complete resync showed. An ENI without an ID counts if the cache holds an
    /// ENI of the same ENIAttachment.
    pub fn resynced(&self) -> usize {
        lock(&self.inner.cache).resynced()
    }

    /// Start of the latest Describe that showed an ENI or an instance of this cluster, or the latest time given to
    /// [`note_home`](Self::note_home).
    pub fn home_shown(&self) -> Option<Timestamp> {
        lock(&self.inner.cache).home_shown()
    }

    /// Records other proof that the account and Region were this cluster's at that time.
    pub fn note_home(&self, at: Timestamp) {
        lock(&self.inner.cache).note_home(at);
    }

    /// Whether EC2 answered this handle's Delete of the ENI with success.
    pub fn is_deleted(&self, eni: &EniId) -> bool {
        lock(&self.inner.cache).is_deleted(eni)
    }

    /// All ENIs on an instance, if a lookup of the instance was answered since its Node exists.
    pub fn instance_interfaces(&self, instance: &InstanceId) -> Option<InstanceInterfaces> {
        lock(&self.inner.cache).instance_interfaces(instance)
    }

    /// Drops the observed ENIs of all other instances than these.
    pub fn keep_instances(&self, instances: &BTreeSet<InstanceId>) {
        lock(&self.inner.cache).keep_instances(instances);
    }

    /// The state of an instance, if a lookup showed it within about an hour.
    pub fn instance_observation(&self, instance: &InstanceId) -> Option<InstanceObservation> {
        lock(&self.inner.cache).instance_observation(instance)
    }

    /// Why the last lookup of instance states failed; None if it succeeded.
    pub fn states_failure(&self) -> Option<LookupFailure> {
        lock(&self.inner.states_failure).clone()
    }

    /// The known subnets, security groups and instance types.
    pub fn catalog(&self) -> Arc<Ec2Catalog> {
        lock(&self.inner.catalog).catalog()
    }

    /// The Region in which this process calls EC2.
    pub fn region(&self) -> Option<String> {
        self.inner.client.config().region().map(ToString::to_string)
    }

    /// Why the last resync failed, or else the last lookup of instance states, or else of subnets, groups or instance types. None
    /// if all succeeded.
    pub fn failure(&self) -> Option<LookupFailure> {
        self.place_failure().or_else(|| self.catalog().failures.values().next().cloned())
    }

    /// The same, but only of the lookups that prove the account and Region: ENIs, instance states, subnets by ID.
    pub fn place_failure(&self) -> Option<LookupFailure> {
        let resync = lock(&self.inner.failure).clone();
        resync
            .or_else(|| self.states_failure())
            .or_else(|| self.catalog().failure(&[CatalogLookup::SubnetsById]).cloned())
    }

    /// The number of EC2 calls that this handle sent, by EC2's name of the action.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.inner.counts.all()
    }

    /// The requests that this handle sent: how they ended, and how long they took.
    pub fn request_stats(&self) -> RequestStats {
        self.inner.requests.all()
    }

    /// The resyncs of this handle so far.
    pub fn resync_stats(&self) -> ResyncStats {
        *lock(&self.inner.resyncs)
    }

    /// How long ago the last complete resync began.
    pub fn resync_age(&self) -> Option<SignedDuration> {
        let last = self.resync_stats().last?;
        Some(self.now().duration_since(last.began))
    }

    /// The longest outage: since when EC2 gives no successful answer to an action that is still tried. None if all succeed.
    pub fn describe_outage(&self) -> Option<DescribeOutage> {
        lock(&self.inner.describe_outages).longest(self.now())
    }

    /// ENIs of this cluster that the last complete resync showed without an ID, by the UID of their ENIAttachment.
    pub fn unreadable(&self) -> BTreeMap<String, UnreadableEni> {
        lock(&self.inner.unread).ours.clone()
    }

    /// The number of items in EC2's answers that could not be read, by kind.
    pub fn unreadable_counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.inner.unread).counts.clone()
    }
}

//! Requests for lookups. Each function here queues a lookup and returns at once; [`Ec2::run`] sends the lookups in batches and
//! reports the answers as `Changed`.

use crate::catalog::state::CatalogQuery;
use crate::ec2::Ec2;
use crate::lock::lock;
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_plan::ec2_terms::TagTerm;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

impl Ec2 {
    /// Requests the ENIs whose tag names this ENIAttachment.
    pub fn lookup_by_tag(&self, attachment_uid: &str) {
        self.inner.uids.request(attachment_uid.to_owned());
    }

    /// Requests an ENI by ID, whatever its tags. `Changed::Eni` then reports the ENIAttachment that the ENI's tags name, and each
    /// ENIAttachment for which [`observation`](Self::observation) was called with this ID.
    pub fn lookup_by_id(&self, eni: &EniId) {
        self.inner.enis.request(eni.clone());
    }

    /// Requests all ENIs on an instance.
    pub fn lookup_instance(&self, instance: &InstanceId) {
        self.inner.instances.request(instance.clone());
    }

    /// Requests the state of an instance.
    pub fn lookup_instance_state(&self, instance: &InstanceId) {
        self.inner.states.request(instance.clone());
    }

    /// Requests subnets by ID and by tag Name, except those that were answered less than `network_valid` ago.
    pub fn lookup_subnets(&self, ids: &[SubnetId], names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        let stale = |query: &CatalogQuery| catalog.is_stale(query, now, self.inner.options.network_valid);
        for id in ids {
            if stale(&CatalogQuery::Subnet(id.clone())) {
                self.inner.subnet_ids.request(id.clone());
            }
        }
        for name in names {
            if stale(&CatalogQuery::SubnetName(name.clone())) {
                self.inner.subnet_names.request(name.clone());
            }
        }
    }

    /// Requests security groups by name, in every VPC, except those that were answered less than `network_valid` ago.
    pub fn lookup_groups(&self, names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        for name in names {
            let query = CatalogQuery::GroupName(name.clone());
            if catalog.is_stale(&query, now, self.inner.options.network_valid) {
                self.inner.group_names.request(name.clone());
            }
        }
    }

    /// Requests security groups by the tags of a term, in every VPC, except those that were answered less than `network_valid` ago.
    pub fn lookup_tagged_groups(&self, term: &TagTerm) {
        let (now, query) = (self.now(), CatalogQuery::GroupTags(term.clone()));
        if lock(&self.inner.catalog).is_stale(&query, now, self.inner.options.network_valid) {
            self.inner.group_tags.request(term.clone());
        }
    }

    /// Requests a subnet by ID, unless a Describe was answered that began at `since` or later.
    pub fn lookup_subnet_since(&self, id: &SubnetId, since: Timestamp) {
        if !lock(&self.inner.catalog).is_answered_since(&CatalogQuery::Subnet(id.clone()), since) {
            self.inner.subnet_ids.request(id.clone());
        }
    }

    /// Requests a security group by name, in every VPC, unless a Describe was answered that began at `since` or later.
    pub fn lookup_group_since(&self, name: &str, since: Timestamp) {
        if !lock(&self.inner.catalog).is_answered_since(&CatalogQuery::GroupName(name.to_owned()), since) {
            self.inner.group_names.request(name.to_owned());
        }
    }

    /// Requests security groups by the tags of a term, in every VPC, unless a Describe was answered that began at `since` or later.
    pub fn lookup_tagged_groups_since(&self, term: &TagTerm, since: Timestamp) {
        if !lock(&self.inner.catalog).is_answered_since(&CatalogQuery::GroupTags(term.clone()), since) {
            self.inner.group_tags.request(term.clone());
        }
    }

    /// Requests subnets by the tags of a term, in every VPC, except those that were answered less than `network_valid` ago.
    pub fn lookup_tagged_subnets(&self, term: &TagTerm) {
        let (now, query) = (self.now(), CatalogQuery::SubnetTags(term.clone()));
        if lock(&self.inner.catalog).is_stale(&query, now, self.inner.options.network_valid) {
            self.inner.subnet_tags.request(term.clone());
        }
    }

    /// Requests groups and subnets by the tags of these terms, however young the last answers are.
    pub fn refresh_tagged(&self, groups: BTreeSet<TagTerm>, subnets: BTreeSet<TagTerm>) {
        groups.into_iter().for_each(|term| self.inner.group_tags.request(term));
        subnets.into_iter().for_each(|term| self.inner.subnet_tags.request(term));
    }

    /// Requests groups and subnets by name, and subnets by ID, however young the last answer is.
    pub fn refresh(&self, groups: BTreeSet<String>, subnets: BTreeSet<String>, ids: BTreeSet<SubnetId>) {
        groups.into_iter().for_each(|name| self.inner.group_names.request(name));
        subnets.into_iter().for_each(|name| self.inner.subnet_names.request(name));
        ids.into_iter().for_each(|id| self.inner.subnet_ids.request(id));
    }

    /// Requests the limits of an instance type, unless they are known.
    pub fn lookup_instance_type(&self, kind: &str) {
        if !matches!(lock(&self.inner.catalog).catalog().instance_types.get(kind), Some(Some(_))) {
            self.inner.instance_types.request(kind.to_owned());
        }
    }

    /// Whether any requested lookup is not yet answered.
    pub fn has_open_lookups(&self) -> bool {
        let inner = &self.inner;
        inner.uids.is_open()
            || inner.enis.is_open()
            || inner.instances.is_open()
            || inner.states.is_open()
            || inner.subnet_ids.is_open()
            || inner.subnet_names.is_open()
            || inner.group_names.is_open()
            || inner.group_tags.is_open()
            || inner.subnet_tags.is_open()
            || inner.instance_types.is_open()
    }

    /// Drops absences and resolved names, and requests a resync. To be called when another account or Region may have answered
    /// for a while: its absences and its names are not this cluster's.
    pub fn forget_absences(&self) {
        lock(&self.inner.cache).forget_absences();
        lock(&self.inner.catalog).forget_absences();
        self.resync_now();
    }

    /// Requests a resync now. Has no effect while a resync is under way.
    pub fn resync_now(&self) {
        self.inner.resync_requested.store(true, Ordering::Release);
        self.inner.resync_wake.notify_one();
    }
}

//! Requests for lookups: they are remembered, batched and answered in the background.

use crate::catalog::state::CatalogQuery;
use crate::ec2::Ec2;
use crate::lock::lock;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

impl Ec2 {
    /// Asks for the ENIs whose tag names this ENIAttachment.
    pub fn lookup_by_tag(&self, attachment_uid: &str) {
        self.inner.uids.ask(attachment_uid.to_owned());
    }

    /// Asks for an ENI by ID, whatever its tags. `Changed::Eni` goes to whom its tags name, and to those who asked
    /// [`observation`](Self::observation) for it.
    pub fn lookup_by_id(&self, eni: &EniId) {
        self.inner.enis.ask(eni.clone());
    }

    /// Asks for all ENIs on an instance.
    pub fn lookup_instance(&self, instance: &InstanceId) {
        self.inner.instances.ask(instance.clone());
    }

    /// Asks for the state of an instance.
    pub fn lookup_instance_state(&self, instance: &InstanceId) {
        self.inner.states.ask(instance.clone());
    }

    /// Asks for subnets by ID and by tag Name. What was answered less than `network_valid` ago is not asked again.
    pub fn lookup_subnets(&self, ids: &[SubnetId], names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        let stale = |question: &CatalogQuery| catalog.is_stale(question, now, self.inner.options.network_valid);
        for id in ids {
            if stale(&CatalogQuery::Subnet(id.clone())) {
                self.inner.subnet_ids.ask(id.clone());
            }
        }
        for name in names {
            if stale(&CatalogQuery::SubnetName(name.clone())) {
                self.inner.subnet_names.ask(name.clone());
            }
        }
    }

    /// Asks for security groups by name, in every VPC. What was answered less than `network_valid` ago is not asked
    /// again.
    pub fn lookup_groups(&self, names: &[String]) {
        let now = self.now();
        let catalog = lock(&self.inner.catalog);
        for name in names {
            let question = CatalogQuery::GroupName(name.clone());
            if catalog.is_stale(&question, now, self.inner.options.network_valid) {
                self.inner.group_names.ask(name.clone());
            }
        }
    }

    /// Asks for groups and subnets by name, and for subnets by ID, however young the last answer is.
    pub fn refresh(&self, groups: BTreeSet<String>, subnets: BTreeSet<String>, ids: BTreeSet<SubnetId>) {
        groups.into_iter().for_each(|name| self.inner.group_names.ask(name));
        subnets.into_iter().for_each(|name| self.inner.subnet_names.ask(name));
        ids.into_iter().for_each(|id| self.inner.subnet_ids.ask(id));
    }

    /// Asks what an instance type takes, unless that is known.
    pub fn lookup_instance_type(&self, kind: &str) {
        if !matches!(lock(&self.inner.catalog).facts().instance_types.get(kind), Some(Some(_))) {
            self.inner.instance_types.ask(kind.to_owned());
        }
    }

    /// Whether something was asked and is not yet answered.
    pub fn is_asking(&self) -> bool {
        let inner = &self.inner;
        inner.uids.is_open()
            || inner.enis.is_open()
            || inner.instances.is_open()
            || inner.states.is_open()
            || inner.subnet_ids.is_open()
            || inner.subnet_names.is_open()
            || inner.group_names.is_open()
            || inner.instance_types.is_open()
    }

    /// Another account or Region answered for a while: what it did not show, and what names stood for there, is not known. Asks for a
    /// sweep.
    pub fn forget_absences(&self) {
        lock(&self.inner.cache).forget_absences();
        lock(&self.inner.catalog).forget_absences();
        self.resync_now();
    }

    /// Asks for a sweep now; nothing if one is under way.
    pub fn resync_now(&self) {
        self.inner.resync_requested.store(true, Ordering::Release);
        self.inner.resync_wake.notify_one();
    }
}

//! Checks that this process acts in the place, that is the account and Region, where the cluster's ENIs were made: before the
//! first decision, and again when a resync shows none of the ENIs that the statuses name. Until the place is proven nothing is
//! decided. `account_and_region::judge` decides; this file collects the evidence and reports.

use super::{Outcome, Reconciler};
use crate::store::{AttachmentEntry, NodeEniEntry};
use crate::work_queue::Key;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::{InstanceId, SubnetId};
use multi_eni_plan::account_and_region::{self, Evidence, Missing, Origin, Place, SubnetWord};
use multi_eni_plan::describe_outage;
use multi_eni_plan::problem::Problem;
use multi_eni_plan::status;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many instances and subnets are looked up. One that EC2 knows is sufficient evidence.
const ASKED: usize = 50;

/// Reason of the condition Degraded.
const WRONG_PLACE: &str = "WrongPlace";

impl Reconciler {
    /// Whether decisions may be made here. If not, it is reported on the NodeENIs.
    pub(super) fn check_place(&mut self) -> bool {
        self.place_recheck = None;
        if self.started && self.place_doubted_at.is_none() {
            return true;
        }
        match account_and_region::judge(&self.evidence()) {
            Place::Proven => {
                self.deps.gauges.set_wrong_place(None);
                if let Some(since) = self.place_doubted_at.take() {
                    // If the last resync shows ENIs again, the next one without any raises a new doubt.
                    self.place_proven_at = (self.deps.ec2.resynced() == 0).then_some(since);
                    self.deps.ec2.note_home(since);
                    // Nothing may have been reported, but another account may have answered for a while.
                    self.deps.ec2.forget_tags();
                }
                if !self.halted.is_empty() {
                    self.halted.clear();
                    self.deps.ec2.forget_absences();
                    self.enqueue_all();
                }
                true
            }
            Place::Unproven(Missing::Resync) => {
                // Do not report this at once: the first resync takes some time.
                let outage = self.deps.ec2.describe_outage();
                if let Some(outage) = outage.filter(|outage| self.now() >= describe_outage::report_at(outage)) {
                    let (reason, message) = describe_outage::report(&outage);
                    // Keep the status of a NodeENI that was Ready: nothing else is known about it now.
                    let is_settled = |entry: &NodeEniEntry| {
                        let (nodeeni, status) = (&entry.nodeeni, &entry.status);
                        let is_of_now = status.observed_generation == Some(nodeeni.generation) && !nodeeni.deleting;
                        is_of_now && is_true(&status.conditions, types::READY)
                    };
                    self.report_halted(reason, message, |entry| !is_settled(entry));
                }
                false
            }
            Place::Unproven(Missing::Answers) => {
                self.look_up_place();
                // A lookup that fails once is repeated before it is reported.
                if let Some(why) = self.deps.ec2.place_failure() {
                    let report_at = why.report_at();
                    if self.now() < report_at {
                        self.place_recheck = Some(report_at);
                        return false;
                    }
                    let message = format!(
                        "EC2 shows none of this cluster's ENIs, and does not answer whether it knows the cluster's instances and \
                         subnets ({why}): the controller changes nothing until EC2 answers"
                    );
                    if self.deps.gauges.set_wrong_place(Some(message.clone())) {
                        self.halted.clear();
                        tracing::error!("{message}");
                    }
                    self.report_halted("PlaceUnproven", message, |_| true);
                }
                false
            }
            Place::Elsewhere(why) => {
                let why = why.to_string();
                let resync = self.deps.ec2.last_resync();
                // Report it again after each resync, so that a status that could not be written is written then.
                if self.deps.gauges.set_wrong_place(Some(why.clone())) || self.place_reported_at != resync {
                    self.place_reported_at = resync;
                    self.halted.clear();
                    tracing::error!("{why}");
                }
                self.report_halted(WRONG_PLACE, why, |_| true);
                false
            }
        }
    }

    fn evidence(&self) -> Evidence {
        let ec2 = &self.deps.ec2;
        let origin = |entry: &Arc<AttachmentEntry>| {
            let status = &entry.attachment.status;
            status.eni_id.as_ref()?;
            let region =
                status.region.clone().or_else(|| account_and_region::region_of(status.availability_zone.as_deref()?));
            Some(Origin { owner: status.owner_id.clone(), region })
        };
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for eni in ec2.owned_where(|eni| self.place_doubted_at.is_none_or(|since| eni.shown_at >= since)).1 {
            *shown.entry(eni.owner.to_string()).or_default() += 1;
        }
        let catalog = ec2.catalog();
        let evidence_of = |id: SubnetId| match catalog.subnets.get(&id) {
            Some(subnet) => SubnetWord::Shown { owner: subnet.owner.clone(), as_of: subnet.as_of },
            None if catalog.missing_subnets.contains_key(&id) => SubnetWord::Missing,
            None => SubnetWord::Unasked,
        };
        Evidence {
            region: ec2.region(),
            recorded: self.store.attachments().filter_map(origin).collect(),
            attachments: self.store.attachments().count(),
            zones: self.store.nodes().filter_map(|node| node.zone.clone()).collect(),
            resynced: ec2.last_resync().is_some(),
            shown,
            instances: self.place_instances().iter().map(|id| ec2.instance_observation(id)).collect(),
            subnets: self.place_subnets().into_iter().map(evidence_of).collect(),
            doubted: self.place_doubted_at,
        }
    }

    fn place_instances(&self) -> BTreeSet<InstanceId> {
        let attachment = self.store.attachments().filter_map(|entry| entry.attachment.instance.clone());
        self.store.instances().into_iter().chain(attachment).take(ASKED).collect()
    }

    fn place_subnets(&self) -> Vec<SubnetId> {
        let ids =
            self.store.attachments().filter_map(|entry| SubnetId::parse(&entry.attachment.request.subnet_id).ok());
        ids.collect::<BTreeSet<_>>().into_iter().take(ASKED).collect()
    }

    fn look_up_place(&self) {
        let ec2 = &self.deps.ec2;
        let is_old = |at| self.place_doubted_at.is_some_and(|since| at < since);
        let is_unasked =
            |id: &InstanceId| ec2.instance_observation(id).is_none_or(|observation| is_old(observation.as_of));
        let unasked: Vec<InstanceId> = self.place_instances().into_iter().filter(is_unasked).collect();
        unasked.iter().for_each(|id| ec2.lookup_instance_state(id));
        if self.started && !unasked.is_empty() && ec2.states_failure().is_none() {
            // One instance is nearly always sufficient evidence.
            return;
        }
        let subnets = self.place_subnets();
        ec2.lookup_subnets(&subnets, &[]);
        let catalog = ec2.catalog();
        let old = |id: &SubnetId| catalog.subnets.get(id).is_some_and(|subnet| is_old(subnet.as_of));
        ec2.refresh(BTreeSet::new(), BTreeSet::new(), subnets.into_iter().filter(old).collect());
    }

    /// After a resync: the place may be in doubt now, or be proven again.
    pub(super) fn check_place_after_resync(&mut self) {
        if !self.started {
            return;
        }
        let ec2 = &self.deps.ec2;
        if ec2.resynced() > 0 {
            self.place_proven_at = None;
        }
        // An ENIAttachment that is being deleted may have an ENI that its status does not name yet.
        let eni =
            |entry: &Arc<AttachmentEntry>| entry.attachment.status.eni_id.as_ref().and_then(|_| entry.attachment.eni());
        let is_named = |entry: &Arc<AttachmentEntry>| match eni(entry) {
            Some(eni) => !ec2.is_deleted(&eni),
            None => entry.attachment.deleting.is_some(),
        };
        let named = || self.store.attachments().filter(|entry| is_named(entry)).count();
        if account_and_region::is_in_doubt(ec2.resynced(), named, self.place_proven_at, self.now()) {
            self.place_doubted_at = ec2.last_resync();
            // A subnet that was missing under another account's role may exist here.
            let missing = &ec2.catalog().missing_subnets;
            let missing = self.place_subnets().into_iter().filter(|id| missing.contains_key(id)).collect();
            ec2.refresh(BTreeSet::new(), BTreeSet::new(), missing);
        }
    }

    /// Reports on the NodeENIs for which `waits` holds that nothing is done. The rest of their status stays, because nothing is
    /// known that could change it.
    fn report_halted(&mut self, reason: &'static str, message: String, waits: impl Fn(&NodeEniEntry) -> bool) {
        let problem = Problem { reason, message, node: None };
        let waiting = self.store.nodeenis().filter(|entry| waits(entry));
        let names: Vec<String> = waiting.map(|entry| entry.nodeeni.name.clone()).collect();
        for name in names {
            let Some(entry) = self.store.nodeeni(&name).cloned() else { continue };
            let key = Key::NodeEni(name);
            let status = status::halted(&entry.nodeeni, &entry.status, &problem, self.now());
            if self.halted.get(&entry.nodeeni.uid) == Some(&entry.version) {
                continue;
            }
            let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
            self.halted.insert(entry.nodeeni.uid.clone(), entry.version.clone());
            self.report(&key, &entry, status, &mut work);
            if !work.is_empty() {
                self.start_calls(&key, join_all(work));
            }
        }
    }
}

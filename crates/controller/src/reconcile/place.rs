//! Whether this process acts where the cluster's ENIs were made: judged before anything is decided, and
//! anew when a sweep shows nothing of what statuses name.

use super::{Outcome, Reconciler};
use crate::store::{AttachmentEntry, NodeEniEntry};
use crate::work_queue::Key;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::{InstanceId, SubnetId};
use multi_eni_plan::place::{self, Evidence, Missing, Origin, Place, SubnetWord};
use multi_eni_plan::problem::Problem;
use multi_eni_plan::silence;
use multi_eni_plan::status;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Instances, and subnets, that EC2 is asked for: one that it knows is proof enough.
const ASKED: usize = 50;

/// Reason of the condition.
const WRONG_PLACE: &str = "WrongPlace";

impl Reconciler {
    /// Whether decisions may be made here. If not, says so.
    pub(super) fn is_at_home(&mut self) -> bool {
        self.place_recheck = None;
        if self.started && self.doubted.is_none() {
            return true;
        }
        match place::judge(&self.evidence()) {
            Place::Proven => {
                self.deps.gauges.set_wrong_place(None);
                if let Some(since) = self.doubted.take() {
                    self.place_proven = Some(since);
                    self.deps.ec2.note_home(since);
                }
                if !self.halted.is_empty() {
                    self.halted.clear();
                    self.deps.ec2.forget_absences();
                    self.wake_everything();
                }
                true
            }
            Place::Unproven(Missing::Sweep) => {
                // Not said at once: the first look takes its time.
                let silence = self.deps.ec2.silence();
                if let Some(silence) = silence.filter(|silence| self.now() >= silence::told_at(silence)) {
                    let (reason, message) = silence::said(&silence);
                    // Of what was as it should be nothing else is known.
                    let is_settled = |entry: &NodeEniEntry| {
                        let (nodeeni, status) = (&entry.nodeeni, &entry.status);
                        let is_of_now = status.observed_generation == Some(nodeeni.generation) && !nodeeni.deleting;
                        is_of_now && is_true(&status.conditions, types::READY)
                    };
                    self.halt(reason, message, |entry| !is_settled(entry));
                }
                false
            }
            Place::Unproven(Missing::Answers) => {
                self.ask_for_the_place();
                // A call that fails once is tried again.
                if let Some(why) = self.deps.ec2.place_failure() {
                    let said_at = why.said_at();
                    if self.now() < said_at {
                        self.place_recheck = Some(said_at);
                        return false;
                    }
                    let message = format!(
                        "EC2 shows none of this cluster's ENIs, and whether it knows the cluster's instances and subnets cannot be asked \
                         ({why}): nothing is done before that is known"
                    );
                    if self.deps.gauges.set_wrong_place(Some(message.clone())) {
                        self.halted.clear();
                        tracing::error!("{message}");
                    }
                    self.halt("PlaceUnproven", message, |_| true);
                }
                false
            }
            Place::Elsewhere(why) => {
                let why = why.to_string();
                let sweep = self.deps.ec2.last_sweep();
                // Said again after each sweep, and what could not be written is written then.
                if self.deps.gauges.set_wrong_place(Some(why.clone())) || self.place_told_at != sweep {
                    self.place_told_at = sweep;
                    self.halted.clear();
                    tracing::error!("{why}");
                }
                self.halt(WRONG_PLACE, why, |_| true);
                false
            }
        }
    }

    fn evidence(&self) -> Evidence {
        let ec2 = &self.deps.ec2;
        let origin = |entry: &Arc<AttachmentEntry>| {
            let status = &entry.attachment.status;
            status.eni_id.as_ref()?;
            let region = status.region.clone().or_else(|| place::region_of(status.availability_zone.as_deref()?));
            Some(Origin { owner: status.owner_id.clone(), region })
        };
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for eni in ec2.owned_where(|eni| self.doubted.is_none_or(|since| eni.shown_at >= since)).1 {
            *shown.entry(eni.owner.to_string()).or_default() += 1;
        }
        let catalog = ec2.catalog();
        let word = |id: SubnetId| match catalog.subnets.get(&id) {
            Some(subnet) => SubnetWord::Shown { owner: subnet.owner.clone(), as_of: subnet.as_of },
            None if catalog.missing_subnets.contains_key(&id) => SubnetWord::Missing,
            None => SubnetWord::Unasked,
        };
        Evidence {
            region: ec2.region(),
            recorded: self.store.attachments().filter_map(origin).collect(),
            attachments: self.store.attachments().count(),
            zones: self.store.nodes().filter_map(|node| node.zone.clone()).collect(),
            swept: ec2.last_sweep().is_some(),
            shown,
            instances: self.instances_of_the_place().iter().map(|id| ec2.instance_observation(id)).collect(),
            subnets: self.subnets_of_the_place().into_iter().map(word).collect(),
            doubted: self.doubted,
        }
    }

    fn instances_of_the_place(&self) -> BTreeSet<InstanceId> {
        let attachment = self.store.attachments().filter_map(|entry| entry.attachment.instance.clone());
        self.store.instances().into_iter().chain(attachment).take(ASKED).collect()
    }

    fn subnets_of_the_place(&self) -> Vec<SubnetId> {
        let ids =
            self.store.attachments().filter_map(|entry| SubnetId::parse(&entry.attachment.request.subnet_id).ok());
        ids.collect::<BTreeSet<_>>().into_iter().take(ASKED).collect()
    }

    fn ask_for_the_place(&self) {
        let ec2 = &self.deps.ec2;
        let is_old = |at| self.doubted.is_some_and(|since| at < since);
        let is_unasked = |id: &InstanceId| ec2.instance_observation(id).is_none_or(|look| is_old(look.as_of));
        let unasked: Vec<InstanceId> = self.instances_of_the_place().into_iter().filter(is_unasked).collect();
        unasked.iter().for_each(|id| ec2.look_at_state(id));
        if self.started && !unasked.is_empty() && ec2.states_failure().is_none() {
            // One of them is as good as always proof enough.
            return;
        }
        let subnets = self.subnets_of_the_place();
        ec2.want_subnets(&subnets, &[]);
        let catalog = ec2.catalog();
        let old = |id: &SubnetId| catalog.subnets.get(id).is_some_and(|subnet| is_old(subnet.as_of));
        ec2.ask_again(BTreeSet::new(), BTreeSet::new(), subnets.into_iter().filter(old).collect());
    }

    /// A sweep has ended: it may put the place in doubt, or take a doubt away.
    pub(super) fn doubt_the_place(&mut self) {
        if !self.started {
            return;
        }
        let ec2 = &self.deps.ec2;
        // One on its way out may have an ENI that no status names yet.
        let eni =
            |entry: &Arc<AttachmentEntry>| entry.attachment.status.eni_id.as_ref().and_then(|_| entry.attachment.eni());
        let is_named = |entry: &Arc<AttachmentEntry>| match eni(entry) {
            Some(eni) => !ec2.is_deleted(&eni),
            None => entry.attachment.deleting.is_some(),
        };
        let named = || self.store.attachments().filter(|entry| is_named(entry)).count();
        if place::is_in_doubt(ec2.swept(), named, self.place_proven, self.now()) {
            self.doubted = ec2.last_sweep();
            // A subnet that was not known where the role was another's may be one here.
            let missing = &ec2.catalog().missing_subnets;
            let missing = self.subnets_of_the_place().into_iter().filter(|id| missing.contains_key(id)).collect();
            ec2.ask_again(BTreeSet::new(), BTreeSet::new(), missing);
        }
    }

    /// Says on every NodeENI that `waits` that nothing is done. All else of its status stands: nothing is known that could change it.
    fn halt(&mut self, reason: &'static str, message: String, waits: impl Fn(&NodeEniEntry) -> bool) {
        let problem = Problem { reason, message, node: None };
        let entries: Vec<_> = self.store.nodeenis().filter(|entry| waits(entry)).cloned().collect();
        for entry in entries {
            let key = Key::NodeEni(entry.nodeeni.name.clone());
            let status = status::halted(&entry.nodeeni, &entry.status, &problem, self.now());
            if self.halted.get(&entry.nodeeni.uid) == Some(&entry.version) {
                continue;
            }
            let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
            self.halted.insert(entry.nodeeni.uid.clone(), entry.version.clone());
            self.report(&key, &entry, status, &mut work);
            if !work.is_empty() {
                self.call(&key, join_all(work));
            }
        }
    }
}

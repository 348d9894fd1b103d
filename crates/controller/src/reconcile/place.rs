//! Whether this process acts where the cluster's ENIs were made: judged before anything is decided, once a term.

use super::{Outcome, Reconciler};
use crate::queue::Key;
use crate::world::NodeEniEntry;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::{InstanceId, SubnetId};
use multi_eni_plan::fold;
use multi_eni_plan::instance::Life;
use multi_eni_plan::place::{self, Evidence, Missing, Origin, Place};
use multi_eni_plan::problem::Problem;
use multi_eni_plan::silence;
use std::collections::{BTreeMap, BTreeSet};

/// Instances, and subnets, that EC2 is asked for: one that it knows is proof enough.
const ASKED: usize = 50;

/// Reason of the condition.
const WRONG_PLACE: &str = "WrongPlace";

impl Reconciler {
    /// Whether decisions may be made here. If not, says so.
    pub(super) fn is_at_home(&mut self) -> bool {
        if self.started {
            return true;
        }
        match place::judge(&self.evidence()) {
            Place::Proven => {
                self.means.gauges.set_wrong_place(None);
                true
            }
            Place::Unproven(Missing::Sweep) => {
                // Not said at once: the first look takes its time.
                let silence = self.means.ec2.silence();
                if let Some(silence) = silence.filter(|silence| self.now() >= silence::told_at(silence)) {
                    let (reason, message) = silence::said(&silence);
                    // Of what was as it should be nothing else is known.
                    let is_settled = |entry: &NodeEniEntry| {
                        let (intent, status) = (&entry.intent, &entry.status);
                        let is_of_now = status.observed_generation == Some(intent.generation) && !intent.deleting;
                        is_of_now && is_true(&status.conditions, types::READY)
                    };
                    self.halt(reason, message, |entry| !is_settled(entry));
                }
                false
            }
            Place::Unproven(Missing::Answers) => {
                self.ask_for_the_place();
                let why = self.means.ec2.network().failure.clone().or_else(|| self.means.ec2.failure());
                if let Some(why) = why {
                    let message = format!(
                        "EC2 shows none of this cluster's ENIs, and whether it knows the cluster's instances and subnets cannot be asked \
                         ({why}): nothing is done before that is known"
                    );
                    self.halt("PlaceUnproven", message, |_| true);
                }
                false
            }
            Place::Elsewhere(why) => {
                let why = why.to_string();
                let sweep = self.means.ec2.last_sweep();
                // Said again after each sweep, and what could not be written is written then.
                if self.means.gauges.set_wrong_place(Some(why.clone())) || self.place_told_at != sweep {
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
        let ec2 = &self.means.ec2;
        let origin = |entry: &std::sync::Arc<crate::world::AttachmentEntry>| {
            let status = &entry.held.status;
            status.eni_id.as_ref()?;
            let region = status.region.clone().or_else(|| place::region_of(status.availability_zone.as_deref()?));
            Some(Origin { owner: status.owner_id.clone(), region })
        };
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for eni in ec2.owned_where(|_| true).1 {
            *shown.entry(eni.owner.to_string()).or_default() += 1;
        }
        Evidence {
            region: ec2.region(),
            recorded: self.world.attachments().filter_map(origin).collect(),
            attachments: self.world.attachments().count(),
            zones: self.world.nodes().filter_map(|node| node.zone.clone()).collect(),
            swept: ec2.last_sweep().is_some(),
            shown,
            known: self.is_known_to_ec2(),
            acting_since: Some(self.acting_since),
        }
    }

    fn instances_of_the_place(&self) -> BTreeSet<InstanceId> {
        let held = self.world.attachments().filter_map(|entry| entry.held.instance.clone());
        self.world.instances().into_iter().chain(held).take(ASKED).collect()
    }

    fn subnets_of_the_place(&self) -> Vec<SubnetId> {
        let ids = self.world.attachments().filter_map(|entry| SubnetId::parse(&entry.held.request.subnet_id).ok());
        ids.collect::<BTreeSet<_>>().into_iter().take(ASKED).collect()
    }

    fn ask_for_the_place(&self) {
        let ec2 = &self.means.ec2;
        let unasked = self.instances_of_the_place().into_iter().filter(|id| ec2.instance_look(id).is_none());
        unasked.for_each(|id| ec2.look_at_state(&id));
        ec2.want_subnets(&self.subnets_of_the_place(), &[]);
    }

    /// Whether EC2 knows one of the instances or subnets; None: not all answers are in.
    fn is_known_to_ec2(&self) -> Option<bool> {
        let (ec2, network) = (&self.means.ec2, self.means.ec2.network());
        let subnets = self.subnets_of_the_place();
        let is_there = |id: &InstanceId| ec2.instance_look(id).is_some_and(|look| look.life() == Life::Alive);
        if subnets.iter().any(|id| network.subnets.contains_key(id))
            || self.instances_of_the_place().iter().any(is_there)
        {
            return Some(true);
        }
        let answered = subnets.iter().all(|id| network.missing_subnets.contains_key(id));
        (answered && !ec2.is_asking()).then_some(false)
    }

    /// Says on every NodeENI that `waits` that nothing is done. All else of its status stands: nothing is known that could change it.
    fn halt(&mut self, reason: &'static str, message: String, waits: impl Fn(&NodeEniEntry) -> bool) {
        let problem = Problem { reason, message, node: None };
        let entries: Vec<_> = self.world.nodeenis().filter(|entry| waits(entry)).cloned().collect();
        for entry in entries {
            let key = Key::NodeEni(entry.intent.name.clone());
            let status = fold::halted(&entry.intent, &entry.status, &problem, self.now());
            if self.halted.get(&entry.intent.uid) == Some(&entry.version) {
                continue;
            }
            let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
            self.halted.insert(entry.intent.uid.clone(), entry.version.clone());
            self.report(&key, &entry, status, &mut work);
            if !work.is_empty() {
                self.call(&key, join_all(work));
            }
        }
    }
}

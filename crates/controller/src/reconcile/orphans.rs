//! Reconciles the orphans: ENIs with this cluster's tags that no ENIAttachment knows. `orphans::judge` decides after each
//! complete resync which of them to detach or delete. This file starts the calls and reports what is held back or refused.

use super::{Outcome, Reconciler};
use crate::metrics::OrphanVerdicts;
use crate::work_queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::TAG_NODE;
use multi_eni_plan::assign;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::orphans::{self, Detachment};
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn orphans(&mut self, key: &Key) {
        let Some(resync) = self.deps.ec2.last_resync() else { return };
        // All other ENIs have their ENIAttachment, and there may be thousands of them.
        let is_known = |uid: &str| self.store.attachment_by_uid(uid).is_some();
        let (all, owned) = self.deps.ec2.owned_where(|eni| orphans::is_stranger(eni, is_known));
        if owned.is_empty() {
            self.suspects.clear();
            self.orphan_verdicts = OrphanVerdicts::default();
            self.forget_refused_orphans();
            return self.set_held_orphans(None);
        }
        let (known, instances) = (self.store.attachment_uids(), self.store.instances());
        let named = self.store.attachments().filter_map(|entry| entry.attachment.eni()).collect();
        let plan = orphans::judge(orphans::Input {
            now: self.now(),
            resync,
            all,
            owned: &owned,
            known: &known,
            named: &named,
            may_be_adopted: &|eni| self.may_be_adopted(eni),
            instances: &instances,
            before: &self.suspects,
            called: self.orphans_called,
            refused: &self.orphans_refused,
            settings: &self.deps.settings,
        });
        orphans::lone(&owned, &known, &named).for_each(|eni| self.look_at_adoptable(eni));
        self.orphan_verdicts = OrphanVerdicts {
            suspected: plan.suspects.len(),
            detach: plan.detach.len(),
            delete: plan.delete.len(),
            foreign: plan.foreign.len(),
            held: plan.brake.as_ref().map_or(0, |brake| brake.count),
        };
        self.suspects = plan.suspects;
        self.forget_refused_orphans();
        self.set_held_orphans(plan.brake);
        for eni in plan.foreign {
            self.warn_once(format!(
                "{eni} has this cluster's tags and is in use, but not by a Node of this cluster: it is left as it is"
            ));
        }
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        for Detachment { eni, attachment, force } in plan.detach {
            tracing::info!(%eni, node = node_of(&owned, &eni), attachment, force, "detaching orphaned ENI");
            self.deps.gauges.counted.orphan_actions.count(["detach"]);
            if force {
                self.deps.gauges.counted.attachments.forced_detaches.count(["orphan"]);
            }
            let (ec2, id) = (self.deps.ec2.clone().on_node(node_of(&owned, &eni)), eni.clone());
            let detach = async move { ec2.detach(&id, &attachment, force).await };
            work.extend(orphan_call(&owned, &eni, Call::Detach, detach));
        }
        for eni in plan.delete {
            tracing::info!(%eni, node = node_of(&owned, &eni), "deleting orphaned ENI");
            self.deps.gauges.counted.orphan_actions.count(["delete"]);
            let (ec2, id) = (self.deps.ec2.clone().on_node(node_of(&owned, &eni)), eni.clone());
            work.extend(orphan_call(&owned, &eni, Call::Delete, async move { ec2.delete(&id).await }));
        }
        if !work.is_empty() {
            self.orphans_called = Some(resync);
            self.start_calls(key, join_all(work));
        }
    }

    /// If the ENI may be adopted, looks up its instance, unless a lookup has shown the instance in this term. `assign` adopts only
    /// an ENI that a lookup of its instance shows. It asks for no lookup while another ENI of the NodeENI on this node waits for
    /// the rollout, and then the ENI would be neither adopted nor an orphan.
    fn look_at_adoptable(&self, eni: &ObservedEni) {
        let ec2 = &self.deps.ec2;
        let instance = eni.attachment.as_ref().and_then(|at| at.instance.as_ref());
        let is_unseen = |instance: &&InstanceId| match ec2.instance_interfaces(instance) {
            None => true,
            Some(shown) => shown.vpc.is_none() && shown.without_primary.is_none_or(|of| self.now() >= of.again_at()),
        };
        if let Some(instance) = instance.filter(is_unseen)
            && self.may_be_adopted(eni)
        {
            ec2.lookup_instance(instance);
        }
    }

    /// Keeps the orphans that are too many to be deleted at once, and reconciles the NodeENIs in their tags.
    fn set_held_orphans(&mut self, brake: Option<orphans::DeletionBrake>) {
        if let Some(brake) = &brake {
            self.warn_once(brake.message.clone());
        }
        let count = brake.as_ref().map_or(0, |brake| brake.count);
        self.deps.gauges.orphans_held.set(i64::try_from(count).unwrap_or(i64::MAX));
        if self.orphans_held == brake {
            return;
        }
        let both = [self.orphans_held.take(), brake.clone()].into_iter().flatten();
        both.flat_map(|brake| brake.nodeenis).for_each(|name| self.queue.add(Key::NodeEni(name)));
        self.orphans_held = brake;
    }

    /// The problem of these orphans for one NodeENI.
    pub(super) fn held_orphans_problem(&self, nodeeni: &NodeEni) -> Option<Problem> {
        let brake = self.orphans_held.as_ref().filter(|brake| brake.nodeenis.contains(&nodeeni.name))?;
        Some(Problem { reason: "OrphansHeld", message: brake.message.clone(), node: None })
    }

    /// The problem for one NodeENI of calls for orphans that EC2 refuses.
    pub(super) fn refused_orphans_problem(&self, nodeeni: &NodeEni) -> Option<Problem> {
        self.orphans_refused.problem(&nodeeni.name)
    }

    fn forget_refused_orphans(&mut self) {
        let over = self.orphans_refused.retain(|eni| self.suspects.contains_key(eni));
        over.into_iter().for_each(|name| self.queue.add(Key::NodeEni(name)));
    }

    /// Takes the end of a call for an orphan.
    pub(super) fn orphan_answered(&mut self, eni: &ObservedEni, call: Call, result: &Result<(), CallError>) {
        if let Err(error) = result {
            tracing::warn!(eni = %eni.id, action = call.action(), code = error.code(), %error, "EC2 call for an orphaned ENI failed");
        }
        let now = self.now();
        let affected = self.orphans_refused.answered(eni, call, result, now);
        affected.into_iter().for_each(|name| self.queue.add(Key::NodeEni(name)));
        if let Some(line) = self.orphans_refused.line(&eni.id) {
            self.warn_once(line);
        }
        if call == Call::Delete && result.is_ok() && self.quota.freed() {
            self.enqueue_without_eni();
        }
    }

    /// Whether its NodeENI may still adopt the ENI: the NodeENI selects the Node, and its share of the slot there is not decided
    /// yet, or the slot's ENIAttachment has no ENI (for example restored without its status) and gives way.
    fn may_be_adopted(&self, eni: &ObservedEni) -> bool {
        let Some(at) = &eni.attachment else { return false };
        let (instance, slot) = (at.instance.as_ref(), (at.card, at.index));
        let nodeenis: Vec<&NodeEni> = self.store.nodeenis().map(|entry| &entry.nodeeni).collect();
        let is_open = |node: &str, nodeeni: &NodeEni| {
            let has_nothing = |attachment: &Attachment| assign::has_nothing(attachment, attachment.may_be_in_use());
            let waits = |attachment: &Attachment| {
                attachment.nodeeni_uid == nodeeni.uid && attachment.slot() == slot && has_nothing(attachment)
            };
            self.assignments.get(node).is_none_or(|last| last.of_nodeeni(&nodeeni.uid).is_open_at(slot))
                || self.store.attachments_on(node).any(|entry| waits(&entry.attachment))
        };
        instance
            .into_iter()
            .flat_map(|instance| self.store.nodes_on(instance))
            .any(|node| assign::may_be_adopted(eni, node, &nodeenis, |nodeeni| is_open(&node.name, nodeeni)))
    }
}

/// The Node that the tags of the ENI name.
fn node_of<'a>(owned: &'a [ObservedEni], eni: &EniId) -> &'a str {
    owned.iter().find(|known| known.id == *eni).and_then(|known| known.tags.get(TAG_NODE)).unwrap_or_default()
}

fn orphan_call(
    owned: &[ObservedEni],
    eni: &EniId,
    call: Call,
    future: impl Future<Output = Result<(), CallError>> + Send + 'static,
) -> Option<BoxFuture<'static, Outcome>> {
    let eni = Box::new(owned.iter().find(|known| known.id == *eni)?.clone());
    Some(async move { Outcome::OrphanCalled { eni, call, result: future.await } }.boxed())
}

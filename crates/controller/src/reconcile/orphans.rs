//! ENIs of this cluster that no ENIAttachment knows: judged after each whole sweep.

use super::{Outcome, Reconciler};
use crate::work_queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::ids::EniId;
use multi_eni_plan::assign;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::ec2_errors::{Call, CallError};
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::orphans::{self, Detachment};
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn orphans(&mut self, key: &Key) {
        let Some(sweep) = self.deps.ec2.last_sweep() else { return };
        // All others are as they should be, and there may be thousands of them.
        let is_known = |uid: &str| self.store.attachment_by_uid(uid).is_some();
        let (all, owned) = self.deps.ec2.owned_where(|eni| orphans::is_stranger(eni, is_known));
        if owned.is_empty() {
            self.suspects.clear();
            self.forget_refused_orphans();
            return self.hold_orphans(None);
        }
        let (known, instances) = (self.store.attachment_uids(), self.store.instances());
        let named = self.store.attachments().filter_map(|entry| entry.attachment.eni()).collect();
        let verdict = orphans::judge(orphans::Input {
            now: self.now(),
            sweep,
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
        self.suspects = verdict.suspects;
        self.forget_refused_orphans();
        self.hold_orphans(verdict.attachment);
        for eni in verdict.foreign {
            self.warn_once(format!(
                "{eni} is of this cluster and in use by something that is no Node here: not touched"
            ));
        }
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        for Detachment { eni, attachment, force } in verdict.detach {
            tracing::warn!(%eni, force, "no ENIAttachment knows it, in two whole sweeps: detaches it");
            let (ec2, id) = (self.deps.ec2.clone(), eni.clone());
            let detach = async move { ec2.detach(&id, &attachment, force).await };
            work.extend(orphan_call(&owned, &eni, Call::Detach, detach));
        }
        for eni in verdict.delete {
            tracing::warn!(%eni, "no ENIAttachment knows it, in two whole sweeps: deletes it");
            let (ec2, id) = (self.deps.ec2.clone(), eni.clone());
            work.extend(orphan_call(&owned, &eni, Call::Delete, async move { ec2.delete(&id).await }));
        }
        if !work.is_empty() {
            self.orphans_called = Some(sweep);
            self.call(key, join_all(work));
        }
    }

    /// Orphans that are too many to be removed are said on the NodeENIs that their tags name.
    fn hold_orphans(&mut self, eni_attachment: Option<orphans::DeletionBrake>) {
        if let Some(eni_attachment) = &eni_attachment {
            self.warn_once(eni_attachment.message.clone());
        }
        let count = eni_attachment.as_ref().map_or(0, |eni_attachment| eni_attachment.count);
        self.deps.gauges.orphans_held.set(i64::try_from(count).unwrap_or(i64::MAX));
        if self.orphans_held == eni_attachment {
            return;
        }
        let both = [self.orphans_held.take(), eni_attachment.clone()].into_iter().flatten();
        both.flat_map(|eni_attachment| eni_attachment.nodeenis).for_each(|name| self.queue.now(Key::NodeEni(name)));
        self.orphans_held = eni_attachment;
    }

    /// What is said of them on one NodeENI.
    pub(super) fn orphans_are_held(&self, nodeeni: &NodeEni) -> Option<Problem> {
        let eni_attachment =
            self.orphans_held.as_ref().filter(|eni_attachment| eni_attachment.nodeenis.contains(&nodeeni.name))?;
        Some(Problem { reason: "OrphansHeld", message: eni_attachment.message.clone(), node: None })
    }

    /// What EC2 refuses for them, said on one NodeENI.
    pub(super) fn orphans_are_refused(&self, nodeeni: &NodeEni) -> Option<Problem> {
        self.orphans_refused.problem(&nodeeni.name)
    }

    fn forget_refused_orphans(&mut self) {
        let over = self.orphans_refused.retain(|eni| self.suspects.contains_key(eni));
        over.into_iter().for_each(|name| self.queue.now(Key::NodeEni(name)));
    }

    /// A call for an orphan has ended.
    pub(super) fn orphan_answered(&mut self, eni: &ObservedEni, call: Call, result: &Result<(), CallError>) {
        if let Err(error) = result {
            tracing::warn!(eni = %eni.id, action = call.action(), code = error.code(), %error, "EC2 call for an orphan failed");
        }
        let now = self.now();
        let told = self.orphans_refused.answered(eni, call, result, now);
        told.into_iter().for_each(|name| self.queue.now(Key::NodeEni(name)));
        if let Some(line) = self.orphans_refused.line(&eni.id) {
            self.warn_once(line);
        }
        if call == Call::Delete && result.is_ok() && self.quota.freed() {
            self.wake_those_without_an_eni();
        }
    }

    /// Whether its NodeENI may still take it as it is: it selects the Node, and what it gets there is not settled, or not there yet: an
    /// ENIAttachment that was restored without its status gives way to it.
    fn may_be_adopted(&self, eni: &ObservedEni) -> bool {
        let Some(at) = &eni.attachment else { return false };
        let (instance, slot) = (at.instance.as_ref(), (at.card, at.index));
        let nodeenis: Vec<&NodeEni> = self.store.nodeenis().map(|entry| &entry.nodeeni).collect();
        let is_open = |node: &str, nodeeni: &NodeEni| {
            let has_nothing =
                |eni_attachment: &Attachment| assign::has_nothing(eni_attachment, eni_attachment.may_be_in_use());
            let waits = |eni_attachment: &Attachment| {
                eni_attachment.nodeeni_uid == nodeeni.uid
                    && eni_attachment.slot() == slot
                    && has_nothing(eni_attachment)
            };
            self.assignments.get(node).is_none_or(|last| last.share(&nodeeni.uid).is_open_at(slot))
                || self.store.attachments_on(node).any(|entry| waits(&entry.attachment))
        };
        instance
            .into_iter()
            .flat_map(|instance| self.store.nodes_on(instance))
            .any(|node| assign::may_be_adopted(eni, node, &nodeenis, |nodeeni| is_open(&node.name, nodeeni)))
    }
}

fn orphan_call(
    owned: &[ObservedEni],
    eni: &EniId,
    call: Call,
    future: impl Future<Output = Result<(), CallError>> + Send + 'static,
) -> Option<BoxFuture<'static, Outcome>> {
    let eni = Box::new(owned.iter().find(|seen| seen.id == *eni)?.clone());
    Some(async move { Outcome::OrphanCalled { eni, call, result: future.await } }.boxed())
}

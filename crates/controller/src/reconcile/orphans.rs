//! ENIs of this cluster that no ENIAttachment knows: judged after each whole sweep.

use super::{Outcome, Reconciler};
use crate::queue::Key;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use multi_eni_api::ids::EniId;
use multi_eni_plan::assign;
use multi_eni_plan::errors::{Call, CallError};
use multi_eni_plan::facts::EniSeen;
use multi_eni_plan::held::Held;
use multi_eni_plan::intent::Intent;
use multi_eni_plan::orphans::{self, Detachment};
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn orphans(&mut self, key: &Key) {
        let Some(sweep) = self.means.ec2.last_sweep() else { return };
        // All others are as they should be, and there may be thousands of them.
        let is_known = |uid: &str| self.world.attachment_by_uid(uid).is_some();
        let (all, owned) = self.means.ec2.owned_where(|eni| orphans::is_stranger(eni, is_known));
        if owned.is_empty() {
            self.suspects.clear();
            self.forget_refused_orphans();
            return self.hold_orphans(None);
        }
        let (known, instances) = (self.world.attachment_uids(), self.world.instances());
        let named = self.world.attachments().filter_map(|entry| entry.held.eni()).collect();
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
            settings: &self.means.settings,
        });
        self.suspects = verdict.suspects;
        self.forget_refused_orphans();
        self.hold_orphans(verdict.held);
        for eni in verdict.foreign {
            self.warn_once(format!(
                "{eni} is of this cluster and in use by something that is no Node here: not touched"
            ));
        }
        let mut work: Vec<BoxFuture<'static, Outcome>> = Vec::new();
        for Detachment { eni, attachment, force } in verdict.detach {
            tracing::warn!(%eni, force, "no ENIAttachment knows it, in two whole sweeps: detaches it");
            let (ec2, id) = (self.means.ec2.clone(), eni.clone());
            let detach = async move { ec2.detach(&id, &attachment, force).await };
            work.extend(orphan_call(&owned, &eni, Call::Detach, detach));
        }
        for eni in verdict.delete {
            tracing::warn!(%eni, "no ENIAttachment knows it, in two whole sweeps: deletes it");
            let (ec2, id) = (self.means.ec2.clone(), eni.clone());
            work.extend(orphan_call(&owned, &eni, Call::Delete, async move { ec2.delete(&id).await }));
        }
        if !work.is_empty() {
            self.orphans_called = Some(sweep);
            self.call(key, join_all(work));
        }
    }

    /// Orphans that are too many to be removed are said on the NodeENIs that their tags name.
    fn hold_orphans(&mut self, held: Option<orphans::Held>) {
        if let Some(held) = &held {
            self.warn_once(held.message.clone());
        }
        let count = held.as_ref().map_or(0, |held| held.count);
        self.means.gauges.orphans_held.set(i64::try_from(count).unwrap_or(i64::MAX));
        if self.orphans_held == held {
            return;
        }
        let both = [self.orphans_held.take(), held.clone()].into_iter().flatten();
        both.flat_map(|held| held.nodeenis).for_each(|name| self.queue.now(Key::NodeEni(name)));
        self.orphans_held = held;
    }

    /// What is said of them on one NodeENI.
    pub(super) fn orphans_are_held(&self, intent: &Intent) -> Option<Problem> {
        let held = self.orphans_held.as_ref().filter(|held| held.nodeenis.contains(&intent.name))?;
        Some(Problem { reason: "OrphansHeld", message: held.message.clone(), node: None })
    }

    /// What EC2 refuses for them, said on one NodeENI.
    pub(super) fn orphans_are_refused(&self, intent: &Intent) -> Option<Problem> {
        self.orphans_refused.problem(&intent.name)
    }

    fn forget_refused_orphans(&mut self) {
        let over = self.orphans_refused.retain(|eni| self.suspects.contains_key(eni));
        over.into_iter().for_each(|name| self.queue.now(Key::NodeEni(name)));
    }

    /// A call for an orphan has ended.
    pub(super) fn orphan_answered(&mut self, eni: &EniSeen, call: Call, result: &Result<(), CallError>) {
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
    fn may_be_adopted(&self, eni: &EniSeen) -> bool {
        let Some(at) = &eni.attachment else { return false };
        let (instance, slot) = (at.instance.as_ref(), (at.card, at.index));
        let intents: Vec<&Intent> = self.world.nodeenis().map(|entry| &entry.intent).collect();
        let is_open = |node: &str, intent: &Intent| {
            let has_nothing = |held: &Held| assign::has_nothing(held, held.may_be_in_use());
            let waits = |held: &Held| held.nodeeni_uid == intent.uid && held.slot() == slot && has_nothing(held);
            self.assignments.get(node).is_none_or(|last| last.share(&intent.uid).is_open_at(slot))
                || self.world.attachments_on(node).any(|entry| waits(&entry.held))
        };
        instance
            .into_iter()
            .flat_map(|instance| self.world.nodes_on(instance))
            .any(|node| assign::may_be_adopted(eni, node, &intents, |intent| is_open(&node.name, intent)))
    }
}

fn orphan_call(
    owned: &[EniSeen],
    eni: &EniId,
    call: Call,
    future: impl Future<Output = Result<(), CallError>> + Send + 'static,
) -> Option<BoxFuture<'static, Outcome>> {
    let eni = Box::new(owned.iter().find(|seen| seen.id == *eni)?.clone());
    Some(async move { Outcome::OrphanCalled { eni, call, result: future.await } }.boxed())
}

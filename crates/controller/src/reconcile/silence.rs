//! EC2 does not answer: said on the NodeENIs that wait for it.

use super::Reconciler;
use crate::queue::Key;
use multi_eni_plan::intent::Intent;
use multi_eni_plan::problem::Problem;
use multi_eni_plan::silence;

impl Reconciler {
    pub(super) fn ec2_is_silent(&self, intent: &Intent) -> Option<Problem> {
        let silence = self.means.ec2.silence()?;
        let waits = self.waits_for_ec2(intent);
        silence::problem(&silence, waits, self.now())
    }

    /// Something of it is not ready, on its way out, or cannot be decided without a look.
    fn waits_for_ec2(&self, intent: &Intent) -> bool {
        let uid = &intent.uid;
        self.world.attachments_of(uid).any(|entry| entry.held.deleting.is_some() || !self.is_ready(entry))
            || self.assignments.values().any(|last| !last.needs.is_empty() && last.matches(uid))
    }

    /// EC2 begins to be silent, changes its words, or answers again: what is said of it is looked at, now or when it is due.
    pub(super) fn ec2_silence_changed(&mut self) {
        let at = self.means.ec2.silence().map(|silence| silence::told_at(&silence));
        let keys: Vec<Key> = self.world.nodeenis().map(|entry| Key::NodeEni(entry.intent.name.clone())).collect();
        for key in keys {
            match at {
                Some(at) if at > self.now() => self.queue.at(key, at),
                Some(_) | None => self.queue.now(key),
            }
        }
    }
}

//! EC2 does not answer: said on the NodeENIs that wait for it.

use super::Reconciler;
use crate::work_queue::Key;
use jiff::Timestamp;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::problem::Problem;
use multi_eni_plan::silence;
use std::collections::BTreeSet;

impl Reconciler {
    pub(super) fn ec2_is_silent(&self, nodeeni: &NodeEni) -> Vec<Problem> {
        let Some(silence) = self.deps.ec2.silence() else { return Vec::new() };
        let waiting = self.nodes_that_wait_for_ec2(&nodeeni.uid);
        silence::problems(&silence, waiting.into_iter(), self.now())
    }

    /// Where something of it is not ready, on its way out, or cannot be decided without a look.
    fn nodes_that_wait_for_ec2(&self, uid: &str) -> BTreeSet<&str> {
        let of_it = self.store.attachments_of(uid);
        let waiting = of_it.filter(|entry| entry.attachment.deleting.is_some() || !self.is_ready(entry));
        let undecided = self.assignments.iter().filter(|(_, last)| !last.needs.is_empty() && last.matches(uid));
        waiting.map(|entry| entry.attachment.node.as_str()).chain(undecided.map(|(node, _)| node.as_str())).collect()
    }

    /// When it will be said that EC2 does not answer; None if it does, or if that is said.
    pub(super) fn silence_is_said_at(&self) -> Option<Timestamp> {
        self.deps.ec2.silence().map(|silence| silence::told_at(&silence)).filter(|at| *at > self.now())
    }

    /// EC2 begins to be silent, changes its words, or answers again: what is said of it is looked at, now or when it is due.
    pub(super) fn ec2_silence_changed(&mut self) {
        let at = self.deps.ec2.silence().map(|silence| silence::told_at(&silence));
        let keys: Vec<Key> = self.store.nodeenis().map(|entry| Key::NodeEni(entry.nodeeni.name.clone())).collect();
        for key in keys {
            match at {
                Some(at) if at > self.now() => self.queue.at(key, at),
                Some(_) | None => self.queue.now(key),
            }
        }
    }
}

//! Reports that EC2 does not answer, on the NodeENIs that wait for EC2. `multi_eni_plan::describe_outage` decides when to report
//! this, and in which words.

use super::Reconciler;
use crate::work_queue::Key;
use jiff::Timestamp;
use multi_eni_plan::describe_outage;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::problem::Problem;
use std::collections::BTreeSet;

impl Reconciler {
    pub(super) fn describe_outage_problems(&self, nodeeni: &NodeEni) -> Vec<Problem> {
        let Some(outage) = self.deps.ec2.describe_outage() else { return Vec::new() };
        let waiting = self.nodes_that_wait_for_ec2(&nodeeni.uid);
        describe_outage::problems(&outage, waiting.into_iter(), self.now())
    }

    /// The nodes on which an ENI of this NodeENI is not Ready, is being removed, or cannot be decided without a lookup.
    fn nodes_that_wait_for_ec2(&self, uid: &str) -> BTreeSet<&str> {
        let of_it = self.store.attachments_of(uid);
        let waiting = of_it.filter(|entry| entry.attachment.deleting.is_some() || !self.is_ready(entry));
        let undecided = self.assignments.iter().filter(|(_, last)| !last.needs.is_empty() && last.matches(uid));
        waiting.map(|entry| entry.attachment.node.as_str()).chain(undecided.map(|(node, _)| node.as_str())).collect()
    }

    /// When the report is due. None if EC2 answers, or if the report is due already.
    pub(super) fn describe_outage_due_at(&self) -> Option<Timestamp> {
        self.deps.ec2.describe_outage().map(|outage| describe_outage::report_at(&outage)).filter(|at| *at > self.now())
    }

    /// Reconciles all NodeENIs: EC2 no longer answers, fails with another error, or answers again.
    pub(super) fn describe_outage_changed(&mut self) {
        let at = self.deps.ec2.describe_outage().map(|outage| describe_outage::report_at(&outage));
        let keys: Vec<Key> = self.store.nodeenis().map(|entry| Key::NodeEni(entry.nodeeni.name.clone())).collect();
        for key in keys {
            match at {
                Some(at) if at > self.now() => self.queue.add_at(key, at),
                Some(_) | None => self.queue.add(key),
            }
        }
    }
}

//! Collects the problems of one NodeENI for its status, from every part that can find one.

use super::Reconciler;
use crate::work_queue::Key;
use multi_eni_plan::message_time::second;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn problems_of(&self, nodeeni: &NodeEni) -> Vec<Problem> {
        let mut problems = self.writes.problems(&nodeeni.uid);
        problems.extend(self.describe_outage_problems(nodeeni));
        problems.extend(self.problems_on_nodes(nodeeni));
        problems.extend(self.held_orphans_problem(nodeeni));
        problems.extend(self.refused_orphans_problem(nodeeni));
        self.unreadable_objects(nodeeni, &mut problems);
        self.unreadable_enis(nodeeni, &mut problems);
        problems
    }

    /// Problems that `assign` found on Nodes.
    fn problems_on_nodes(&self, nodeeni: &NodeEni) -> impl Iterator<Item = Problem> {
        let all = self.assignments.values().flat_map(|last| &last.problems);
        all.filter(|(uid, _)| *uid == nodeeni.uid).map(|(_, problem)| problem.clone())
    }

    /// ENIAttachments that cannot be parsed. They are left as they are and keep their slots.
    fn unreadable_objects(&self, nodeeni: &NodeEni, problems: &mut Vec<Problem>) {
        for entry in self.store.attachments_of(&nodeeni.uid) {
            if let Some(error) = &entry.attachment.unreadable {
                let message = format!(
                    "ENIAttachment {} cannot be parsed ({error}): the controller leaves its ENI and its slot as they are. \
                     Correct the object, or install the CRDs of this controller's version",
                    entry.attachment.name
                );
                let node = entry
                    .attachment
                    .instance
                    .as_ref()
                    .and_then(|instance| self.store.node_on(instance))
                    .map(|node| node.name.clone());
                problems.push(Problem { reason: "ENIAttachmentUnreadable", message, node });
            }
        }
    }

    /// ENIs of this NodeENI that EC2 shows without an ID.
    fn unreadable_enis(&self, nodeeni: &NodeEni, problems: &mut Vec<Problem>) {
        for eni in self.unreadable.values().filter(|eni| eni.nodeeni_uid.as_deref() == Some(nodeeni.uid.as_str())) {
            let message = format!(
                "since {} EC2 has shown an ENI of this NodeENI (MAC address {}) without an ID: the controller leaves the ENI \
                 as it is. Check the ENI in the EC2 console",
                second(eni.since),
                eni.mac
            );
            problems.push(Problem { reason: "ENIUnreadable", message, node: eni.node.clone() });
        }
    }

    /// After a resync: reconciles the NodeENIs whose unreadable ENIs changed.
    pub(super) fn note_unreadable_enis(&mut self) {
        let now = self.deps.ec2.unreadable();
        if now == self.unreadable {
            return;
        }
        let uids = self.unreadable.values().chain(now.values()).filter_map(|eni| eni.nodeeni_uid.as_deref());
        let names = uids.filter_map(|uid| self.store.nodeeni_by_uid(uid)).map(|entry| entry.nodeeni.name.clone());
        let keys: Vec<Key> = names.map(Key::NodeEni).collect();
        keys.into_iter().for_each(|key| self.queue.add(key));
        self.unreadable = now;
    }
}

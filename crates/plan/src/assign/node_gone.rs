//! Decides about the ENIAttachments of a Node that is gone. They are deleted at once if the instance is gone too, and after a
//! grace period if it still runs. While the state of the instance is unknown, nothing is deleted.

use super::assignment::{Need, RemovalReason};
use super::planner::{JUST_NOW, NodePlanner};
use crate::attachment::Attachment;
use crate::instance_life::{InstanceObservation, Life};
use crate::problem::Problem;
use jiff::Timestamp;
use multi_eni_api::ids::InstanceId;

impl NodePlanner<'_> {
    /// Handles ENIAttachments whose Node (this name on this instance) is gone.
    pub(super) fn node_gone(&mut self, attachments: &[&Attachment]) {
        let input = self.input;
        for attachment in
            attachments.iter().filter(|attachment| attachment.deleting.is_none() && attachment.unreadable.is_none())
        {
            let Some(since) = attachment.deselected_since else {
                self.plan.deselect.push(attachment.name.clone());
                continue;
            };
            let Some(instance) = &attachment.instance else {
                self.remove(attachment, RemovalReason::NodeGone);
                continue;
            };
            let over = since.saturating_add(input.settings.node_gone_grace).unwrap_or(Timestamp::MAX);
            // A lookup from before the Node went says nothing about the instance now. A lookup that began just now counts in any
            // case, because the replica that recorded `since` may have another clock.
            let late_enough = |lookup: &InstanceObservation| {
                lookup.as_of >= since || input.now.duration_since(lookup.as_of) <= JUST_NOW
            };
            match (input.states)(instance).filter(late_enough) {
                Some(lookup) if lookup.is_reported_gone() => self.remove(attachment, RemovalReason::NodeGone),
                Some(lookup) if lookup.as_of >= over && lookup.life() != Life::Doubtful => {
                    self.remove(attachment, RemovalReason::NodeGone);
                }
                // One lookup that does not show the instance is no proof that it is gone.
                Some(lookup) if lookup.life() != Life::Alive => {
                    self.missed(instance, lookup);
                    self.report_unknown_state(attachment, instance);
                }
                Some(_) if input.now < over => self.plan.recheck_at(over),
                Some(_) | None => {
                    self.plan.needs.insert(Need::InstanceState(instance.clone()));
                    self.report_unknown_state(attachment, instance);
                }
            }
        }
    }

    /// Reports that lookups of the instance fail. Its ENIs stay while they fail, which may last.
    fn report_unknown_state(&mut self, attachment: &Attachment, instance: &InstanceId) {
        let input = self.input;
        let Some(failure) = input.states_failure else { return };
        let report_at = failure.report_at();
        if input.now < report_at {
            return self.plan.recheck_at(report_at);
        }
        let message = format!(
            "Node {} is gone, and it is not known whether its instance {instance} still runs, so its ENIs stay: {failure}",
            attachment.node
        );
        let problem = Problem { reason: "InstanceStateUnknown", message, node: Some(attachment.node.clone()) };
        let entry = (attachment.nodeeni_uid.clone(), problem);
        if !self.plan.problems.contains(&entry) {
            self.plan.problems.push(entry);
        }
    }
}

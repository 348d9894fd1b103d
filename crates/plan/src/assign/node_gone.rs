//! A Node that is gone: what is left of it goes, at once or after the grace, by what is known of its instance.

use super::assignment::{Need, RemovalReason};
use super::planner::{JUST_NOW, NodePlanner};
use crate::attachment::Attachment;
use crate::instance::{InstanceObservation, Life};
use crate::problem::Problem;
use jiff::Timestamp;
use multi_eni_api::ids::InstanceId;

impl NodePlanner<'_> {
    /// Attachments whose Node (this instance under this name) is gone: at once if the instance is gone too, after the grace
    /// if it still runs.
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
            // A look from before the Node went says nothing of the instance now. One of just now does, whatever the clock says of
            // the replica that noted when it went.
            let late_enough = |lookup: &InstanceObservation| {
                lookup.as_of >= since || input.now.duration_since(lookup.as_of) <= JUST_NOW
            };
            match (input.states)(instance).filter(late_enough) {
                Some(lookup) if lookup.is_reported_gone() => self.remove(attachment, RemovalReason::NodeGone),
                Some(lookup) if lookup.as_of >= over && lookup.life() != Life::Doubtful => {
                    self.remove(attachment, RemovalReason::NodeGone);
                }
                // Not to be shown is no proof yet.
                Some(lookup) if lookup.life() != Life::Alive => {
                    self.missed(instance, lookup);
                    self.cannot_be_asked(attachment, instance);
                }
                Some(_) if input.now < over => self.plan.recheck_at(over),
                Some(_) | None => {
                    self.plan.needs.insert(Need::InstanceState(instance.clone()));
                    self.cannot_be_asked(attachment, instance);
                }
            }
        }
    }

    /// Nothing is done for a gone Node as long as its instance cannot be asked about. That is said, for it may last.
    fn cannot_be_asked(&mut self, attachment: &Attachment, instance: &InstanceId) {
        let input = self.input;
        let Some(failure) = input.states_failure else { return };
        let report_at = failure.report_at();
        if input.now < report_at {
            return self.plan.recheck_at(report_at);
        }
        let message = format!(
            "Node {} is gone, and whether its instance {instance} still runs is not known, so its ENIs stay: {failure}",
            attachment.node
        );
        let problem = Problem { reason: "InstanceStateUnknown", message, node: Some(attachment.node.clone()) };
        let said = (attachment.nodeeni_uid.clone(), problem);
        if !self.plan.problems.contains(&said) {
            self.plan.problems.push(said);
        }
    }
}

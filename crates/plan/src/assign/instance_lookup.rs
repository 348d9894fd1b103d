//! Decides whether an instance may get ENIs: a lookup must show its primary interface. If it does not, the state of the instance
//! must be looked up. This file only asks for these lookups and limits how often they are repeated.

use super::assignment::Need;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::instance_life::{InstanceObservation, Life, NODE_OUTLIVES};
use crate::observed::{NotOnEc2, ObservedNode};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::InstanceId;

/// For this time, a primary interface that EC2 does not show is taken for eventual consistency.
const UNSHOWN_SAID_AFTER: SignedDuration = SignedDuration::from_secs(180);

impl NodePlanner<'_> {
    /// The instance of a Node, or why it has none. A Node whose cloud provider has not written its providerID yet is joining.
    pub(super) fn instance_of<'n>(&mut self, node: &'n ObservedNode) -> Result<&'n InstanceId, UnassignedReason> {
        match &node.instance {
            Ok(instance) => Ok(instance),
            Err(NotOnEc2::Never(why)) => Err(UnassignedReason::Unsupported(why.clone())),
            Err(NotOnEc2::NoProviderId) => {
                Err(self.joining(node, "its providerID").unwrap_or(UnassignedReason::NoProviderId))
            }
        }
    }

    /// The reason for a Node that is joining the cluster and waits for `what`. None: the Node has had enough time.
    pub(super) fn joining(&mut self, node: &ObservedNode, what: &'static str) -> Option<UnassignedReason> {
        let until = node.joins_until();
        if self.input.now >= until {
            return None;
        }
        if until < Timestamp::MAX {
            self.plan.recheck_at(until);
        }
        Some(UnassignedReason::Joining(what))
    }

    /// Refuses an instance that an AWS service manages, by the primary interface or by the Node's label.
    pub(super) fn check_operator(&mut self, node: &ObservedNode) -> Result<(), UnassignedReason> {
        let operator = self.input.instance.and_then(|interfaces| interfaces.operator.as_ref()).map(ToString::to_string);
        if operator.is_some() || node.is_auto_mode() {
            return Err(UnassignedReason::ManagedInstance { operator });
        }
        Ok(())
    }

    /// Refuses an instance that is gone, or whose primary interface the last lookup did not show.
    pub(super) fn check_instance(&mut self, instance: &InstanceId) -> Result<(), UnassignedReason> {
        let input = self.input;
        if let Some(lookup) = (input.states)(instance)
        && lookup.life() == Life::Gone
        // A later lookup that shows the primary interface wins.
        && (lookup.is_reported_gone() || input.instance.is_none_or(|interfaces| interfaces.as_of <= lookup.as_of))
        {
            return Err(self.instance_gone(instance, lookup));
        }
        match input.instance {
            Some(interfaces) if interfaces.without_primary.is_some() || interfaces.vpc.is_none() => {
                Err(self.await_lookup(instance, "the EC2 lookup of the node's interfaces"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Asks for a lookup of the instance, unless the wait since the last lookup is not over. The wait grows with the time for
    /// which EC2 does not show the primary interface. Returns the reason to report until then.
    pub(super) fn await_lookup(&mut self, instance: &InstanceId, what: &'static str) -> UnassignedReason {
        let input = self.input;
        let Some(unshown) = input.instance.and_then(|interfaces| interfaces.without_primary) else {
            self.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
            return UnassignedReason::LookupPending(what);
        };
        let lookup =
            (input.states)(instance).filter(|lookup| lookup.is_reported_gone() || lookup.as_of >= unshown.since);
        if let Some(lookup) = lookup.filter(InstanceObservation::is_reported_gone) {
            return self.instance_gone(instance, lookup);
        }
        let again = unshown.again_at();
        if input.now < again {
            self.plan.recheck_at(again);
        } else {
            self.plan.needs.insert(Need::LookupInterfaces(instance.clone()));
        }
        match lookup {
            None => {
                self.plan.needs.insert(Need::InstanceState(instance.clone()));
                self.lookup_pending(input.states_failure, what)
            }
            Some(lookup) if lookup.life() == Life::Alive => {
                if input.now >= again {
                    self.plan.needs.insert(Need::InstanceState(instance.clone()));
                }
                let report_at = unshown.since.saturating_add(UNSHOWN_SAID_AFTER).unwrap_or(Timestamp::MAX);
                if input.now < report_at {
                    self.plan.recheck_at(report_at);
                }
                let (instance, since) = (instance.clone(), unshown.since);
                UnassignedReason::PrimaryNotShown { instance, since, is_lasting: input.now >= report_at }
            }
            Some(lookup) if lookup.life() == Life::Gone => self.instance_gone(instance, lookup),
            // One lookup that does not show the instance is no proof that it is gone.
            Some(lookup) => {
                self.missed(instance, lookup);
                UnassignedReason::InstanceNotShown { instance: instance.clone(), since: lookup.since }
            }
        }
    }

    /// The reason for an instance that is gone. Its Node is expected to be deleted soon.
    fn instance_gone(&mut self, instance: &InstanceId, lookup: InstanceObservation) -> UnassignedReason {
        let input = self.input;
        if !lookup.is_reported_gone() {
            self.missed(instance, lookup);
        }
        let report_at = lookup.since.saturating_add(NODE_OUTLIVES).unwrap_or(Timestamp::MAX);
        if input.now < report_at {
            self.plan.recheck_at(report_at);
        }
        UnassignedReason::InstanceGone {
            instance: instance.clone(),
            since: lookup.since,
            is_lasting: input.now >= report_at,
        }
    }

    /// Asks for the next lookup of an instance that the last one did not show, once it is due.
    pub(super) fn missed(&mut self, instance: &InstanceId, lookup: InstanceObservation) {
        let input = self.input;
        if input.now >= lookup.again_at() {
            self.plan.needs.insert(Need::InstanceState(instance.clone()));
        } else {
            self.plan.recheck_at(lookup.again_at());
        }
    }
}

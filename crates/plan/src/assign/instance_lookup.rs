//! What must be known of an instance before anything is made for it: a look that shows its primary interface, and, where a look
//! does not, whether it lives.

use super::assignment::Need;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::instance::{InstanceObservation, Life, NODE_OUTLIVES};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::InstanceId;

/// The first wait after a look that did not show the primary interface: of a young instance EC2 is late to show it.
const SOONEST: SignedDuration = SignedDuration::from_secs(1);

/// The longest wait between two looks at an instance whose primary interface EC2 does not show.
const SLOWEST: SignedDuration = SignedDuration::from_secs(300);

/// For so long that EC2 does not show a primary interface is taken for its lag.
const UNSHOWN_SAID_AFTER: SignedDuration = SignedDuration::from_secs(180);

impl NodePlanner<'_> {
    /// Nothing is made for an instance that is gone, or whose primary interface the last look did not show.
    pub(super) fn lives(&mut self, instance: &InstanceId) -> Result<(), UnassignedReason> {
        let input = self.input;
        if let Some(lookup) = (input.states)(instance)
        && lookup.life() == Life::Gone
        // A later look at its interfaces that shows the primary one wins.
        && (lookup.is_reported_gone() || input.instance.is_none_or(|interfaces| interfaces.as_of <= lookup.as_of))
        {
            return Err(self.instance_gone(instance, lookup));
        }
        match input.instance {
            Some(interfaces) if interfaces.without_primary.is_some() || interfaces.vpc.is_none() => {
                Err(self.await_lookup(instance, "the node's interfaces"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Asks for a look at the instance, no faster than the longer EC2 does not show its primary interface; and what to say meanwhile.
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
        let wait = unshown.as_of.duration_since(unshown.since).clamp(SOONEST, SLOWEST);
        let again = unshown.as_of.saturating_add(wait).unwrap_or(Timestamp::MAX);
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
            Some(lookup) => {
                self.missed(instance, lookup);
                UnassignedReason::LookupPending(what)
            }
        }
    }

    /// The instance is gone: its Node is expected to follow.
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

    /// A look did not show the instance: the next one comes when it is time.
    pub(super) fn missed(&mut self, instance: &InstanceId, lookup: InstanceObservation) {
        let input = self.input;
        if input.now >= lookup.again_at() {
            self.plan.needs.insert(Need::InstanceState(instance.clone()));
        } else {
            self.plan.recheck_at(lookup.again_at());
        }
    }
}

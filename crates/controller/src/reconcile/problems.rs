//! What is wrong with a NodeENI as a whole, collected for `fold` from all that can find it.

use super::Reconciler;
use multi_eni_plan::intent::Intent;
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn problems_of(&self, intent: &Intent) -> Vec<Problem> {
        let mut problems = self.writes.problems(&intent.uid);
        problems.extend(self.ec2_is_silent(intent));
        problems.extend(self.problems_on_nodes(intent));
        problems.extend(self.orphans_are_held(intent));
        problems
    }

    /// What `assign` found on Nodes.
    fn problems_on_nodes(&self, intent: &Intent) -> impl Iterator<Item = Problem> {
        let all = self.assignments.values().flat_map(|last| &last.problems);
        all.filter(|(uid, _)| *uid == intent.uid).map(|(_, problem)| problem.clone())
    }
}

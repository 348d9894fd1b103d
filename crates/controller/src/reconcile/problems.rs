//! What is wrong with a NodeENI as a whole, collected for `fold` from all that can find it.

use super::Reconciler;
use multi_eni_plan::intent::Intent;
use multi_eni_plan::problem::Problem;

impl Reconciler {
    pub(super) fn problems_of(&self, _intent: &Intent) -> Vec<Problem> {
        Vec::new()
    }
}

//! The security groups that `securityGroupSelectorTerms` select for the ENIs of one Node, or the lookups that are missing, or the
//! reason why no ENI is made. It reads the catalog only.

use super::assignment::Need;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::ec2_terms::{self, GroupTerm};
use crate::observed::CatalogLookup;
use crate::selected_groups::{MOST_GROUPS, NoSelection};
use multi_eni_api::ids::SecurityGroupId;

impl NodePlanner<'_> {
    /// The groups that the terms select in the VPC, sorted.
    pub(super) fn groups_of_terms(
        &mut self,
        terms: &[GroupTerm],
        vpc: &str,
    ) -> Result<Vec<SecurityGroupId>, UnassignedReason> {
        let catalog = self.input.catalog;
        match catalog.selected_groups(terms, vpc) {
            Ok(selected) => Ok(selected.groups),
            Err(NoSelection::NotLookedUp(names, tags)) => {
                self.plan.needs.extend(names.into_iter().map(Need::Group));
                self.plan.needs.extend(tags.into_iter().map(Need::TaggedGroups));
                let failure = catalog.failure(&[CatalogLookup::Groups, CatalogLookup::GroupsByTags]);
                Err(self.lookup_pending(failure, "the EC2 lookup of the NodeENI's security groups"))
            }
            Err(NoSelection::NoGroup) => {
                // A user may tag or create a group.
                let needs = terms.iter().filter_map(|term| match term {
                    GroupTerm::Id(_) => None,
                    GroupTerm::Name(name) => Some(Need::Group(name.clone())),
                    GroupTerm::Tags(tags) => Some(Need::TaggedGroups(tags.clone())),
                });
                self.plan.needs.extend(needs);
                self.recheck_later();
                Err(UnassignedReason::NoGroupMatches(ec2_terms::text(terms)))
            }
            Err(NoSelection::TooMany(many)) => {
                self.recheck_later();
                Err(UnassignedReason::OutOfBounds(format!(
                    "securityGroupSelectorTerms select {many} security groups, and the maximum of an interface is \
                     {MOST_GROUPS} (EC2's default quota is 5): use narrower terms"
                )))
            }
        }
    }
}

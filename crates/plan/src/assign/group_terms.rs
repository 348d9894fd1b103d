//! The security groups that `securityGroupSelectorTerms` select for the ENIs of one Node, or the lookups that are missing, or the
//! reason why no ENI is made. It also reports a term that matches nothing, and groups that stay on ENIs meanwhile, of terms and of
//! lists. It reads the catalog and the groups of the ENIs only.

use super::assignment::{GroupsWait, Need};
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::confirmation::confirmed_at;
use crate::ec2_terms::{self, GroupTerm};
use crate::observed::CatalogLookup;
use crate::problem::Problem;
use crate::selected_groups::{MOST_GROUPS, NoSelection, SelectedGroups};
use multi_eni_api::ids::SecurityGroupId;
use std::collections::BTreeSet;

impl NodePlanner<'_> {
    /// The groups that the terms select in the VPC, sorted.
    pub(super) fn groups_of_terms(
        &mut self,
        on: NodeEniOnNode<'_>,
        vpc: &str,
    ) -> Result<Vec<SecurityGroupId>, UnassignedReason> {
        let (catalog, terms) = (self.input.catalog, &on.spec.group_terms);
        match catalog.selected_groups(terms, vpc) {
            Ok(selected) => {
                self.report_kept_groups(on, vpc, &selected);
                Ok(selected.groups)
            }
            Err(NoSelection::NotLookedUp(names, tags)) => {
                self.plan.needs.extend(names.into_iter().map(Need::Group));
                self.plan.needs.extend(tags.into_iter().map(Need::TaggedGroups));
                let failure = catalog.failure(&[CatalogLookup::Groups, CatalogLookup::GroupsByTags]);
                Err(self.lookup_pending(failure, "the EC2 lookup of the NodeENI's security groups"))
            }
            Err(NoSelection::NoGroup) => {
                self.look_again(terms);
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

    /// Reports a term that matches nothing, or else that groups stay on ENIs until EC2 has shown the same for minutes.
    pub(super) fn report_kept_groups(&mut self, on: NodeEniOnNode<'_>, vpc: &str, selected: &SelectedGroups) {
        if selected.is_confirmed() {
            return;
        }
        let live = on.mine.iter().filter(|attachment| attachment.deleting.is_none());
        let enis: Vec<Vec<SecurityGroupId>> = live.map(|attachment| (self.input.groups_of)(attachment)).collect();
        let kept: BTreeSet<&SecurityGroupId> = enis.iter().flat_map(|groups| selected.kept(groups)).collect();
        if !selected.unmatched.is_empty() {
            self.look_again(&selected.unmatched);
            let message = unmatched_sentence(vpc, selected, &kept);
            let problem = Problem { reason: "SecurityGroupNotResolved", message, node: Some(on.node.name.clone()) };
            self.plan.problems.push((on.nodeeni.uid.clone(), problem));
            return;
        }
        let until = selected.unconfirmed.iter().map(|(_, since)| confirmed_at(*since)).max();
        let Some(until) = until.filter(|_| !kept.is_empty()) else { return };
        for (term, since) in &selected.unconfirmed {
            let at = confirmed_at(*since);
            match term {
                _ if self.input.now < at => self.plan.recheck_at(at),
                GroupTerm::Tags(tags) => drop(self.plan.needs.insert(Need::TaggedGroupsSince(tags.clone(), at))),
                GroupTerm::Name(name) => drop(self.plan.needs.insert(Need::GroupSince(name.clone(), at))),
                GroupTerm::Id(_) => {}
            }
        }
        self.plan.groups_waits.push(GroupsWait {
            nodeeni_uid: on.nodeeni.uid.clone(),
            node: on.node.name.clone(),
            groups: kept.into_iter().cloned().collect(),
            until,
        });
    }

    /// Looks these terms up again when their answers are old: a user may tag or create a group.
    fn look_again(&mut self, terms: &[GroupTerm]) {
        let needs = terms.iter().filter_map(|term| match term {
            GroupTerm::Id(_) => None,
            GroupTerm::Name(name) => Some(Need::Group(name.clone())),
            GroupTerm::Tags(tags) => Some(Need::TaggedGroups(tags.clone())),
        });
        self.plan.needs.extend(needs);
        self.recheck_later();
    }
}

fn unmatched_sentence(vpc: &str, selected: &SelectedGroups, kept: &BTreeSet<&SecurityGroupId>) -> String {
    let list =
        |groups: Vec<&SecurityGroupId>| groups.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (terms, groups) = (ec2_terms::text(&selected.unmatched), list(selected.groups.iter().collect()));
    let meanwhile = match kept.is_empty() {
        true => format!("an ENI gets the groups of the other terms ({groups}) meanwhile"),
        false => format!(
            "no group is taken off the ENI meanwhile: it keeps {}, which no term selects, besides the groups of the other terms \
             ({groups})",
            list(kept.iter().copied().collect())
        ),
    };
    format!(
        "no security group of {vpc} matches {terms} of securityGroupSelectorTerms; {meanwhile}. Correct the terms, or tag or create a \
         group"
    )
}

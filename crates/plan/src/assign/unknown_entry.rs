//! An entry of a list of subnets that EC2 does not know, while the nodes get their ENIs from the other entries: it is reported once for
//! the NodeENI and names no node. A node that lacks an ENI because of it has a reason of its own.

use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::nodeeni::{NodeEni, SubnetRef};
use crate::problem::Problem;

/// Where the entry is.
#[derive(Clone, Copy)]
pub(super) enum EntryOf {
    /// One of the lists subnetIDs and subnetNames, or subnetID or subnetName, which are united with them.
    List,
    /// subnetSelectorTerms.
    Terms,
}

impl NodePlanner<'_> {
    /// Reports the entry on the NodeENI.
    pub(super) fn report_unknown_entry(&mut self, nodeeni: &NodeEni, entry: &SubnetRef, of: EntryOf) {
        let reason = UnassignedReason::SubnetMissing(entry.clone()).reason();
        let problem = Problem { reason, message: sentence(entry, of), node: None };
        self.plan.problems.push((nodeeni.uid.clone(), problem));
    }
}

fn sentence(entry: &SubnetRef, of: EntryOf) -> String {
    let of = match of {
        EntryOf::List => "an entry of the NodeENI's list",
        EntryOf::Terms => "a term of subnetSelectorTerms",
    };
    match entry {
        SubnetRef::Id(id) => {
            format!(
                "EC2 knows no subnet {id}, {of}, in this account and Region: correct the NodeENI or create the subnet"
            )
        }
        SubnetRef::Name(name) => format!(
            "EC2 knows no subnet with the tag Name={name}, {of}, in the VPC of the nodes: correct the NodeENI or tag a subnet. A \
             subnet that another account shares shows none of its owner's tags: name it by subnetID"
        ),
    }
}

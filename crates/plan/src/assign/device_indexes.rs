//! The device indexes of a NodeENI on one Node: those of the list's order, or those that `highest_free` chooses. A subnet that can
//! never have an ENI on the Node has none, whichever policy the NodeENI has.

use super::adoption::pinned;
use super::nodeeni_on_node::NodeEniOnNode;
use super::planner::NodePlanner;
use super::unassigned::UnassignedReason;
use crate::observed::{InstanceInterfaces, ObservedSubnet};
use multi_eni_api::DeviceIndexPolicy;

impl NodePlanner<'_> {
    /// The device index for each subnet, in the order of the list, or why the subnet has none now. A subnet of another VPC than the
    /// node's never has one, unless an ENI that was adopted from upstream is there.
    pub(super) fn device_indexes(
        &mut self,
        on: NodeEniOnNode<'_>,
        subnets: &[&ObservedSubnet],
    ) -> Vec<Result<i32, UnassignedReason>> {
        let shown = self.input.instance;
        let in_vpc = |subnet: &ObservedSubnet| match pinned(on.mine, &subnet.id) {
            Some(_) => Ok(()),
            None => shown.map_or(Ok(()), |shown| is_of_the_nodes_vpc(shown, subnet)),
        };
        let possible: Vec<Result<(), UnassignedReason>> = subnets.iter().map(|subnet| in_vpc(subnet)).collect();
        match on.spec.index_policy {
            DeviceIndexPolicy::Exact => possible
                .into_iter()
                .zip(on.spec.index..)
                .map(|(is_possible, index)| is_possible.map(|()| index))
                .collect(),
            DeviceIndexPolicy::HighestFree => {
                let here = subnets.iter().zip(&possible).filter(|(_, is_possible)| is_possible.is_ok());
                let here: Vec<&ObservedSubnet> = here.map(|(subnet, _)| *subnet).collect();
                let mut chosen = self.highest_free(on, &here).into_iter();
                let index =
                    |is_possible: Result<(), _>| is_possible.map_or_else(|why| Some(Err(why)), |()| chosen.next());
                possible.into_iter().filter_map(index).collect()
            }
        }
    }
}

/// Refuses a subnet in another VPC than the node's. EC2 would create an ENI there and never attach it. The VPC of an instance
/// never changes, so an old lookup is sufficient.
fn is_of_the_nodes_vpc(interfaces: &InstanceInterfaces, subnet: &ObservedSubnet) -> Result<(), UnassignedReason> {
    match &interfaces.vpc {
        Some(vpc) if subnet.vpc != *vpc => {
            let subnet = (subnet.id.clone(), subnet.vpc.clone());
            Err(UnassignedReason::SubnetInOtherVpc { subnet, vpc: vpc.to_string() })
        }
        Some(_) | None => Ok(()),
    }
}

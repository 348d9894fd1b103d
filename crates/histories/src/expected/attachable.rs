//! Of which subnets a node can have ENIs, by the node's zone, Outpost and VPC.

use crate::checker::model::ModelNode;
use crate::environment::zone;
use crate::script::SubnetPlace;

/// Whether an ENI of the subnet can be attached to the node by zone and Outpost. EC2 attaches an ENI of an Outpost's subnet only on that
/// Outpost, and an ENI of the Region only in the Region.
pub(super) fn is_near(node: &ModelNode, place: &SubnetPlace) -> bool {
    zone(&place.zone) == node.zone && place.placement.is_on_outpost_of(node.placement)
}

/// Whether the subnet is in the VPC of the node's instance.
pub(super) fn is_in_vpc(node: &ModelNode, place: &SubnetPlace) -> bool {
    place.placement.is_in_vpc_of(node.placement)
}

//! The Create request that describes an ENI which exists: what the ENIAttachment that adopts the ENI has in its spec.

use super::input::Input;
use crate::nodeeni::NodeEni;
use crate::observed::{ObservedAttachment, ObservedEni};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::SubnetId;

/// The request that describes an ENI as it is now. Differences to the spec are then repaired in place, or the ENI is replaced in
/// its turn of the rollout.
pub(super) fn request_of(
    input: &Input<'_>,
    nodeeni: &NodeEni,
    (eni, subnet, at): (&ObservedEni, &SubnetId, &ObservedAttachment),
) -> EniRequest {
    let spec = nodeeni.spec.as_ref().ok();
    let cidr = input.catalog.subnets.get(subnet).map(|observed_subnet| observed_subnet.cidr.clone());
    EniRequest {
        subnet_id: subnet.to_string(),
        subnet_cidr: cidr,
        security_group_ids: eni.groups.iter().map(ToString::to_string).collect(),
        device_index: at.index,
        network_card_index: at.card,
        description: eni.description.chars().take(255).collect(),
        tags: spec.map(|spec| spec.tags.clone()).unwrap_or_default(),
        ipv4_prefix_count: None,
        ipv6_address_count: None,
        ipv6_prefix_count: None,
        private_ip_count: None,
        connection_tracking: None,
    }
}

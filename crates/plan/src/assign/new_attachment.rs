//! Builds the spec of an ENIAttachment that is to be created. Its name follows from the NodeENI, the instance and the slot, so
//! the same slot always gives the same name.

use crate::nodeeni::NodeEni;
use crate::observed::{ObservedEni, ObservedNode};
use multi_eni_api::ids::InstanceId;
use multi_eni_api::names::attachment_name;
use multi_eni_api::{EniAttachmentSpec, EniRequest};

/// An ENIAttachment to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAttachment {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: EniAttachmentSpec,
    /// The ENI that it adopts, as observed; None if a new ENI is created.
    pub adopts: Option<Box<ObservedEni>>,
}

impl NewAttachment {
    /// The ENIAttachment for the slot in `request`. `adopts`: the ENI that is in the slot already.
    pub(super) fn new(
        node: &ObservedNode,
        instance: &InstanceId,
        nodeeni: &NodeEni,
        request: EniRequest,
        adopts: Option<&ObservedEni>,
    ) -> Self {
        let (card, index) = (request.network_card_index, request.device_index);
        Self {
            name: attachment_name(&nodeeni.name, &nodeeni.uid, instance.as_str(), card, index),
            adopts: adopts.cloned().map(Box::new),
            spec: EniAttachmentSpec {
                node_name: node.name.clone(),
                node_uid: node.uid.clone(),
                instance_id: instance.to_string(),
                node_eni_name: nodeeni.name.clone(),
                node_eni_uid: nodeeni.uid.clone(),
                request,
                recovered: false,
                adopted_eni_id: adopts.map(|eni| eni.id.to_string()),
                node_settings: nodeeni.spec.as_ref().map(|spec| spec.node_settings.clone()).unwrap_or_default(),
                deselected_since: None,
            },
        }
    }
}

/// Whether two requests describe the same ENI. All other fields can be changed in place.
pub(super) fn same(a: &EniRequest, b: &EniRequest) -> bool {
    a.subnet_id == b.subnet_id
        && a.device_index == b.device_index
        && a.network_card_index == b.network_card_index
        && a.ipv4_prefix_count == b.ipv4_prefix_count
        && a.ipv6_address_count == b.ipv6_address_count
        && a.ipv6_prefix_count == b.ipv6_prefix_count
        && a.private_ip_count == b.private_ip_count
}

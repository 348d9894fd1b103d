//! A foreign ENI on an instance: what decisions read of an ENI that is neither of this cluster nor left by upstream's controller. The
//! VPC CNI has several of them on each node, so the cache of EC2 keeps them in this form. Nothing is decided here.

use super::eni::{AttachmentState, ObservedAttachment, ObservedEni};
use crate::string_map::StringMap;
use compact_str::CompactString;
use jiff::Timestamp;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::TAG_VPC_CNI_INSTANCE;

/// A foreign ENI. It blocks a slot and counts toward the limits of the instance type, and a condition can name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    id: EniId,
    description: Box<str>,
    slot: Option<Slot>,
    is_of_vpc_cni: bool,
}

/// Where the ENI is on its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    card: i32,
    index: i32,
    state: AttachmentState,
}

impl Neighbour {
    /// What decisions read of this ENI, which must be foreign.
    pub fn of(seen: &ObservedEni) -> Self {
        let slot = |at: &ObservedAttachment| Slot { card: at.card, index: at.index, state: at.state };
        Self {
            id: seen.id.clone(),
            description: seen.description.as_str().into(),
            slot: seen.attachment.as_ref().map(slot),
            is_of_vpc_cni: seen.tags.contains_key(TAG_VPC_CNI_INSTANCE),
        }
    }

    /// Its ID.
    pub fn id(&self) -> &EniId {
        &self.id
    }

    /// The ENI as the lookup of this instance, which began at `as_of`, showed it. What decisions do not read of a foreign ENI is
    /// empty.
    pub fn observed(&self, instance: &InstanceId, as_of: Timestamp) -> ObservedEni {
        let attachment = |slot: Slot| ObservedAttachment {
            id: String::new(),
            instance: Some(instance.clone()),
            card: slot.card,
            index: slot.index,
            state: slot.state,
            since: as_of,
            delete_on_termination: false,
        };
        let vpc_cni = self.is_of_vpc_cni.then_some((TAG_VPC_CNI_INSTANCE, instance.as_str()));
        ObservedEni {
            id: self.id.clone(),
            subnet: None,
            vpc: CompactString::default(),
            zone: CompactString::default(),
            owner: CompactString::default(),
            operator: None,
            mac: CompactString::default(),
            private_ips: Vec::new(),
            ipv4_prefixes: Vec::new(),
            ipv6: Default::default(),
            groups: Vec::new(),
            description: self.description.to_string(),
            source_dest_check: true,
            connection_tracking: ConnectionTracking::default(),
            tags: vpc_cni.into_iter().collect::<StringMap>(),
            attachment: self.slot.map(attachment),
            in_use_since: None,
            shown_at: as_of,
            last_call: None,
        }
    }
}

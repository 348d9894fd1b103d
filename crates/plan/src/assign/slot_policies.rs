//! How the NodeENIs of a conflict in a slot choose their device indexes, and what a user can do about the conflict.

use multi_eni_api::DeviceIndexPolicy;

/// How two NodeENIs that conflict in a slot choose their device indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SlotPolicies {
    /// Of the NodeENI that gets no ENI.
    pub own: DeviceIndexPolicy,
    /// Of the NodeENI that holds the slot.
    pub holder: DeviceIndexPolicy,
}

impl SlotPolicies {
    /// What the user can do. `deviceIndex` of a NodeENI with `highestFree` has no effect.
    pub(super) fn advice(self, holder: &str) -> String {
        match (self.own, self.holder) {
            (DeviceIndexPolicy::Exact, DeviceIndexPolicy::Exact) => {
                "give one of the two NodeENIs another deviceIndex".to_owned()
            }
            (DeviceIndexPolicy::Exact, DeviceIndexPolicy::HighestFree) => format!(
                "the controller chose it for {holder} (deviceIndexPolicy highestFree): give this NodeENI another deviceIndex, or \
                 delete the ENIAttachment of {holder} on the node, which then gets another index"
            ),
            (DeviceIndexPolicy::HighestFree, DeviceIndexPolicy::Exact) => {
                format!(
                    "the controller chose it for this NodeENI (deviceIndexPolicy highestFree): give {holder} another deviceIndex"
                )
            }
            (DeviceIndexPolicy::HighestFree, DeviceIndexPolicy::HighestFree) => format!(
                "the controller chose it for both (deviceIndexPolicy highestFree): delete the ENIAttachment of {holder} on the \
                 node, which then gets another index"
            ),
        }
    }
}

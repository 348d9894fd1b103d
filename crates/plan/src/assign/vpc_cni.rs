//! Whether the AWS VPC CNI would take the device index of a new ENI next. It takes the lowest free index of network card 0. The
//! answer is a warning for users; it decides nothing.

use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use crate::nodeeni::EniSpec;
use multi_eni_api::DeviceIndexPolicy;
use multi_eni_api::names::TAG_VPC_CNI_INSTANCE;
use std::collections::BTreeSet;

impl NodePlanner<'_> {
    /// Whether the last lookup shows an interface of the VPC CNI on the instance, and each lower index of card 0 has an interface,
    /// so that the index is the one that the VPC CNI takes next.
    pub(super) fn is_next_of_vpc_cni(&self, spec: &EniSpec, new: &NewAttachment) -> bool {
        let request = &new.spec.request;
        if spec.index_policy != DeviceIndexPolicy::Exact || request.network_card_index != 0 {
            return false;
        }
        let Some(interfaces) = self.input.instance else { return false };
        if !interfaces.enis.iter().any(|eni| eni.tags.get(TAG_VPC_CNI_INSTANCE).is_some()) {
            return false;
        }
        let shown = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref()).map(|at| (at.card, at.index));
        let stored = self.here.iter().map(|attachment| attachment.slot());
        let planned = self.plan.slots.iter().flat_map(|(_, slots)| slots).copied();
        let slots: BTreeSet<(i32, i32)> = shown.chain(stored).chain(planned).collect();
        (1..request.device_index).all(|index| slots.contains(&(0, index)))
    }
}

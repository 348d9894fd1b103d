//! Taking over what upstream's controller left: ENIs with its tags, attached to the instances of this cluster's own Nodes.
//!
//! Each becomes an ENIAttachment for the slot in which it is. From then on it is as any other: what is wanted stays, what is
//! not goes.

use super::input::Input;
use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::observed::{
    AttachmentState, InstanceInterfaces, ObservedAttachment, ObservedEni, ObservedNode, UNKNOWN_INDEX,
};
use jiff::SignedDuration;
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{InstanceId, SubnetId};

/// How old a look may be that does not show what upstream's status lists. It is as old as its first page: with three pages of 8 s
/// at most each it still counts when it arrives.
pub(super) const LOOKUP_VALID: SignedDuration = SignedDuration::from_secs(25);

impl<'a> NodePlanner<'a> {
    /// What is there for each NodeENI and has no ENIAttachment gets one. What must be looked at first is asked for.
    pub(super) fn take_over(&mut self, node: &ObservedNode) {
        let input = self.input;
        let Ok(instance) = &node.instance else { return };
        // Without a finalizer it is about to be gone, or about to get one. One that is being deleted may be let go at any moment,
        // but for what upstream's status lists.
        let may_take =
            |nodeeni: &&&NodeEni| nodeeni.guarded && (!nodeeni.deleting || nodeeni.may_have_upstreams_on(node));
        for nodeeni in self.nodeenis.iter().filter(may_take) {
            let interfaces = input.instance.filter(|interfaces| counts(&input, nodeeni, instance, interfaces));
            let Some(interfaces) = interfaces else {
                if nodeeni.may_have_upstreams_on(node) {
                    self.await_lookup(instance, "the ENIs that upstream's controller left");
                    self.plan.adopting.insert(nodeeni.uid.clone());
                }
                continue;
            };
            let listed = |eni: &ObservedEni| nodeeni.upstream.iter().any(|entry| entry.eni == eni.id);
            let mine = || self.here.iter().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid);
            let mut left: Vec<(&ObservedEni, &ObservedAttachment)> = interfaces
                .enis
                .iter()
                .filter(|eni| eni.upstreams(input.cluster) == Some(nodeeni.name.as_str()))
                .filter_map(|eni| Some((eni, eni.attachment.as_ref()?)))
                .filter(|(_, at)| at.state != AttachmentState::Detaching && at.index != UNKNOWN_INDEX)
                .filter(|(eni, _)| !nodeeni.deleting || listed(eni))
                // Somebody moved it self.here by hand: it is not taken from the one that has it.
                .filter(|(eni, _)| !(input.is_held)(eni))
                .collect();
            // Of several in one subnet the one that its status names is the one; the others it has lost sight of: not touched.
            left.sort_by_key(|(eni, at)| (!listed(eni), at.card, at.index));
            let mut taken: Vec<&SubnetId> = Vec::new();
            for (eni, at) in left {
                // Without its subnet it cannot be told which of the NodeENI's it is.
                let Some(subnet) = &eni.subnet else { continue };
                let known = mine().any(|attachment| attachment.request.subnet_id == subnet.as_str());
                // An ENIAttachment that wants this very slot has to give it up first.
                let attachment = self.here.iter().any(|attachment| attachment.slot() == (at.card, at.index));
                if known || attachment || taken.contains(&subnet) {
                    continue;
                }
                taken.push(subnet);
                self.plan.adopting.insert(nodeeni.uid.clone());
                self.plan.create.push(adopted(node, instance, nodeeni, (eni, subnet, at), &input));
            }
        }
    }
}

/// Whether a look may be gone by: what it shows may have gone since; and if it does not show what upstream's status lists
/// there, it may be older than that list.
fn counts(input: &Input<'_>, nodeeni: &NodeEni, instance: &InstanceId, interfaces: &InstanceInterfaces) -> bool {
    if interfaces.vpc.is_none() {
        return false;
    }
    let age = input.now.duration_since(interfaces.as_of);
    let mut listed = nodeeni.upstream.iter().filter(|entry| entry.instance == *instance);
    let shows_all = listed.all(|entry| interfaces.enis.iter().any(|eni| eni.id == entry.eni));
    age <= if shows_all { input.settings.instance_lookup_valid } else { LOOKUP_VALID }
}

fn adopted(
    node: &ObservedNode,
    instance: &InstanceId,
    nodeeni: &NodeEni,
    (eni, subnet, at): (&ObservedEni, &SubnetId, &ObservedAttachment),
    input: &Input<'_>,
) -> NewAttachment {
    NewAttachment::new(node, instance, nodeeni, request_of(input, nodeeni, (eni, subnet, at)), Some(eni))
}

/// The request that describes an ENI as it is. What can be changed in place is; for the rest it is replaced, in its turn.
pub(super) fn request_of(
    input: &Input<'_>,
    nodeeni: &NodeEni,
    (eni, subnet, at): (&ObservedEni, &SubnetId, &ObservedAttachment),
) -> EniRequest {
    let spec = nodeeni.spec.as_ref().ok();
    let cidr = input.catalog.subnets.get(subnet).map(|facts| facts.cidr.clone());
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
        private_ip_count: None,
    }
}

/// The ENIAttachment that holds what was taken over in this subnet: it keeps its slot.
pub(super) fn pinned<'a>(mine: &[&'a Attachment], subnet: &SubnetId) -> Option<&'a Attachment> {
    let here = |attachment: &&&Attachment| {
        attachment.adopted.is_some()
            && !attachment.recovered
            && attachment.deleting.is_none()
            && !attachment.lost()
            && attachment.request.subnet_id == subnet.as_str()
    };
    mine.iter().find(here).copied()
}

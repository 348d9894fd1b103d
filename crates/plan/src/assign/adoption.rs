//! Decides which ENIs of upstream's controller are adopted: ENIs with its tags that are attached to the instances of this
//! cluster's Nodes. Each of these gets an ENIAttachment for the slot in which the ENI is. From then on the ENIAttachment is like
//! any other: it stays if the spec describes it, and is deleted if not. An ENI for whose place the NodeENI has another ENI already
//! is left untouched.
//!
//! This file makes no request. It asks for a lookup of the instance if the last one is too old.

use super::existing_eni_request::request_of;
use super::input::Input;
use super::new_attachment::NewAttachment;
use super::planner::NodePlanner;
use super::recover;
use crate::attachment::Attachment;
use crate::ec2_terms::SubnetTerm;
use crate::nodeeni::NodeEni;
use crate::observed::{
    AttachmentState, InstanceInterfaces, ObservedAttachment, ObservedEni, ObservedNode, UNKNOWN_INDEX,
};
use crate::selected_subnets::Selection;
use jiff::SignedDuration;
use multi_eni_api::ids::{InstanceId, SubnetId};

/// The greatest age of a lookup that does not show an ENI in upstream's status. The age counts from the first page of the
/// Describe. A Describe of three pages, at most 8 s each, is still valid when its last page arrives.
pub(super) const LOOKUP_VALID: SignedDuration = SignedDuration::from_secs(25);

impl<'a> NodePlanner<'a> {
    /// Creates an ENIAttachment for each ENI of upstream that has none, or asks for the lookup that is missing.
    pub(super) fn take_over(&mut self, node: &ObservedNode) {
        let input = self.input;
        let Ok(instance) = &node.instance else { return };
        // A NodeENI without our finalizer is about to be gone or about to get the finalizer. A NodeENI that is being deleted may
        // lose its finalizer at any moment, unless upstream's status still lists ENIs.
        let may_take =
            |nodeeni: &&&NodeEni| nodeeni.has_finalizer && (!nodeeni.deleting || nodeeni.may_have_upstreams_on(node));
        for nodeeni in self.nodeenis.iter().filter(may_take) {
            let interfaces = input.instance.filter(|interfaces| counts(&input, nodeeni, instance, interfaces));
            let Some(interfaces) = interfaces else {
                if nodeeni.may_have_upstreams_on(node) {
                    self.await_lookup(instance, "the EC2 lookup of the ENIs of upstream's controller");
                    self.plan.adopting.insert(nodeeni.uid.clone());
                }
                continue;
            };
            let listed = |eni: &ObservedEni| nodeeni.upstream.iter().any(|entry| entry.eni == eni.id);
            let mine = self.here.iter().filter(|attachment| attachment.nodeeni_uid == nodeeni.uid);
            let mut left: Vec<(&ObservedEni, &ObservedAttachment)> = interfaces
                .enis
                .iter()
                .filter(|eni| eni.upstreams(input.cluster) == Some(nodeeni.name.as_str()))
                .filter_map(|eni| Some((eni, eni.attachment.as_ref()?)))
                .filter(|(_, at)| at.state != AttachmentState::Detaching && at.index != UNKNOWN_INDEX)
                .filter(|(eni, _)| !nodeeni.deleting || listed(eni))
                // The ENI was moved here by hand. The ENIAttachment that has the ENI keeps it.
                .filter(|(eni, _)| !(input.is_held)(eni))
                .collect();
            if left.is_empty() {
                continue;
            }
            // Of several ENIs for one place, adopt the one that upstream's status lists. Upstream no longer knows the others:
            // leave them untouched. An ENI that was adopted before, and whose ENIAttachment is lost, comes before them.
            let places = Places { input, nodeeni };
            let is_new = |eni: &ObservedEni| !eni.is_of(input.cluster);
            left.sort_by_key(|(eni, at)| (!listed(eni), is_new(eni), places.is_undescribed(eni), at.card, at.index));
            let mine: Vec<SubnetId> = mine.filter_map(|own| SubnetId::parse(&own.request.subnet_id).ok()).collect();
            let lost = recover::lost_of(&input, node, nodeeni, self.nodeenis).filter_map(|eni| eni.subnet.as_ref());
            let mut taken: Vec<&SubnetId> = mine.iter().chain(lost).collect();
            for (eni, at) in left {
                // Without the subnet it is not clear to which subnet of the NodeENI the ENI belongs.
                let Some(subnet) = &eni.subnet else { continue };
                // Nothing but the list names a listed ENI. If the spec asks for fewer ENIs, it is adopted and then deleted.
                let is_served =
                    |holder: &&SubnetId| *holder == subnet || !listed(eni) && places.has_the_only_place(holder);
                let is_served = taken.iter().any(is_served);
                // An ENIAttachment that asks for this slot must be deleted first.
                let attachment = self.here.iter().any(|attachment| attachment.slot() == (at.card, at.index));
                if is_served || attachment {
                    continue;
                }
                taken.push(subnet);
                self.plan.adopting.insert(nodeeni.uid.clone());
                self.plan.create.push(adopted(node, instance, nodeeni, (eni, subnet, at), &input));
            }
        }
    }
}

/// The places of a NodeENI on a Node: with a list one for each subnet, and with terms one for all subnets that they select.
struct Places<'p> {
    input: Input<'p>,
    nodeeni: &'p NodeEni,
}

impl Places<'_> {
    /// Whether the terms do not select the subnet, for certain.
    fn is_unselected(&self, terms: &[SubnetTerm], subnet: &SubnetId) -> bool {
        let edited = self.input.term_edits.get(&self.nodeeni.uid).copied();
        self.input.catalog.selection(terms, subnet, edited) == Selection::NotSelected
    }

    /// Whether the NodeENI has terms, and they do not select the subnet of this ENI.
    fn is_undescribed(&self, eni: &ObservedEni) -> bool {
        self.terms().is_some_and(|terms| eni.subnet.as_ref().is_some_and(|subnet| self.is_unselected(terms, subnet)))
    }

    /// Whether an ENI in this subnet has the only place of a NodeENI with terms.
    fn has_the_only_place(&self, subnet: &SubnetId) -> bool {
        self.terms().is_some_and(|terms| !self.is_unselected(terms, subnet))
    }

    fn terms(&self) -> Option<&[SubnetTerm]> {
        let spec = self.nodeeni.spec.as_ref().ok()?;
        Some(spec.subnet_terms.as_slice()).filter(|terms| !terms.is_empty())
    }
}

/// Whether the lookup is recent enough to decide by. ENIs that it shows may have gone since. If it does not show all ENIs that
/// upstream's status lists, it may be older than that list, and the limit is [`LOOKUP_VALID`].
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

/// The ENIAttachment whose ENI was adopted from upstream in this subnet. It keeps its slot.
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

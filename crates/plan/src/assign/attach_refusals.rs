//! Records that EC2 refused to attach an ENI with an error that lasts. Such an ENI is deleted after a while, because it uses an
//! address and counts toward the quota. No replacement is created until a lookup shows a change on the instance, the request or
//! the instance type changes, or six hours have passed.

use super::unassigned::UnassignedReason;
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::gates::instance_type::is_of_a_type;
use crate::observed::{InstanceInterfaces, ObservedNode};
use crate::shared::Shared;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{EniId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// The refusals, by name of the ENIAttachment. A new process starts without them, and may create each of these ENIs once more.
pub type AttachRefusals = BTreeMap<String, AttachRefusal>;

/// An ENI is created again after this time, because a lookup of interfaces does not show every cause. For example, volumes count
/// toward the same limit on Nitro instances (kubernetes-sigs/aws-ebs-csi-driver#1163).
const TRIED_AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// One refused Attach, and what was on the instance then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRefusal {
    /// The Node's name.
    pub node: String,
    nodeeni_uid: String,
    request: Shared<EniRequest>,
    instance: Option<InstanceId>,
    kind: Option<String>,
    enis: BTreeSet<EniId>,
    words: String,
    /// When the ENIAttachment was deleted.
    at: Timestamp,
}

impl AttachRefusal {
    /// The record of an ENIAttachment that is deleted because EC2 refused to attach its ENI. `at_refusal` has the ENIs that were
    /// on the instance when EC2 refused, if a lookup has shown them; otherwise the record takes the ENIs of `interfaces`.
    pub fn of(
        attachment: &Attachment,
        node: Option<&ObservedNode>,
        interfaces: Option<&InstanceInterfaces>,
        at_refusal: &InstanceAtRefusal,
        now: Timestamp,
    ) -> Self {
        let error = attachment.status.last_error.as_ref();
        Self {
            node: attachment.node.clone(),
            nodeeni_uid: attachment.nodeeni_uid.clone(),
            request: attachment.request.clone(),
            instance: attachment.instance.clone(),
            kind: node.and_then(|node| node.instance_type.clone()),
            enis: at_refusal.enis.clone().unwrap_or_else(|| enis(interfaces)),
            words: error.map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default(),
            at: now,
        }
    }

    /// Whether EC2 refused because another ENI occupied the slot, and the first lookup after the refusal showed an ENI there or
    /// has not ended yet. Lookups show when that slot is free, so the refusal need not be recorded. If that lookup showed the
    /// slot free, the refusal is recorded like any other.
    pub fn is_of_its_slot(attachment: &Attachment, at_refusal: Option<&InstanceAtRefusal>) -> bool {
        let is_seen =
            at_refusal.and_then(|lookup| lookup.slots.as_ref()).is_none_or(|slots| slots.contains(&attachment.slot()));
        is_seen
            && attachment.status.last_error.as_ref().is_some_and(|error| {
                classify(Call::Attach, &CallError::recorded(&error.code, &error.message)) == Class::SlotTaken
            })
    }

    /// Whether EC2 called the slot occupied although a lookup showed it free, and the ENIs of the instance are still the same.
    /// EC2 then hides what is in the slot, so another index must be chosen.
    pub(super) fn hides_an_occupant(&self, interfaces: &InstanceInterfaces, now: Timestamp) -> bool {
        self.is_young(now) && self.enis == enis(Some(interfaces)) && self.is_slot_taken()
    }

    fn is_young(&self, now: Timestamp) -> bool {
        self.at.saturating_add(TRIED_AGAIN).is_ok_and(|end| now < end)
    }

    /// Whether EC2 refused because of the slot.
    fn is_slot_taken(&self) -> bool {
        let (code, message) = self.words.split_once(": ").unwrap_or((&self.words, ""));
        classify(Call::Attach, &CallError::recorded(code, message)) == Class::SlotTaken
    }

    fn is_of_a_type(&self) -> bool {
        let (code, message) = self.words.split_once(": ").unwrap_or((&self.words, ""));
        is_of_a_type(code, message)
    }

    /// Whether the instance, its type and its ENIs are the same as when EC2 refused, and the refusal is younger than six hours.
    fn applies(&self, node: &ObservedNode, interfaces: &InstanceInterfaces, now: Timestamp) -> bool {
        self.is_young(now)
            && self.instance.as_ref() == node.instance.as_ref().ok()
            && self.kind == node.instance_type
            && self.enis == enis(Some(interfaces))
    }

    /// The reason for no ENI, if the refusal still applies: the request, the instance, its type and its ENIs are the same, and
    /// the refusal is younger than six hours.
    pub(super) fn stands(
        &self,
        request: &EniRequest,
        node: &ObservedNode,
        interfaces: &InstanceInterfaces,
        now: Timestamp,
    ) -> Option<UnassignedReason> {
        let same = *self.request == *request && self.applies(node, interfaces, now);
        same.then(|| UnassignedReason::AttachRefused {
            words: self.words.clone(),
            lacks_type: self.kind.is_none() && self.is_of_a_type(),
        })
    }
}

/// The subnet of the last ENI of a NodeENI that EC2 refused to attach on this Node and network card, if the refusal still applies.
/// `index`: the device index that the spec asks for. None: any index may be chosen, so the record has the index that was chosen
/// then, and a refusal because of the slot says nothing about the next index.
pub(super) fn refused_subnet<'r>(
    refusals: &'r AttachRefusals,
    (node, nodeeni_uid): (&ObservedNode, &str),
    (card, index): (i32, Option<i32>),
    interfaces: &InstanceInterfaces,
    now: Timestamp,
) -> Option<&'r str> {
    let is_at = |refused: &AttachRefusal| match index {
        Some(index) => refused.request.device_index == index,
        None => !refused.is_slot_taken(),
    };
    let counts = |refused: &&AttachRefusal| {
        refused.nodeeni_uid == nodeeni_uid
            && refused.request.network_card_index == card
            && is_at(refused)
            && refused.applies(node, interfaces, now)
    };
    refusals.values().filter(counts).max_by_key(|refused| refused.at).map(|refused| refused.request.subnet_id.as_str())
}

/// The ENIs on the instance when EC2 refused an Attach, by the first lookup that began after the refusal. The ENIAttachment is
/// deleted only minutes later, and the instance may have changed by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceAtRefusal {
    at: Timestamp,
    enis: Option<BTreeSet<EniId>>,
    /// The occupied slots: network card and device index.
    slots: Option<BTreeSet<(i32, i32)>>,
}

impl InstanceAtRefusal {
    /// The record of an Attach that was refused at `at`, if the error is one that lasts. The caller must then look the instance
    /// up. None for other errors.
    pub fn after(error: &CallError, at: Timestamp) -> Option<Self> {
        (lasts(error)).then_some(Self { at, enis: None, slots: None })
    }

    /// Records a lookup of the instance, if it is the first that began after the refusal.
    pub fn take(&mut self, interfaces: &InstanceInterfaces) {
        if self.enis.is_none() && interfaces.as_of >= self.at {
            self.enis = Some(enis(Some(interfaces)));
            let attached = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref());
            self.slots = Some(attached.map(|at| (at.card, at.index)).collect());
        }
    }
}

/// Whether EC2 will answer the next Attach with the same error.
pub(super) fn lasts(error: &CallError) -> bool {
    match classify(Call::Attach, error) {
        Class::SlotTaken | Class::Blocked | Class::Permanent | Class::Limit | Class::SubnetFull => true,
        Class::Retry | Class::Throttled | Class::Unknown | Class::AlreadySo | Class::Wait | Class::EniNotFound => false,
        Class::InstanceNotFound | Class::InstanceState | Class::TokenMismatch | Class::ReferenceNotFound => false,
        Class::Credentials | Class::Unauthorized => false,
    }
}

fn enis(interfaces: Option<&InstanceInterfaces>) -> BTreeSet<EniId> {
    interfaces.into_iter().flat_map(|interfaces| &interfaces.enis).map(|eni| eni.id.clone()).collect()
}

//! An ENI that EC2 refuses to attach for good: it goes after a while, since it holds an address and a place of the quota, and
//! no other one is made before a look shows that what refused it has changed.

use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError, Class, classify};
use crate::observed::{InstanceInterfaces, ObservedNode};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{EniId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// What EC2 refused to attach, by name of the ENIAttachment. A new process knows none: it may make each once more.
pub type AttachRefusals = BTreeMap<String, AttachRefused>;

/// After so long it is tried once more: what a look at interfaces cannot show may have changed. Volumes, for one, count for the same
/// limit on Nitro instances (kubernetes-sigs/aws-ebs-csi-driver#1163).
const TRIED_AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// One refusal, and what stood when it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRefused {
    /// The Node.
    pub node: String,
    request: EniRequest,
    instance: Option<InstanceId>,
    kind: Option<String>,
    enis: BTreeSet<EniId>,
    words: String,
    /// When its ENI was given up.
    at: Timestamp,
}

impl AttachRefused {
    /// What is remembered of an ENI that goes because it cannot be attached.
    /// `at_refusal`: what was on the instance when EC2 refused it, if a look has shown it; else what is there now.
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
            request: attachment.request.clone(),
            instance: attachment.instance.clone(),
            kind: node.and_then(|node| node.instance_type.clone()),
            enis: at_refusal.enis.clone().unwrap_or_else(|| enis(interfaces)),
            words: error.map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default(),
            at: now,
        }
    }

    /// The slot was somebody else's, and a look showed him, or none is in: a look shows when it is free. What no look shows in spite of
    /// that is remembered like any other refusal.
    pub fn is_of_its_slot(attachment: &Attachment, at_refusal: Option<&InstanceAtRefusal>) -> bool {
        let is_seen =
            at_refusal.and_then(|lookup| lookup.slots.as_ref()).is_none_or(|slots| slots.contains(&attachment.slot()));
        is_seen
            && attachment.status.last_error.as_ref().is_some_and(|error| {
                classify(Call::Attach, &CallError::recorded(&error.code, &error.message)) == Class::SlotTaken
            })
    }

    /// EC2's words, if nothing has changed since, and not for too long.
    pub(super) fn stands(
        &self,
        request: &EniRequest,
        node: &ObservedNode,
        interfaces: &InstanceInterfaces,
        now: Timestamp,
    ) -> Option<&str> {
        let is_young = self.at.saturating_add(TRIED_AGAIN).is_ok_and(|end| now < end);
        let same = is_young
            && self.request == *request
            && self.instance.as_ref() == node.instance.as_ref().ok()
            && self.kind == node.instance_type
            && self.enis == enis(Some(interfaces));
        same.then_some(self.words.as_str())
    }
}

/// What was on the instance when EC2 refused an Attach: by the first look that began after the refusal. What is there when the ENI is
/// given up, minutes later, may be something else already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceAtRefusal {
    at: Timestamp,
    enis: Option<BTreeSet<EniId>>,
    /// Slots that were taken.
    slots: Option<BTreeSet<(i32, i32)>>,
}

impl InstanceAtRefusal {
    /// Of an Attach that was refused at `at`, if that is an answer that lasts; its instance is to be looked at.
    pub fn after(error: &CallError, at: Timestamp) -> Option<Self> {
        (lasts(error)).then_some(Self { at, enis: None, slots: None })
    }

    /// A look at the instance.
    pub fn take(&mut self, interfaces: &InstanceInterfaces) {
        if self.enis.is_none() && interfaces.as_of >= self.at {
            self.enis = Some(enis(Some(interfaces)));
            let attached = interfaces.enis.iter().filter_map(|eni| eni.attachment.as_ref());
            self.slots = Some(attached.map(|at| (at.card, at.index)).collect());
        }
    }
}

/// An answer to Attach that will be the same next time.
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

//! An ENI that EC2 refuses to attach for good: it goes after a while, since it holds an address and a place of the quota, and
//! no other one is made before a look shows that what refused it has changed.

use super::Input;
use crate::errors::{Call, CallError, Class, classify};
use crate::facts::{EniSeen, InstanceSight, NodeFacts};
use crate::held::Held;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::{EniId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// What EC2 refused to attach, by name of the ENIAttachment. A new process knows none: it may make each once more.
pub type AttachRefusals = BTreeMap<String, AttachRefused>;

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
    /// How often in a row.
    count: u32,
    /// Until then it stands: not all that EC2 counts is shown by a look, such as volumes.
    until: Timestamp,
}

impl AttachRefused {
    /// What is remembered of an ENI that goes because it cannot be attached.
    pub fn of(held: &Held, node: Option<&NodeFacts>, sight: Option<&InstanceSight>) -> Self {
        let error = held.status.last_error.as_ref();
        Self {
            node: held.node.clone(),
            request: held.request.clone(),
            instance: held.instance.clone(),
            kind: node.and_then(|node| node.instance_type.clone()),
            enis: enis(sight),
            count: 1,
            until: Timestamp::MAX,
            words: error.map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default(),
        }
    }

    /// The slot was somebody else's: a look shows when it is free, and the occupant may have left before any look showed it.
    pub fn is_of_its_slot(held: &Held) -> bool {
        held.status.last_error.as_ref().is_some_and(|error| {
            let answer = CallError::Answered { code: error.code.clone(), message: error.message.clone() };
            classify(Call::Attach, &answer) == Class::SlotTaken
        })
    }

    /// The same, for so long: `first`, doubled with each time in a row up to 64 times.
    #[must_use]
    pub fn lasting(mut self, before: Option<&Self>, now: Timestamp, first: SignedDuration) -> Self {
        let before = before.filter(|before| before.request == self.request && before.kind == self.kind);
        self.count = before.map_or(1, |before| before.count.saturating_add(1));
        let wait = first.checked_mul(1 << (self.count - 1).min(6)).unwrap_or(first);
        self.until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self
    }

    /// EC2's words, if nothing has changed since.
    pub(super) fn stands(
        &self,
        request: &EniRequest,
        node: &NodeFacts,
        (sight, now): (&InstanceSight, Timestamp),
    ) -> Option<&str> {
        let same = now < self.until
            && self.request == *request
            && self.instance.as_ref() == node.instance.as_ref().ok()
            && self.kind == node.instance_type
            && self.enis == enis(Some(sight));
        same.then_some(self.words.as_str())
    }
}

fn enis(sight: Option<&InstanceSight>) -> BTreeSet<EniId> {
    sight.into_iter().flat_map(|sight| &sight.enis).map(|eni| eni.id.clone()).collect()
}

/// Created, and refused for longer than it is kept by an answer that lasts. What the credentials, a permission, throttling or
/// an outage is the reason for says nothing about the ENI.
pub(super) fn unattachable(input: &Input<'_>, held: &Held) -> bool {
    // A status may be behind what was done: the ENI itself tells whether it is attached after all.
    let is_attached = |eni: &EniSeen| Some(&eni.id) == held.eni().as_ref() && eni.attachment.is_some();
    input.instance.is_some_and(|sight| !sight.enis.iter().any(is_attached)) && is_refused(input, held)
}

/// Whether its last Attach was refused for so long, by its status.
pub(super) fn is_refused(input: &Input<'_>, held: &Held) -> bool {
    let error = held.status.last_error.as_ref().filter(|_| held.failed_call() == Some(Call::Attach));
    let Some(error) = error.filter(|_| held.status.attachment_id.is_none()) else { return false };
    let answer = CallError::Answered { code: error.code.clone(), message: error.message.clone() };
    let lasts = match classify(Call::Attach, &answer) {
        Class::SlotTaken | Class::Blocked | Class::Permanent | Class::Limit | Class::SubnetFull => {
            !["NoAnswer", "NotSent"].contains(&error.code.as_str())
        }
        Class::Retry | Class::Throttled | Class::Unknown | Class::AlreadySo | Class::Wait | Class::EniNotFound => false,
        Class::InstanceNotFound | Class::InstanceState | Class::TokenMismatch | Class::ReferenceNotFound => false,
        Class::Credentials | Class::Unauthorized => false,
    };
    let since = error.at.as_ref().map_or(held.created, |at| at.0.max(held.created));
    let end = since.saturating_add(input.settings.unattachable_kept).unwrap_or(Timestamp::MAX);
    lasts && end <= input.now
}

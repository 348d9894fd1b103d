//! NodeENIs and ENIAttachments as plain data, as far as a removal needs them. This file decides nothing.

use crate::store::{AttachmentEntry, NodeEniEntry};
use kube::core::DeserializeGuard;
use multi_eni_api::conditions::types;
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::{ENIAttachment, NodeENI};

/// A NodeENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeEniObject {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// The message of its condition Ready; empty if it has none.
    pub message: String,
}

/// An ENIAttachment. There is one for each ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttachmentObject {
    /// Its UID.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The name of its Node.
    pub node: String,
    /// The name of its NodeENI.
    pub nodeeni: String,
    /// The UID of its NodeENI.
    pub nodeeni_uid: String,
    /// Its ENI; None if none is known.
    pub eni: Option<String>,
    /// Its device index.
    pub index: i32,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// Whether its phase is Blocked: a person must act.
    pub blocked: bool,
    /// Whether its status is about its present generation. A status from before its deletion says nothing about the deletion.
    pub is_current: bool,
    /// Reason and message of its condition Ready; empty if it has none.
    pub message: String,
}

impl NodeEniObject {
    /// Reads a NodeENI. One that cannot be parsed is kept: its metadata is enough to delete it.
    pub fn read(object: &DeserializeGuard<NodeENI>) -> Self {
        let entry = NodeEniEntry::read(&object.0);
        let ready = entry.status.conditions.iter().find(|condition| condition.type_ == types::READY);
        Self {
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            name: entry.nodeeni.name,
            uid: entry.nodeeni.uid,
            deleting: entry.nodeeni.deleting,
        }
    }
}

impl AttachmentObject {
    /// Reads an ENIAttachment. Of one that cannot be parsed the name, the slot and the NodeENI are known.
    pub fn read(object: &DeserializeGuard<ENIAttachment>) -> Self {
        let entry = AttachmentEntry::read_guarded(&object.0);
        let attachment = &entry.attachment;
        let ready = attachment.status.conditions.iter().find(|condition| condition.type_ == types::READY);
        let said = ready.map(|ready| format!("{}: {}", ready.reason, ready.message));
        Self {
            uid: attachment.uid.clone(),
            name: attachment.name.clone(),
            node: attachment.node.clone(),
            nodeeni: attachment.nodeeni.clone(),
            nodeeni_uid: attachment.nodeeni_uid.clone(),
            eni: attachment.eni().map(|eni| eni.to_string()),
            index: attachment.slot().1,
            deleting: attachment.deleting.is_some(),
            blocked: attachment.status.phase == Phase::Blocked,
            is_current: is_current(attachment.generation, ready.and_then(|ready| ready.observed_generation)),
            message: attachment.unreadable.clone().or(said).unwrap_or_default(),
        }
    }
}

/// A deletion raises the generation. An API server or a status of an earlier version may lack one of the two.
fn is_current(generation: Option<i64>, observed: Option<i64>) -> bool {
    match (generation, observed) {
        (Some(generation), Some(observed)) => observed >= generation,
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_from_before_the_deletion_is_not_current() {
        assert!(!is_current(Some(2), Some(1)));
        assert!(is_current(Some(2), Some(2)));
        assert!(is_current(Some(2), None) && is_current(None, Some(1)), "nothing is known");
    }
}

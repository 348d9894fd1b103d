//! Requests of users for a new try, as the store finds them in its objects. They wait here until the reconciler takes them.

use super::Store;
use super::entries::{AttachmentEntry, NodeEniEntry};
use multi_eni_plan::reconcile_request::is_requested;

/// The object of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReconcileRequest {
    /// A NodeENI, and with it all its ENIAttachments.
    NodeEni {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// The ENIAttachment with this name.
    Attachment(String),
}

impl Store {
    /// The requests since the last call.
    pub fn take_reconcile_requests(&mut self) -> Vec<ReconcileRequest> {
        std::mem::take(&mut self.reconcile_requests)
    }

    /// Notes the request of a NodeENI, if its new state has one.
    pub(super) fn note_nodeeni_request(&mut self, entry: &NodeEniEntry) {
        let nodeeni = &entry.nodeeni;
        let before = self.nodeeni(&nodeeni.name).filter(|before| before.nodeeni.uid == nodeeni.uid);
        let value = before.and_then(|before| before.reconcile_at.as_deref());
        if is_requested(before.is_some(), value, entry.reconcile_at.as_deref()) {
            let (name, uid) = (nodeeni.name.clone(), nodeeni.uid.clone());
            self.reconcile_requests.push(ReconcileRequest::NodeEni { name, uid });
        }
    }

    /// Notes the request of an ENIAttachment, if its new state has one.
    pub(super) fn note_attachment_request(&mut self, entry: &AttachmentEntry) {
        let attachment = &entry.attachment;
        let before = self.attachment(&attachment.name).filter(|before| before.attachment.uid == attachment.uid);
        let value = before.and_then(|before| before.reconcile_at.as_deref());
        if is_requested(before.is_some(), value, entry.reconcile_at.as_deref()) {
            self.reconcile_requests.push(ReconcileRequest::Attachment(attachment.name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::change::{Change, Watched};
    use multi_eni_api::names::ANNOTATION_RECONCILE_AT;
    use multi_eni_api::{ENIAttachment, EniAttachmentSpec, NodeENI, NodeEniSpec};
    use std::collections::BTreeMap;

    fn annotated(value: Option<&str>) -> Option<BTreeMap<String, String>> {
        value.map(|value| BTreeMap::from([(ANNOTATION_RECONCILE_AT.to_owned(), value.to_owned())]))
    }

    fn nodeeni(uid: &str, version: &str, value: Option<&str>) -> Change {
        let mut object = NodeENI::new("a", NodeEniSpec::default());
        object.metadata.uid = Some(uid.into());
        object.metadata.resource_version = Some(version.into());
        object.metadata.annotations = annotated(value);
        Change::NodeEni(Watched::Apply(NodeEniEntry::read(&Ok(object)).into()))
    }

    fn attachment(version: &str, value: Option<&str>) -> std::sync::Arc<AttachmentEntry> {
        let mut object = ENIAttachment::new("a-1", EniAttachmentSpec::default());
        object.metadata.uid = Some("u".into());
        object.metadata.resource_version = Some(version.into());
        object.metadata.annotations = annotated(value);
        AttachmentEntry::read(&object)
    }

    fn requests(store: &mut Store, change: Change) -> usize {
        store.take(change);
        store.take_reconcile_requests().len()
    }

    #[test]
    fn a_nodeeni_asks_once_for_each_new_value() {
        let mut store = Store::default();
        assert_eq!(requests(&mut store, nodeeni("u", "1", Some("x"))), 0, "it was there before this process");
        assert_eq!(requests(&mut store, nodeeni("u", "2", Some("y"))), 1);
        assert_eq!(requests(&mut store, nodeeni("u", "3", Some("y"))), 0, "something else changed");
        assert_eq!(requests(&mut store, nodeeni("u", "2", Some("x"))), 0, "an old state");
        assert_eq!(requests(&mut store, nodeeni("u", "4", None)), 0);
        assert_eq!(requests(&mut store, nodeeni("u", "5", Some("y"))), 1);
        assert_eq!(requests(&mut store, nodeeni("v", "6", Some("z"))), 0, "another NodeENI of that name");
    }

    /// The answer of the controller's own write may show the annotation before the watch does.
    #[test]
    fn an_answer_of_an_own_write_brings_the_request_and_the_watch_does_not_repeat_it() {
        let mut store = Store::default();
        assert_eq!(requests(&mut store, Change::Attachment(Watched::Apply(attachment("1", None)))), 0);
        store.wrote_attachment(attachment("3", Some("x")));
        assert_eq!(store.take_reconcile_requests(), [ReconcileRequest::Attachment("a-1".into())]);
        for version in ["2", "3"] {
            let late = Change::Attachment(Watched::Apply(attachment(version, Some("x"))));
            assert_eq!(requests(&mut store, late), 0, "{version}");
        }
    }
}

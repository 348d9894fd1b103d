//! The parts of their specs that the ENIAttachments of a NodeENI have in common are stored once. With thousands of nodes nearly all
//! ENIAttachments of a NodeENI have the same request.

use multi_eni_api::{EniRequest, NodeSettings};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::shared::SharedValues;
use std::collections::BTreeMap;

/// What the ENIAttachments of each NodeENI, by its UID, have in common.
#[derive(Debug, Default)]
pub(super) struct SharedSpecs {
    by_nodeeni: BTreeMap<String, (SharedValues<EniRequest>, SharedValues<NodeSettings>)>,
}

impl SharedSpecs {
    /// Stores the parts of this ENIAttachment with equal parts of others of its NodeENI.
    pub fn share(&mut self, attachment: &mut Attachment) {
        if !self.by_nodeeni.contains_key(&attachment.nodeeni_uid) {
            self.by_nodeeni.insert(attachment.nodeeni_uid.clone(), Default::default());
        }
        if let Some((requests, settings)) = self.by_nodeeni.get_mut(&attachment.nodeeni_uid) {
            requests.store(&mut attachment.request);
            settings.store(&mut attachment.node_settings);
        }
    }

    /// The NodeENI with this UID has no ENIAttachments any more.
    pub fn forget(&mut self, nodeeni_uid: &str) {
        self.by_nodeeni.remove(nodeeni_uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::{ENIAttachment, EniAttachmentSpec};

    #[test]
    fn equal_requests_of_a_nodeeni_are_stored_once() {
        let attachment = |(uid, device_index): (&str, i32)| {
            let request = EniRequest { device_index, ..EniRequest::default() };
            let spec = EniAttachmentSpec { node_eni_uid: uid.to_owned(), request, ..EniAttachmentSpec::default() };
            Attachment::read(&ENIAttachment::new("a", spec))
        };
        let mut specs = SharedSpecs::default();
        let mut all = [("u", 1), ("u", 2), ("u", 1), ("v", 1)].map(attachment);
        let before = all.clone();
        all.iter_mut().for_each(|attachment| specs.share(attachment));
        assert_eq!(all, before, "what is read stays the same");
        let [first, other_index, same, other_nodeeni] = &all;
        assert!(same.request.is_stored_with(&first.request));
        assert!(other_index.node_settings.is_stored_with(&first.node_settings));
        assert!(!other_index.request.is_stored_with(&first.request));
        assert!(!other_nodeeni.request.is_stored_with(&first.request));
        ["u", "v"].iter().for_each(|uid| specs.forget(uid));
        assert!(specs.by_nodeeni.is_empty());
    }
}

//! Which ENIs a replica may adopt, by the ENIAttachments for which it may act, and the places that adopted ENIs keep.

use super::Model;
use crate::checker::max_staleness::MAX_STALENESS;
use crate::script::Millis;
use multi_eni_api::names::{
    TAG_ATTACHMENT_UID, TAG_NODEENI, TAG_NODEENI_UID, UPSTREAM_MANAGER, UPSTREAM_TAG_MANAGED_BY, UPSTREAM_TAG_NODEENI,
};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::ObservedEni;

impl Model {
    /// The UID of the ENIAttachment that has just adopted this interface.
    pub(super) fn taken_over_for(&self, at: Millis, current: &ObservedEni) -> Option<String> {
        let uid = current.tags.get(TAG_ATTACHMENT_UID)?;
        self.acted_for(at)
            .any(|attachment| attachment.uid == uid && attachment.adopted.as_ref() == Some(&current.id))
            .then(|| uid.to_owned())
    }

    /// The ENIAttachments for which a replica may act: those that exist, and those of whose removal it may not know.
    fn acted_for(&self, at: Millis) -> impl Iterator<Item = &Attachment> {
        let torn =
            self.torn.values().filter(move |(since, _)| at <= since + MAX_STALENESS).map(|(_, attachment)| attachment);
        self.attachments.values().map(|attachment| &attachment.attachment).chain(torn)
    }

    /// Whether a replica may adopt this interface. It must carry upstream's tags, and an ENIAttachment for the tags' NodeENI and
    /// for the interface's instance must name it. This cluster's own interface may be adopted again if its ENIAttachment was
    /// lost.
    pub fn may_be_taken_over(&self, at: Millis, eni: &ObservedEni) -> bool {
        let upstream = eni.tags.get(UPSTREAM_TAG_MANAGED_BY).is_some_and(|tag| tag == UPSTREAM_MANAGER);
        let nodeeni = eni.tags.get(UPSTREAM_TAG_NODEENI);
        let on = eni.attachment.as_ref().and_then(|on| on.instance.as_ref());
        let takes = |attachment: &Attachment| {
            attachment.adopted.as_ref() == Some(&eni.id)
                && nodeeni == Some(attachment.nodeeni.as_str())
                && on.is_none_or(|instance| attachment.instance.as_ref() == Some(instance))
        };
        let named = |attachment: &Attachment| {
            let of = |key: &str| eni.tags.get(key);
            of(TAG_NODEENI_UID) == Some(attachment.nodeeni_uid.as_str())
                || of(TAG_NODEENI) == Some(attachment.nodeeni.as_str())
        };
        // This cluster's own interface, whose ENIAttachment was lost.
        let recovers = |attachment: &Attachment| {
            attachment.recovered
                && attachment.adopted.as_ref() == Some(&eni.id)
                && named(attachment)
                && on.is_none_or(|instance| attachment.instance.as_ref() == Some(instance))
        };
        self.acted_for(at).any(|attachment| upstream && takes(attachment) || recovers(attachment))
    }

    /// The place that an adopted interface of upstream keeps: network card and device index.
    pub fn pinned(&self, nodeeni_uid: &str, instance: &str, subnet: &str) -> Option<(i32, i32)> {
        let here = |attachment: &&Attachment| {
            attachment.adopted.is_some()
                && !attachment.recovered
                && attachment.deleting.is_none()
                && attachment.nodeeni_uid == nodeeni_uid
                && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
                && attachment.request.subnet_id == subnet
        };
        self.attachments.values().map(|attachment| &attachment.attachment).find(here).map(Attachment::slot)
    }
}

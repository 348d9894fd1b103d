//! An ENIAttachment, parsed to plain data, and what its spec and status say about the ENI. This file decides nothing.

use crate::ec2_errors::Call;
use crate::shared::Shared;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::{ANNOTATION_DESELECTED_SINCE, ENIATTACHMENT_FINALIZER, LABEL_NODEENI_UID};
use multi_eni_api::{ENIAttachment, EniAttachmentStatus, EniRequest, NodeSettings};
use std::collections::BTreeMap;

/// An ENIAttachment as plain data for the decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created: Timestamp,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// Since when it is being deleted.
    pub deleting: Option<Timestamp>,
    /// The object carries the controller's finalizer.
    pub has_finalizer: bool,
    /// The Node's name.
    pub node: String,
    /// The instance. None: the stored text is not an instance ID, which only another writer can cause.
    pub instance: Option<InstanceId>,
    /// The NodeENI's name.
    pub nodeeni: String,
    /// The NodeENI's UID.
    pub nodeeni_uid: String,
    /// The ENI that the ENIAttachment adopts. With `recovered` it is an ENI of this cluster, otherwise an ENI of
    /// upstream.
    pub adopted: Option<EniId>,
    /// The adopted ENI was this cluster's own, not upstream's.
    pub recovered: bool,
    /// The object carries the label and the owner that name its NodeENI.
    pub labelled: bool,
    /// The request for the ENI, fixed when the ENIAttachment is created.
    pub request: Shared<EniRequest>,
    /// Settings for the node's half.
    pub node_settings: Shared<NodeSettings>,
    /// Since when the Node no longer asks for the ENI.
    pub deselected_since: Option<Timestamp>,
    /// Why the stored object cannot be read, if so. Then only its name, UID, labels and owner are known, and no action
    /// follows from it.
    pub unreadable: Option<String>,
    /// The last reported status.
    pub status: EniAttachmentStatus,
}

impl Attachment {
    /// Reads an ENIAttachment.
    pub fn read(object: &ENIAttachment) -> Self {
        let (meta, spec) = (&object.metadata, &object.spec);
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
            generation: meta.generation,
            deleting: meta.deletion_timestamp.as_ref().map(|t| t.0),
            has_finalizer: meta.finalizers.iter().flatten().any(|f| f == ENIATTACHMENT_FINALIZER),
            node: spec.node_name.clone(),
            instance: InstanceId::parse(&spec.instance_id).ok(),
            nodeeni: spec.node_eni_name.clone(),
            nodeeni_uid: spec.node_eni_uid.clone(),
            adopted: spec.adopted_eni_id.as_deref().and_then(|id| EniId::parse(id).ok()),
            recovered: spec.recovered,
            labelled: is_labelled(object),
            request: spec.request.clone().into(),
            node_settings: spec.node_settings.clone().into(),
            deselected_since: deselected_since(object),
            unreadable: None,
            status: object.status.clone().unwrap_or_default(),
        }
    }

    /// Reads what is left of an object that cannot be read. Instance and slot come from its name, as
    /// [`attachment_name`](multi_eni_api::names::attachment_name) formats it. The UID of its NodeENI comes from the label
    /// or the owner.
    pub fn read_remains(object: &ENIAttachment, error: &str) -> Self {
        let mut attachment = Self::read(object);
        let mut parts = attachment.name.rsplitn(4, '-');
        let (index, card, digits) = (parts.next(), parts.next(), parts.next());
        attachment.instance = digits.and_then(|digits| InstanceId::parse(&format!("i-{digits}")).ok());
        attachment.request.network_card_index = card.and_then(|card| card.parse().ok()).unwrap_or_default();
        attachment.request.device_index = index.and_then(|index| index.parse().ok()).unwrap_or_default();
        let meta = &object.metadata;
        let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_NODEENI_UID));
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.kind == "NodeENI");
        attachment.nodeeni_uid = label.or(owner.map(|owner| &owner.uid)).cloned().unwrap_or_default();
        attachment.nodeeni = owner.map(|owner| owner.name.clone()).unwrap_or_default();
        attachment.unreadable = Some(error.to_owned());
        attachment
    }

    /// The ENI that the status names, as EC2 wrote its ID, or the ENI that is to be adopted.
    pub fn eni(&self) -> Option<EniId> {
        self.status.eni_id.as_deref().and_then(EniId::observed).or_else(|| self.adopted.clone())
    }

    /// Whether no ENI is known yet: the ENI is still to be created, or its ID to be learned.
    pub fn awaits_its_eni(&self) -> bool {
        self.deleting.is_none() && self.unreadable.is_none() && self.eni().is_none()
    }

    /// The slot: (network card, device index).
    pub fn slot(&self) -> (i32, i32) {
        (self.request.network_card_index, self.request.device_index)
    }

    /// Whether somebody removed the finalizer, the label or the owner, so that it must be put back. Kubernetes accepts no
    /// new finalizer on an object that is being deleted.
    pub fn is_torn(&self) -> bool {
        self.deleting.is_none() && self.unreadable.is_none() && !(self.has_finalizer && self.labelled)
    }

    /// The EC2 call of the last recorded error, if there is one.
    pub fn failed_call(&self) -> Option<Call> {
        self.status.last_error.as_ref().and_then(|error| Call::named(&error.action))
    }

    /// Whether no ENI was ever created, and the status records the failed Create, or the refused Attach of another instance of
    /// the same type.
    pub fn never_created(&self) -> bool {
        self.status.eni_id.is_none() && matches!(self.failed_call(), Some(Call::Create | Call::Attach))
    }

    /// Whether something may use the ENI, by the status: the ENI was reported attached, or was adopted in place, and is
    /// not lost.
    pub fn may_be_in_use(&self) -> bool {
        (self.adopted.is_some() || is_true(&self.status.conditions, types::ATTACHED)) && !self.lost()
    }

    /// Whether something may use the ENI, by the status or by what EC2 shows. The status may be behind.
    pub fn is_in_use(&self, shown_attached: impl FnOnce() -> bool) -> bool {
        self.may_be_in_use() || !self.lost() && shown_attached()
    }

    /// Whether the status shows that the ENI is or was attached: the condition Attached is true, or it changed after the ENI was
    /// created.
    pub fn was_attached(&self) -> bool {
        let find = |kind: &str| self.status.conditions.iter().find(|condition| condition.type_ == kind);
        let since_created = |attached: &Condition| {
            find(types::CREATED).is_some_and(|created| attached.last_transition_time.0 > created.last_transition_time.0)
        };
        find(types::ATTACHED).is_some_and(|attached| attached.status == "True" || since_created(attached))
    }

    /// Whether the status says that the ENI vanished from EC2.
    pub fn lost(&self) -> bool {
        self.status.last_error.as_ref().is_some_and(|error| error.code == ENI_LOST)
    }
}

/// ENIAttachments by the Node that they are for.
pub fn by_node<'a>(attachments: &[&'a Attachment]) -> BTreeMap<&'a str, Vec<&'a Attachment>> {
    let mut nodes: BTreeMap<&str, Vec<&Attachment>> = BTreeMap::new();
    attachments.iter().for_each(|attachment| nodes.entry(&attachment.node).or_default().push(attachment));
    nodes
}

/// The time of the annotation. An earlier version stored it in the spec.
fn deselected_since(object: &ENIAttachment) -> Option<Timestamp> {
    let annotation = object.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_DESELECTED_SINCE));
    let of_annotation = annotation.and_then(|text| text.parse().ok());
    of_annotation.or_else(|| object.spec.deselected_since.as_ref().map(|time| time.0))
}

/// Whether the object carries the label by which ENIAttachments are found, and the owner that names its NodeENI. Somebody
/// may have removed either.
fn is_labelled(object: &ENIAttachment) -> bool {
    let (meta, uid) = (&object.metadata, &object.spec.node_eni_uid);
    let label = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_NODEENI_UID));
    label == Some(uid) && meta.owner_references.iter().flatten().any(|owner| owner.uid == *uid)
}

/// Reason of the condition Attached: the ENI is in place and, as far as is known, as its spec asks.
pub const IN_PLACE: &str = "Attached";

/// The controller's code in `lastError` for a change in place that does not last.
pub(crate) const REPAIR_UNDONE: &str = "RepairUndone";
/// The controller's code in `lastError` for an ENI that EC2 no longer knows, although the controller did not delete it.
pub const ENI_LOST: &str = "ENILost";

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    /// An earlier version stored the time in the spec.
    #[test]
    fn deselected_since_is_read_from_the_annotation_and_then_from_the_spec() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut object = ENIAttachment::new("a", multi_eni_api::EniAttachmentSpec::default());
        assert_eq!(Attachment::read(&object).deselected_since, None);
        object.spec.deselected_since = Some(Time(at("2026-01-01T00:00:00Z")));
        assert_eq!(Attachment::read(&object).deselected_since, Some(at("2026-01-01T00:00:00Z")));
        let annotation = (ANNOTATION_DESELECTED_SINCE.to_owned(), "2026-02-02T00:00:00Z".to_owned());
        object.metadata.annotations = Some(BTreeMap::from([annotation]));
        assert_eq!(Attachment::read(&object).deselected_since, Some(at("2026-02-02T00:00:00Z")));
    }
}

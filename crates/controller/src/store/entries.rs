//! NodeENIs and ENIAttachments as the store keeps them: parsed, with the metadata that a write to them needs. An object that
//! cannot be parsed is kept too, with the error in place of its content.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::error_boundary::InvalidObject;
use multi_eni_api::names::ANNOTATION_RECONCILE_AT;
use multi_eni_api::{ENIAttachment, NodeENI, NodeEniStatus};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::nodeeni::{NodeEni, Unreadable};
use std::sync::Arc;

/// A NodeENI, and the metadata that a write to it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEniEntry {
    /// The NodeENI, parsed.
    pub nodeeni: NodeEni,
    /// Its status.
    pub status: NodeEniStatus,
    /// All its finalizers.
    pub finalizers: Vec<String>,
    /// Its resourceVersion.
    pub version: String,
    /// The value of the annotation with which a user asks for a new try.
    pub reconcile_at: Option<Box<str>>,
}

/// An ENIAttachment, and the metadata that a write to it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachmentEntry {
    /// The ENIAttachment, parsed.
    pub attachment: Attachment,
    /// All its finalizers.
    pub finalizers: Vec<String>,
    /// All its owners, but only if our owner reference is missing: the repair must keep the others.
    pub owners: Vec<OwnerReference>,
    /// Its resourceVersion.
    pub version: String,
    /// The value of the annotation with which a user asks for a new try.
    pub reconcile_at: Option<Box<str>>,
}

impl NodeEniEntry {
    /// Parses a NodeENI. Of one that cannot be parsed, keeps the metadata and the error.
    pub fn read(object: &Result<NodeENI, InvalidObject>) -> Self {
        match object {
            Ok(object) => Self {
                nodeeni: NodeEni::read(object),
                status: object.status.clone().unwrap_or_default(),
                finalizers: object.metadata.finalizers.clone().unwrap_or_default(),
                version: object.metadata.resource_version.clone().unwrap_or_default(),
                reconcile_at: reconcile_at(&object.metadata),
            },
            Err(invalid) => {
                let mut shell = NodeENI::new("", multi_eni_api::NodeEniSpec::default());
                shell.metadata = invalid.metadata.clone();
                let mut entry = Self::read(&Ok(shell));
                entry.nodeeni.spec = Err(Unreadable::Shape(invalid.error.clone()));
                entry
            }
        }
    }
}

impl AttachmentEntry {
    /// Parses an ENIAttachment. Of one that cannot be parsed, keeps the metadata and the error: the object still holds its slot.
    pub fn read_guarded(object: &Result<ENIAttachment, InvalidObject>) -> Arc<Self> {
        match object {
            Ok(object) => Self::read(object),
            Err(invalid) => {
                let mut shell = ENIAttachment::new("", multi_eni_api::EniAttachmentSpec::default());
                shell.metadata = invalid.metadata.clone();
                let mut entry = Self::read(&shell);
                Arc::make_mut(&mut entry).attachment = Attachment::read_remains(&shell, &invalid.error);
                tracing::error!(attachment = %entry.attachment.name, error = %invalid.error, "cannot parse ENIAttachment, leaving it as it is");
                entry
            }
        }
    }

    /// Parses an ENIAttachment. Calls for it share the entry with the store.
    pub fn read(object: &ENIAttachment) -> Arc<Self> {
        Arc::new(Self {
            owners: owners(object),
            attachment: Attachment::read(object),
            finalizers: object.metadata.finalizers.clone().unwrap_or_default(),
            version: object.metadata.resource_version.clone().unwrap_or_default(),
            reconcile_at: reconcile_at(&object.metadata),
        })
    }
}

fn reconcile_at(meta: &ObjectMeta) -> Option<Box<str>> {
    let annotations = meta.annotations.as_ref()?;
    annotations.get(ANNOTATION_RECONCILE_AT).map(|value| value.as_str().into())
}

/// The owners, only if the object must be repaired: the store keeps them for each ENIAttachment.
fn owners(object: &ENIAttachment) -> Vec<OwnerReference> {
    let owners = object.metadata.owner_references.clone().unwrap_or_default();
    if Attachment::read(object).is_torn() { owners } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::DeserializeGuard;

    #[test]
    fn an_eniattachment_that_cannot_be_parsed_is_kept() {
        let object = serde_json::json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment",
            "metadata": {
                "name": "pool-0a1b2c3d-i-0123456789abcdef0-0-2", "uid": "u", "resourceVersion": "7",
                "finalizers": ["networking.k8s.aws/eni"], "labels": { "networking.k8s.aws/nodeeni-uid": "n" },
            },
            "spec": { "nodeName": "n1", "request": { "deviceIndex": "two" } },
        });
        let guarded: DeserializeGuard<ENIAttachment> = serde_json::from_value(object).unwrap();
        let entry = AttachmentEntry::read_guarded(&guarded.0);
        let attachment = &entry.attachment;
        assert!(attachment.unreadable.is_some() && !attachment.is_torn());
        assert_eq!((attachment.slot(), attachment.nodeeni_uid.as_str(), entry.version.as_str()), ((0, 2), "n", "7"));
        assert_eq!(attachment.instance.as_ref().map(ToString::to_string).as_deref(), Some("i-0123456789abcdef0"));
    }
}

//! Writes to NodeENIs: the finalizer and the status.

use super::Writer;
use super::answer::{ObjectState, WriteAnswer, WriteError, applied, not_applied};
use super::request_bodies::{apply, precondition};
use super::send::{WriteFailure, with_timeout};
use crate::store::{AttachmentEntry, NodeEniEntry};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DeserializeGuard;
use multi_eni_api::names::{GROUP, LABEL_NODEENI_UID, NODEENI_FINALIZER, VERSION};
use multi_eni_api::{NodeENI, NodeEniStatus};
use serde_json::json;
use std::sync::Arc;

impl Writer {
    /// Removes our finalizer from a NodeENI, unless an ENIAttachment of it exists that no watch has brought yet: a Create on the
    /// API server may have taken effect after its timeout. Then the answer is that ENIAttachment.
    pub async fn release_nodeeni(&self, entry: Arc<NodeEniEntry>) -> Result<WriteAnswer, WriteError> {
        let of_it = ListParams::default().labels(&format!("{LABEL_NODEENI_UID}={}", entry.nodeeni.uid)).limit(1);
        match with_timeout(self.attachments.list(&of_it)).await {
            Ok(left) => match left.items.first() {
                Some(left) => Ok(not_applied(ObjectState::Attachment(AttachmentEntry::read(left)))),
                None => self.set_finalizer(entry, false).await,
            },
            // The CRD is missing, so there is no ENIAttachment.
            Err(WriteFailure::Other(WriteError::Refused { code: 404, .. })) => self.set_finalizer(entry, false).await,
            Err(WriteFailure::Conflict(message)) => Err(WriteError::Conflict(message)),
            Err(WriteFailure::NotFound(error) | WriteFailure::Invalid(error) | WriteFailure::Other(error)) => {
                Err(error)
            }
        }
    }

    /// Adds our finalizer to a NodeENI, or removes it.
    pub async fn set_finalizer(
        &self,
        entry: Arc<NodeEniEntry>,
        has_finalizer: bool,
    ) -> Result<WriteAnswer, WriteError> {
        let rest = entry.finalizers.iter().filter(|f| *f != NODEENI_FINALIZER).cloned();
        let finalizers: Vec<String> = rest.chain(has_finalizer.then(|| NODEENI_FINALIZER.to_owned())).collect();
        let mut metadata = precondition(&entry.nodeeni.uid, &entry.version);
        let empty = finalizers.is_empty();
        metadata["finalizers"] = json!(finalizers);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = with_timeout(self.nodeenis.patch(&entry.nodeeni.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            return Ok(applied(ObjectState::NodeEniDeleted {
                name: entry.nodeeni.name.clone(),
                uid: entry.nodeeni.uid.clone(),
            }));
        }
        self.nodeeni(entry, patched).await
    }

    /// Writes the status of one NodeENI.
    pub async fn nodeeni_status(
        &self,
        entry: Arc<NodeEniEntry>,
        status: NodeEniStatus,
    ) -> Result<WriteAnswer, WriteError> {
        // The precondition protects the status that this process has not seen: upstream's list, which our first status replaces,
        // and the record of removals, which a process with an older state would erase.
        let metadata = precondition(&entry.nodeeni.uid, &entry.version);
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "NodeENI", "metadata": metadata, "status": status,
        });
        let patched =
            with_timeout(self.nodeenis.patch_status(&entry.nodeeni.name, &apply(), &Patch::Apply(patch))).await;
        if let Ok(DeserializeGuard(Err(_))) = &patched {
            // The object cannot be parsed, so take the status that was written.
            let mut wrote = self.nodeeni(entry, patched).await?;
            if let ObjectState::NodeEni(entry) = &mut wrote.object {
                entry.status = status;
            }
            return Ok(wrote);
        }
        self.nodeeni(entry, patched).await
    }

    /// Handles the answer to a write to a NodeENI. As for an ENIAttachment, a refused write is followed by a read of the object.
    async fn nodeeni(
        &self,
        entry: Arc<NodeEniEntry>,
        patched: Result<DeserializeGuard<NodeENI>, WriteFailure>,
    ) -> Result<WriteAnswer, WriteError> {
        let (name, uid) = (entry.nodeeni.name.clone(), entry.nodeeni.uid.clone());
        let (error, conflict) = match patched {
            Ok(object) => return Ok(applied(ObjectState::NodeEni(Box::new(NodeEniEntry::read(&object.0))))),
            Err(WriteFailure::NotFound(_)) => return Ok(applied(ObjectState::NodeEniDeleted { name, uid })),
            Err(WriteFailure::Other(error)) => return Err(error),
            Err(WriteFailure::Conflict(message)) => (WriteError::Conflict(message), true),
            Err(WriteFailure::Invalid(error)) => (error, false),
        };
        match with_timeout(self.nodeenis.get(&name)).await.map(|object| NodeEniEntry::read(&object.0)) {
            Ok(now) if now.nodeeni.uid != uid || conflict && now.version != entry.version => {
                Ok(not_applied(ObjectState::NodeEni(Box::new(now))))
            }
            Err(WriteFailure::NotFound(_)) => Ok(applied(ObjectState::NodeEniDeleted { name, uid })),
            Ok(_) | Err(WriteFailure::Conflict(_) | WriteFailure::Invalid(_) | WriteFailure::Other(_)) => Err(error),
        }
    }
}

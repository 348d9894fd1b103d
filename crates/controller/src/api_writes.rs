//! Writes to the API server. Each write is one request with a precondition, so that it never overwrites a newer object. Its
//! answer is an entry of the store. What to write is decided elsewhere. This file has the writes to ENIAttachments and Nodes,
//! `nodeeni.rs` those to NodeENIs.

mod answer;
mod nodeeni;
mod request_bodies;
mod send;
mod taint_patch;

pub use answer::{ObjectState, WriteAnswer, WriteError};

use crate::store::AttachmentEntry;
use answer::{applied, not_applied};
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};
use multi_eni_api::names::{ANNOTATION_DESELECTED_SINCE, ENIATTACHMENT_FINALIZER, GROUP, LABEL_NODEENI_UID, VERSION};
use multi_eni_api::{ENIAttachment, EniAttachmentStatus, NodeENI, NodeSettings};
use multi_eni_plan::assign::NewAttachment;
use request_bodies::{apply, difference, owner, post, precondition, whole_seconds, without_the_agents_part};
use send::{WriteFailure, with_timeout};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use taint_patch::{TEST_FAILED, taint_patch};
use tokio::sync::Semaphore;

/// A Node of which only the metadata is read.
type NodeMetadata = PartialObjectMeta<Node>;

/// Writes as the controller, through a client behind the fence.
#[derive(Clone)]
pub struct Writer {
    attachments: Api<ENIAttachment>,
    /// Guarded: a NodeENI that cannot be parsed gets a status too, which reports the error.
    nodeenis: Api<DeserializeGuard<NodeENI>>,
    nodes: Api<NodeMetadata>,
    /// Permits for writes of which there may be thousands at once.
    permits: Arc<Semaphore>,
}

/// How many ENIAttachments have their status or their release written at a time, so that thousands of them do not cause thousands
/// of requests at once.
const REPORTS_AT_ONCE: usize = 64;

impl Writer {
    /// Writes through `client`, which must be behind the fence.
    pub fn new(client: Client) -> Self {
        let permits = Arc::new(Semaphore::new(REPORTS_AT_ONCE));
        let nodes = Api::all(client.clone());
        Self { attachments: Api::all(client.clone()), nodeenis: Api::all(client), nodes, permits }
    }

    /// Creates an ENIAttachment, with its finalizer. It is stored before EC2 is called.
    pub async fn create(&self, new: NewAttachment) -> Result<WriteAnswer, WriteError> {
        let owner = owner(&new.spec.node_eni_name, &new.spec.node_eni_uid);
        let metadata = ObjectMeta {
            name: Some(new.name),
            labels: Some(BTreeMap::from([(LABEL_NODEENI_UID.to_owned(), new.spec.node_eni_uid.clone())])),
            finalizers: Some(vec![ENIATTACHMENT_FINALIZER.to_owned()]),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let object = ENIAttachment { metadata, spec: new.spec, status: None };
        match with_timeout(self.attachments.create(&post(), &object)).await {
            Ok(made) => Ok(applied(ObjectState::Created(AttachmentEntry::read(&made)))),
            Err(WriteFailure::Conflict(message)) => self.existing_attachment(object.name_any(), message).await,
            // NotFound: the CRD or its API group is missing. Invalid: an admission policy, a webhook or the schema refused it.
            Err(WriteFailure::NotFound(error) | WriteFailure::Invalid(error) | WriteFailure::Other(error)) => {
                Err(error)
            }
        }
    }

    /// Deletes one ENIAttachment, as it was when that was decided: a request that takes effect late must not take away an ENI that came
    /// into use since then. Its finalizer keeps it until its ENI is gone from EC2.
    pub async fn delete(&self, entry: Arc<AttachmentEntry>) -> Result<WriteAnswer, WriteError> {
        let (name, uid) = (entry.attachment.name.clone(), entry.attachment.uid.clone());
        let as_decided = Preconditions { uid: Some(uid.clone()), resource_version: Some(entry.version.clone()) };
        let params = DeleteParams { preconditions: Some(as_decided), ..DeleteParams::default() };
        match with_timeout(self.attachments.delete(&name, &params)).await {
            Ok(answer) => Ok(applied(match answer.left() {
                Some(object) => ObjectState::Attachment(AttachmentEntry::read(&object)),
                None => ObjectState::AttachmentDeleted { name, uid },
            })),
            Err(failure) => self.attachment_after_failure(name, &uid, &entry.version, failure).await,
        }
    }

    /// Sets or clears the time since when the node no longer asks for the ENI.
    pub async fn deselect(
        &self,
        entry: Arc<AttachmentEntry>,
        since: Option<jiff::Timestamp>,
    ) -> Result<WriteAnswer, WriteError> {
        let mut metadata = precondition(&entry.attachment.uid, &entry.version);
        metadata["annotations"] = json!({ ANNOTATION_DESELECTED_SINCE: since.map(whole_seconds) });
        // An earlier version stored the time in the spec.
        let patch = json!({ "metadata": metadata, "spec": { "deselectedSince": null } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = with_timeout(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the Node that the instance has now.
    pub async fn follow(
        &self,
        entry: Arc<AttachmentEntry>,
        node: String,
        node_uid: String,
    ) -> Result<WriteAnswer, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "spec": { "nodeName": node, "nodeUID": node_uid },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = with_timeout(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes changed node settings, for the agent on the node.
    pub async fn node_settings(
        &self,
        entry: Arc<AttachmentEntry>,
        settings: NodeSettings,
    ) -> Result<WriteAnswer, WriteError> {
        let of = |settings: &NodeSettings| serde_json::to_value(settings).unwrap_or_default();
        let patch = json!({
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "spec": { "nodeSettings": difference(&of(&entry.attachment.node_settings), of(&settings)) },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = with_timeout(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the status of one ENIAttachment.
    pub async fn attachment_status(
        &self,
        entry: Arc<AttachmentEntry>,
        status: EniAttachmentStatus,
    ) -> Result<WriteAnswer, WriteError> {
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "ENIAttachment",
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "status": without_the_agents_part(status),
        });
        let patched = self
            .with_permit(self.attachments.patch_status(&entry.attachment.name, &apply(), &Patch::Apply(patch)))
            .await;
        self.attachment(entry, patched).await
    }

    /// Restores our finalizer, label and owner reference on an ENIAttachment. Those of others stay.
    pub async fn repair(&self, entry: Arc<AttachmentEntry>) -> Result<WriteAnswer, WriteError> {
        let attachment = &entry.attachment;
        let mut metadata = precondition(&attachment.uid, &entry.version);
        let others = entry.finalizers.iter().map(String::as_str).filter(|f| *f != ENIATTACHMENT_FINALIZER);
        metadata["finalizers"] = json!(others.chain([ENIATTACHMENT_FINALIZER]).collect::<Vec<_>>());
        metadata["labels"] = json!({ LABEL_NODEENI_UID: attachment.nodeeni_uid });
        let others = entry.owners.iter().filter(|owner| owner.uid != attachment.nodeeni_uid).cloned();
        metadata["ownerReferences"] =
            json!(others.chain([owner(&attachment.nodeeni, &attachment.nodeeni_uid)]).collect::<Vec<_>>());
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = with_timeout(self.attachments.patch(&attachment.name, &PatchParams::default(), &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Removes our finalizer from one ENIAttachment: its ENI is gone from EC2.
    pub async fn release(&self, entry: Arc<AttachmentEntry>) -> Result<WriteAnswer, WriteError> {
        let rest: Vec<&String> = entry.finalizers.iter().filter(|f| *f != ENIATTACHMENT_FINALIZER).collect();
        let mut metadata = precondition(&entry.attachment.uid, &entry.version);
        metadata["finalizers"] = json!(rest);
        let empty = rest.is_empty();
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched =
            self.with_permit(self.attachments.patch(&entry.attachment.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            let (name, uid) = (entry.attachment.name.clone(), entry.attachment.uid.clone());
            return Ok(applied(ObjectState::AttachmentDeleted { name, uid }));
        }
        self.attachment(entry, patched).await
    }

    /// Removes the startup taint of a Node, at these places of `spec.taints` in ascending order. Each place must have the taint
    /// still, and the Node must be the one with this UID.
    pub async fn remove_startup_taints(
        &self,
        node: &str,
        uid: &str,
        places: &[usize],
    ) -> Result<WriteAnswer, WriteError> {
        let patch = taint_patch(uid, places).map_err(|error| WriteError::NoAnswer(error.to_string()))?;
        let patch = Patch::Json::<()>(patch);
        match with_timeout(self.nodes.patch(node, &PatchParams::default(), &patch)).await {
            // Without the Node there is no taint.
            Ok(_) | Err(WriteFailure::NotFound(_)) => Ok(applied(ObjectState::Node)),
            // The taints changed first, or another Node has the name: the watch brings the newest state.
            Err(WriteFailure::Conflict(_)) => Ok(not_applied(ObjectState::Node)),
            Err(WriteFailure::Invalid(WriteError::Refused { code: 422, message })) if message.contains(TEST_FAILED) => {
                Ok(not_applied(ObjectState::Node))
            }
            Err(WriteFailure::Invalid(error) | WriteFailure::Other(error)) => Err(error),
        }
    }

    async fn with_permit<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteFailure> {
        // The semaphore is never closed, so this cannot fail.
        let _permit = self.permits.acquire().await;
        with_timeout(call).await
    }

    async fn attachment(
        &self,
        entry: Arc<AttachmentEntry>,
        patched: Result<ENIAttachment, WriteFailure>,
    ) -> Result<WriteAnswer, WriteError> {
        match patched {
            Ok(object) => Ok(applied(ObjectState::Attachment(AttachmentEntry::read(&object)))),
            Err(failure) => {
                self.attachment_after_failure(
                    entry.attachment.name.clone(),
                    &entry.attachment.uid,
                    &entry.version,
                    failure,
                )
                .await
            }
        }
    }

    /// Reads the ENIAttachment that already has the name. It may be one that is being deleted.
    async fn existing_attachment(&self, name: String, message: String) -> Result<WriteAnswer, WriteError> {
        match with_timeout(self.attachments.get(&name)).await {
            Ok(object) => Ok(not_applied(ObjectState::Attachment(AttachmentEntry::read(&object)))),
            Err(_) => Err(WriteError::Conflict(message)),
        }
    }

    /// Handles a refused write to the ENIAttachment with this UID. The cache may be out of date and the watch may lag for long,
    /// so the object is read. If another object has the name by now, Invalid is no error: the API server also calls a patch with
    /// the UID of a former object invalid.
    async fn attachment_after_failure(
        &self,
        name: String,
        uid: &str,
        version: &str,
        failure: WriteFailure,
    ) -> Result<WriteAnswer, WriteError> {
        let gone = |name: String| Ok(applied(ObjectState::AttachmentDeleted { name, uid: uid.to_owned() }));
        let (error, conflict) = match failure {
            WriteFailure::NotFound(_) => return gone(name),
            WriteFailure::Other(error) => return Err(error),
            WriteFailure::Conflict(message) => (WriteError::Conflict(message), true),
            WriteFailure::Invalid(error) => (error, false),
        };
        match with_timeout(self.attachments.get(&name)).await.map(|object| AttachmentEntry::read(&object)) {
            Ok(now) if now.attachment.uid != uid || conflict && now.version != version => {
                Ok(not_applied(ObjectState::Attachment(now)))
            }
            Err(WriteFailure::NotFound(_)) => gone(name),
            Ok(_) | Err(WriteFailure::Conflict(_) | WriteFailure::Invalid(_) | WriteFailure::Other(_)) => Err(error),
        }
    }
}

//! Writes to the API server: one request each, with a precondition, answered in the cache's own terms.

use crate::client::{NotLeader, WRITE_TIMEOUT};
use crate::world::{AttachmentEntry, NodeEniEntry};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use multi_eni_api::names::{
    ENIATTACHMENT_FINALIZER, FIELD_MANAGER, GROUP, LABEL_NODEENI_UID, NODEENI_FINALIZER, VERSION,
};
use multi_eni_api::{ENIAttachment, EniAttachmentStatus, NodeENI, NodeEniStatus};
use multi_eni_plan::assign::{NewAttachment, Removal};
use serde_json::json;
use std::collections::BTreeMap;

/// What a write left behind.
#[derive(Debug)]
pub enum Written {
    /// An ENIAttachment, as it is now.
    Attachment(Box<AttachmentEntry>),
    /// That ENIAttachment is gone.
    AttachmentGone(String),
    /// A NodeENI, as it is now.
    NodeEni(Box<NodeEniEntry>),
    /// That NodeENI is gone.
    NodeEniGone(String),
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first; the watch brings what.
    #[error("the object changed meanwhile")]
    Conflict,
    /// It is there already; the watch brings it.
    #[error("the object exists already")]
    Exists,
    /// Not allowed.
    #[error("the API server refuses it: {0}. Check the RBAC rules of the controller's ServiceAccount")]
    Forbidden(String),
    /// Not accepted.
    #[error("the API server does not accept it: {0}")]
    Invalid(String),
    /// This replica may not be the leader any more.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// No answer, or a passing error.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
}

/// Writes as the controller.
#[derive(Clone)]
pub struct Writer {
    attachments: Api<ENIAttachment>,
    nodeenis: Api<NodeENI>,
}

impl Writer {
    /// Writes through `client`, which must be behind the fence.
    pub fn new(client: Client) -> Self {
        Self { attachments: Api::all(client.clone()), nodeenis: Api::all(client) }
    }

    /// Stores the intent for one ENI, with its finalizer.
    pub async fn create(&self, new: NewAttachment) -> Result<Written, WriteError> {
        let owner = OwnerReference {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "NodeENI".to_owned(),
            name: new.spec.node_eni_name.clone(),
            uid: new.spec.node_eni_uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let metadata = ObjectMeta {
            name: Some(new.name),
            labels: Some(BTreeMap::from([(LABEL_NODEENI_UID.to_owned(), new.spec.node_eni_uid.clone())])),
            finalizers: Some(vec![ENIATTACHMENT_FINALIZER.to_owned()]),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let object = ENIAttachment { metadata, spec: new.spec, status: None };
        let made = within(self.attachments.create(&post(), &object)).await?;
        Ok(Written::Attachment(Box::new(AttachmentEntry::read(&made))))
    }

    /// Deletes one ENIAttachment: its finalizer keeps it until EC2 is clean.
    pub async fn delete(&self, removal: Removal) -> Result<Written, WriteError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(removal.uid), resource_version: None }),
            ..DeleteParams::default()
        };
        match within(self.attachments.delete(&removal.name, &params)).await {
            Ok(answer) => Ok(answer.left().map_or(Written::AttachmentGone(removal.name), |object| {
                Written::Attachment(Box::new(AttachmentEntry::read(&object)))
            })),
            Err(Missed::NotFound) => Ok(Written::AttachmentGone(removal.name)),
            Err(Missed::Other(error)) => Err(error),
        }
    }

    /// Marks since when a node no longer asks for its ENI, or unmarks it.
    pub async fn deselect(
        &self,
        entry: AttachmentEntry,
        since: Option<jiff::Timestamp>,
    ) -> Result<Written, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.held.uid, &entry.version),
            "spec": { "deselectedSince": since.map(whole_seconds) },
        });
        let name = entry.held.name;
        let patched = within(self.attachments.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await;
        attachment(name, patched)
    }

    /// Writes the status of one ENIAttachment.
    pub async fn attachment_status(
        &self,
        entry: AttachmentEntry,
        status: EniAttachmentStatus,
    ) -> Result<Written, WriteError> {
        let name = entry.held.name;
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "ENIAttachment",
            "metadata": precondition(&entry.held.uid, &entry.version),
            "status": status,
        });
        let patched = within(self.attachments.patch_status(&name, &apply(), &Patch::Apply(patch))).await;
        attachment(name, patched)
    }

    /// Lets one ENIAttachment go: EC2 is clean.
    pub async fn release(&self, entry: AttachmentEntry) -> Result<Written, WriteError> {
        let rest: Vec<&String> = entry.finalizers.iter().filter(|f| *f != ENIATTACHMENT_FINALIZER).collect();
        let mut metadata = precondition(&entry.held.uid, &entry.version);
        metadata["finalizers"] = json!(rest);
        let empty = rest.is_empty();
        let name = entry.held.name;
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = within(self.attachments.patch(&name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() { Ok(Written::AttachmentGone(name)) } else { attachment(name, patched) }
    }

    /// Guards a NodeENI, or lets it go.
    pub async fn guard(&self, entry: NodeEniEntry, guarded: bool) -> Result<Written, WriteError> {
        let mut finalizers: Vec<String> = entry.finalizers.into_iter().filter(|f| f != NODEENI_FINALIZER).collect();
        if guarded {
            finalizers.push(NODEENI_FINALIZER.to_owned());
        }
        let mut metadata = precondition(&entry.intent.uid, &entry.version);
        let empty = finalizers.is_empty();
        metadata["finalizers"] = json!(finalizers);
        let name = entry.intent.name;
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = within(self.nodeenis.patch(&name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() { Ok(Written::NodeEniGone(name)) } else { nodeeni(name, patched) }
    }

    /// Writes the status of one NodeENI.
    pub async fn nodeeni_status(&self, entry: NodeEniEntry, status: NodeEniStatus) -> Result<Written, WriteError> {
        let name = entry.intent.name;
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "NodeENI",
            // Only the UID: a status of ours stands whatever else was written meanwhile, but never on a namesake.
            "metadata": { "uid": entry.intent.uid },
            "status": status,
        });
        let patched = within(self.nodeenis.patch_status(&name, &apply(), &Patch::Apply(patch))).await;
        nodeeni(name, patched)
    }
}

/// Times as the API server keeps them.
fn whole_seconds(at: jiff::Timestamp) -> Time {
    Time(at.round(jiff::Unit::Second).unwrap_or(at))
}

fn precondition(uid: &str, version: &str) -> serde_json::Value {
    json!({ "uid": uid, "resourceVersion": version })
}

fn post() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

enum Missed {
    NotFound,
    Other(WriteError),
}

impl From<Missed> for WriteError {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::NotFound => Self::Conflict,
            Missed::Other(error) => error,
        }
    }
}

fn attachment(name: String, patched: Result<ENIAttachment, Missed>) -> Result<Written, WriteError> {
    match patched {
        Ok(object) => Ok(Written::Attachment(Box::new(AttachmentEntry::read(&object)))),
        Err(Missed::NotFound) => Ok(Written::AttachmentGone(name)),
        Err(Missed::Other(error)) => Err(error),
    }
}

fn nodeeni(name: String, patched: Result<NodeENI, Missed>) -> Result<Written, WriteError> {
    match patched {
        Ok(object) => Ok(Written::NodeEni(Box::new(NodeEniEntry::read(&Ok(object))))),
        Err(Missed::NotFound) => Ok(Written::NodeEniGone(name)),
        Err(Missed::Other(error)) => Err(error),
    }
}

async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Missed> {
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(_) => return Err(Missed::Other(WriteError::Unreachable("no answer in time".to_owned()))),
    };
    answer.map_err(|error| match error {
        kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
            (404, _) => Missed::NotFound,
            (409, "AlreadyExists") => Missed::Other(WriteError::Exists),
            (409, _) => Missed::Other(WriteError::Conflict),
            (401 | 403, _) => Missed::Other(WriteError::Forbidden(status.message.clone())),
            (400 | 422, _) => Missed::Other(WriteError::Invalid(status.message.clone())),
            _ => Missed::Other(WriteError::Unreachable(status.message.clone())),
        },
        kube::Error::Service(error) if error.is::<NotLeader>() => Missed::Other(WriteError::NotLeader(NotLeader)),
        other => Missed::Other(WriteError::Unreachable(other.to_string())),
    })
}

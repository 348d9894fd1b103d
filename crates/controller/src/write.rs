//! Writes to the API server: one request each, with a precondition, answered in the cache's own terms.

use crate::client::{NotLeader, WRITE_TIMEOUT};
use crate::world::{AttachmentEntry, NodeEniEntry};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use multi_eni_api::names::{
    ENIATTACHMENT_FINALIZER, FIELD_MANAGER, GROUP, LABEL_NODEENI_UID, NODEENI_FINALIZER, VERSION,
};
use multi_eni_api::{ENIAttachment, EniAttachmentStatus, NodeENI, NodeEniStatus, NodeSettings};
use multi_eni_plan::assign::{NewAttachment, Removal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What a write left behind.
#[derive(Debug)]
pub enum Written {
    /// An ENIAttachment that this write made.
    Made(Arc<AttachmentEntry>),
    /// An ENIAttachment, as it is now.
    Attachment(Arc<AttachmentEntry>),
    /// That ENIAttachment is gone.
    AttachmentGone {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// A NodeENI, as it is now.
    NodeEni(Box<NodeEniEntry>),
    /// That NodeENI is gone.
    NodeEniGone {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first, and what there is now could not be read.
    #[error("the object changed meanwhile")]
    Conflict,
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
    /// Turns of what may be thousands at once.
    turns: Arc<Semaphore>,
}

/// So many ENIAttachments report, or are let go, at a time: what holds back thousands of them is no burst of thousands of requests.
const REPORTS_AT_ONCE: usize = 64;

impl Writer {
    /// Writes through `client`, which must be behind the fence.
    pub fn new(client: Client) -> Self {
        let turns = Arc::new(Semaphore::new(REPORTS_AT_ONCE));
        Self { attachments: Api::all(client.clone()), nodeenis: Api::all(client), turns }
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
        match within(self.attachments.create(&post(), &object)).await {
            Ok(made) => Ok(Written::Made(AttachmentEntry::read(&made))),
            Err(missed) => self.attachment_after(object.name_any(), "", "", missed).await,
        }
    }

    /// Deletes one ENIAttachment: its finalizer keeps it until EC2 is clean.
    pub async fn delete(&self, removal: Removal) -> Result<Written, WriteError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(removal.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let Removal { name, uid, .. } = removal;
        match within(self.attachments.delete(&name, &params)).await {
            Ok(answer) => Ok(match answer.left() {
                Some(object) => Written::Attachment(AttachmentEntry::read(&object)),
                None => Written::AttachmentGone { name, uid },
            }),
            Err(missed) => self.attachment_after(name, &uid, "", missed).await,
        }
    }

    /// Marks since when a node no longer asks for its ENI, or unmarks it.
    pub async fn deselect(
        &self,
        entry: Arc<AttachmentEntry>,
        since: Option<jiff::Timestamp>,
    ) -> Result<Written, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.held.uid, &entry.version),
            "spec": { "deselectedSince": since.map(whole_seconds) },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.held.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the Node under which the instance is known now.
    pub async fn follow(
        &self,
        entry: Arc<AttachmentEntry>,
        node: String,
        node_uid: String,
    ) -> Result<Written, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.held.uid, &entry.version),
            "spec": { "nodeName": node, "nodeUID": node_uid },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.held.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Hands new settings on to the node's half.
    pub async fn node_settings(
        &self,
        entry: Arc<AttachmentEntry>,
        settings: NodeSettings,
    ) -> Result<Written, WriteError> {
        let of = |settings: &NodeSettings| serde_json::to_value(settings).unwrap_or_default();
        let patch = json!({
            "metadata": precondition(&entry.held.uid, &entry.version),
            "spec": { "nodeSettings": difference(&of(&entry.held.node_settings), of(&settings)) },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.held.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the status of one ENIAttachment.
    pub async fn attachment_status(
        &self,
        entry: Arc<AttachmentEntry>,
        status: EniAttachmentStatus,
    ) -> Result<Written, WriteError> {
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "ENIAttachment",
            "metadata": precondition(&entry.held.uid, &entry.version),
            "status": status,
        });
        let patched =
            self.in_turn(self.attachments.patch_status(&entry.held.name, &apply(), &Patch::Apply(patch))).await;
        self.attachment(entry, patched).await
    }

    /// Lets one ENIAttachment go: EC2 is clean.
    pub async fn release(&self, entry: Arc<AttachmentEntry>) -> Result<Written, WriteError> {
        let rest: Vec<&String> = entry.finalizers.iter().filter(|f| *f != ENIATTACHMENT_FINALIZER).collect();
        let mut metadata = precondition(&entry.held.uid, &entry.version);
        metadata["finalizers"] = json!(rest);
        let empty = rest.is_empty();
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = self.in_turn(self.attachments.patch(&entry.held.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            return Ok(Written::AttachmentGone { name: entry.held.name.clone(), uid: entry.held.uid.clone() });
        }
        self.attachment(entry, patched).await
    }

    /// Lets a NodeENI go, unless an ENIAttachment of it is there that no watch has brought yet: a Create may have taken
    /// effect after its answer was given up. That one is answered instead.
    pub async fn let_go(&self, entry: NodeEniEntry) -> Result<Written, WriteError> {
        let of_it = ListParams::default().labels(&format!("{LABEL_NODEENI_UID}={}", entry.intent.uid)).limit(1);
        match within(self.attachments.list(&of_it)).await {
            Ok(left) => match left.items.first() {
                Some(left) => Ok(Written::Attachment(AttachmentEntry::read(left))),
                None => self.guard(entry, false).await,
            },
            // Not even the CRD is there.
            Err(Missed::NotFound) => self.guard(entry, false).await,
            Err(Missed::Stale(error) | Missed::Other(error)) => Err(error),
        }
    }

    /// Guards a NodeENI, or lets it go.
    pub async fn guard(&self, entry: NodeEniEntry, guarded: bool) -> Result<Written, WriteError> {
        let rest = entry.finalizers.iter().filter(|f| *f != NODEENI_FINALIZER).cloned();
        let finalizers: Vec<String> = rest.chain(guarded.then(|| NODEENI_FINALIZER.to_owned())).collect();
        let mut metadata = precondition(&entry.intent.uid, &entry.version);
        let empty = finalizers.is_empty();
        metadata["finalizers"] = json!(finalizers);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = within(self.nodeenis.patch(&entry.intent.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            return Ok(Written::NodeEniGone { name: entry.intent.name, uid: entry.intent.uid });
        }
        self.nodeeni(entry, patched).await
    }

    /// Writes the status of one NodeENI.
    pub async fn nodeeni_status(&self, entry: NodeEniEntry, status: NodeEniStatus) -> Result<Written, WriteError> {
        let metadata = match entry.status.observed_generation {
            // Only the UID: a status of ours stands whatever else was written meanwhile, but never on a namesake.
            Some(_) => json!({ "uid": entry.intent.uid }),
            // Our first one replaces what upstream's controller may have listed: that must be what we have seen.
            None => precondition(&entry.intent.uid, &entry.version),
        };
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "NodeENI", "metadata": metadata, "status": status,
        });
        let patched = within(self.nodeenis.patch_status(&entry.intent.name, &apply(), &Patch::Apply(patch))).await;
        self.nodeeni(entry, patched).await
    }

    async fn in_turn<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Missed> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await;
        within(call).await
    }

    async fn attachment(
        &self,
        entry: Arc<AttachmentEntry>,
        patched: Result<ENIAttachment, Missed>,
    ) -> Result<Written, WriteError> {
        match patched {
            Ok(object) => Ok(Written::Attachment(AttachmentEntry::read(&object))),
            Err(missed) => {
                self.attachment_after(entry.held.name.clone(), &entry.held.uid, &entry.version, missed).await
            }
        }
    }

    /// A write that was refused for what the cache did not know: what there is now is read, since the watch may be long in
    /// bringing it.
    async fn attachment_after(
        &self,
        name: String,
        uid: &str,
        version: &str,
        missed: Missed,
    ) -> Result<Written, WriteError> {
        let gone = |name: String| Ok(Written::AttachmentGone { name, uid: uid.to_owned() });
        let error = match missed {
            Missed::NotFound => return gone(name),
            Missed::Other(error) => return Err(error),
            Missed::Stale(error) => error,
        };
        match within(self.attachments.get(&name)).await.map(|object| AttachmentEntry::read(&object)) {
            Ok(now) if now.held.uid != uid || now.version != version => Ok(Written::Attachment(now)),
            Err(Missed::NotFound) => gone(name),
            Ok(_) | Err(Missed::Stale(_) | Missed::Other(_)) => Err(error),
        }
    }

    async fn nodeeni(&self, entry: NodeEniEntry, patched: Result<NodeENI, Missed>) -> Result<Written, WriteError> {
        let (name, uid) = (entry.intent.name, entry.intent.uid);
        let error = match patched {
            Ok(object) => return Ok(Written::NodeEni(Box::new(NodeEniEntry::read(&Ok(object))))),
            Err(Missed::NotFound) => return Ok(Written::NodeEniGone { name, uid }),
            Err(Missed::Other(error)) => return Err(error),
            Err(Missed::Stale(error)) => error,
        };
        match within(self.nodeenis.get(&name)).await.map(|object| NodeEniEntry::read(&Ok(object))) {
            Ok(now) if now.intent.uid != uid || now.version != entry.version => Ok(Written::NodeEni(Box::new(now))),
            Err(Missed::NotFound) => Ok(Written::NodeEniGone { name, uid }),
            Ok(_) | Err(Missed::Stale(_) | Missed::Other(_)) => Err(error),
        }
    }
}

/// Times as the API server keeps them.
fn whole_seconds(at: jiff::Timestamp) -> Time {
    Time(at.round(jiff::Unit::Second).unwrap_or(at))
}

fn precondition(uid: &str, version: &str) -> serde_json::Value {
    json!({ "uid": uid, "resourceVersion": version })
}

/// The merge patch (RFC 7386) that makes `new` of `old`: what is not there any more is null.
fn difference(old: &Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(mut new)) => {
            for (key, was) in old {
                let is = new.remove(key).map_or(Value::Null, |is| difference(was, is));
                new.insert(key.clone(), is);
            }
            Value::Object(new)
        }
        (_, new) => new,
    }
}

fn post() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// A write that was not done.
enum Missed {
    /// There is no such object.
    NotFound,
    /// What the write rested on is not so, or not any more.
    Stale(WriteError),
    /// Anything else: the object may be as it was known.
    Other(WriteError),
}

async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Missed> {
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(_) => return Err(Missed::Other(WriteError::Unreachable("no answer in time".to_owned()))),
    };
    answer.map_err(|error| match error {
        kube::Error::Api(status) => match (status.code, status.reason.as_str()) {
            (404, _) => Missed::NotFound,
            (409, _) => Missed::Stale(WriteError::Conflict),
            (401 | 403, _) => Missed::Other(WriteError::Forbidden(status.message.clone())),
            // A UID that is another's by now is refused so, too.
            (400 | 422, _) => Missed::Stale(WriteError::Invalid(status.message.clone())),
            _ => Missed::Other(WriteError::Unreachable(status.message.clone())),
        },
        kube::Error::Service(error) if error.is::<NotLeader>() => Missed::Other(WriteError::NotLeader(NotLeader)),
        other => Missed::Other(WriteError::Unreachable(other.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_takes_away_what_is_gone_at_every_depth() {
        let old = json!({ "mtu": 9001, "nodeConfig": { "routes": { "a": 1, "b": 2 }, "kept": true } });
        let new = json!({ "dpdkDriver": "vfio-pci", "nodeConfig": { "routes": { "b": 3 }, "kept": true } });
        let expected = json!({ "mtu": null, "dpdkDriver": "vfio-pci",
            "nodeConfig": { "routes": { "a": null, "b": 3 }, "kept": true } });
        assert_eq!(difference(&old, new), expected);
        assert_eq!(difference(&json!({ "nodeConfig": { "a": 1 } }), json!({})), json!({ "nodeConfig": null }));
    }
}

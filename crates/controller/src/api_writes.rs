//! Writes to the API server: one request each, with a precondition, answered in the cache's own terms.

use crate::client::{NotLeader, WRITE_TIMEOUT};
use crate::store::{AttachmentEntry, NodeEniEntry};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DeserializeGuard;
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

/// What a write came to: what there is now, and whether our write made it so.
#[derive(Debug)]
pub struct Wrote {
    /// What there is now.
    pub left: Written,
    /// False: it was somebody else's, and has been read.
    pub taken: bool,
}

/// Why a write did not happen. The API server's own words are in it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first, and what there is now could not be read.
    #[error("the object changed meanwhile: {0}")]
    Conflict(String),
    /// The API server does not take it, whatever the reason.
    #[error("{code} {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its words.
        message: String,
    },
    /// This replica may not be the leader any more.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// No answer.
    #[error("{0}")]
    NoAnswer(String),
}

/// Writes as the controller.
#[derive(Clone)]
pub struct Writer {
    attachments: Api<ENIAttachment>,
    /// One that cannot be read is written to all the same: its status says so.
    nodeenis: Api<DeserializeGuard<NodeENI>>,
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
    pub async fn create(&self, new: NewAttachment) -> Result<Wrote, WriteError> {
        let owner = owner(&new.spec.node_eni_name, &new.spec.node_eni_uid);
        let metadata = ObjectMeta {
            name: Some(new.name),
            labels: Some(BTreeMap::from([(LABEL_NODEENI_UID.to_owned(), new.spec.node_eni_uid.clone())])),
            finalizers: Some(vec![ENIATTACHMENT_FINALIZER.to_owned()]),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let object = ENIAttachment { metadata, spec: new.spec, status: None };
        match within(self.attachments.create(&post(), &object)).await {
            Ok(made) => Ok(taken(Written::Made(AttachmentEntry::read(&made)))),
            Err(Missed::Conflict(words)) => self.instead_of_ours(object.name_any(), words).await,
            // Not found: the CRD or its API group. Not valid: an admission policy, a webhook, or the schema.
            Err(Missed::NotFound(error) | Missed::Invalid(error) | Missed::Other(error)) => Err(error),
        }
    }

    /// Deletes one ENIAttachment: its finalizer keeps it until EC2 is clean.
    pub async fn delete(&self, removal: Removal) -> Result<Wrote, WriteError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(removal.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let Removal { name, uid, .. } = removal;
        match within(self.attachments.delete(&name, &params)).await {
            Ok(answer) => Ok(taken(match answer.left() {
                Some(object) => Written::Attachment(AttachmentEntry::read(&object)),
                None => Written::AttachmentGone { name, uid },
            })),
            Err(missed) => self.attachment_after(name, &uid, "", missed).await,
        }
    }

    /// Marks since when a node no longer asks for its ENI, or unmarks it.
    pub async fn deselect(
        &self,
        entry: Arc<AttachmentEntry>,
        since: Option<jiff::Timestamp>,
    ) -> Result<Wrote, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "spec": { "deselectedSince": since.map(whole_seconds) },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the Node under which the instance is known now.
    pub async fn follow(
        &self,
        entry: Arc<AttachmentEntry>,
        node: String,
        node_uid: String,
    ) -> Result<Wrote, WriteError> {
        let patch = json!({
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "spec": { "nodeName": node, "nodeUID": node_uid },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Hands new settings on to the node's half.
    pub async fn node_settings(
        &self,
        entry: Arc<AttachmentEntry>,
        settings: NodeSettings,
    ) -> Result<Wrote, WriteError> {
        let of = |settings: &NodeSettings| serde_json::to_value(settings).unwrap_or_default();
        let patch = json!({
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "spec": { "nodeSettings": difference(&of(&entry.attachment.node_settings), of(&settings)) },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = within(self.attachments.patch(&entry.attachment.name, &params, &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Writes the status of one ENIAttachment.
    pub async fn attachment_status(
        &self,
        entry: Arc<AttachmentEntry>,
        status: EniAttachmentStatus,
    ) -> Result<Wrote, WriteError> {
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "ENIAttachment",
            "metadata": precondition(&entry.attachment.uid, &entry.version),
            "status": status,
        });
        let patched =
            self.in_turn(self.attachments.patch_status(&entry.attachment.name, &apply(), &Patch::Apply(patch))).await;
        self.attachment(entry, patched).await
    }

    /// Puts back what somebody took off an ENIAttachment: our finalizer, the label and the owner. All else stays.
    pub async fn repair(&self, entry: Arc<AttachmentEntry>) -> Result<Wrote, WriteError> {
        let attachment = &entry.attachment;
        let mut metadata = precondition(&attachment.uid, &entry.version);
        let others = entry.finalizers.iter().map(String::as_str).filter(|f| *f != ENIATTACHMENT_FINALIZER);
        metadata["finalizers"] = json!(others.chain([ENIATTACHMENT_FINALIZER]).collect::<Vec<_>>());
        metadata["labels"] = json!({ LABEL_NODEENI_UID: attachment.nodeeni_uid });
        let others = entry.owners.iter().filter(|owner| owner.uid != attachment.nodeeni_uid).cloned();
        metadata["ownerReferences"] =
            json!(others.chain([owner(&attachment.nodeeni, &attachment.nodeeni_uid)]).collect::<Vec<_>>());
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = within(self.attachments.patch(&attachment.name, &PatchParams::default(), &patch)).await;
        self.attachment(entry, patched).await
    }

    /// Lets one ENIAttachment go: EC2 is clean.
    pub async fn release(&self, entry: Arc<AttachmentEntry>) -> Result<Wrote, WriteError> {
        let rest: Vec<&String> = entry.finalizers.iter().filter(|f| *f != ENIATTACHMENT_FINALIZER).collect();
        let mut metadata = precondition(&entry.attachment.uid, &entry.version);
        metadata["finalizers"] = json!(rest);
        let empty = rest.is_empty();
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched =
            self.in_turn(self.attachments.patch(&entry.attachment.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            let (name, uid) = (entry.attachment.name.clone(), entry.attachment.uid.clone());
            return Ok(taken(Written::AttachmentGone { name, uid }));
        }
        self.attachment(entry, patched).await
    }

    /// Lets a NodeENI go, unless an ENIAttachment of it is there that no watch has brought yet: a Create may have taken
    /// effect after its answer was given up. That one is answered instead.
    pub async fn let_go(&self, entry: NodeEniEntry) -> Result<Wrote, WriteError> {
        let of_it = ListParams::default().labels(&format!("{LABEL_NODEENI_UID}={}", entry.nodeeni.uid)).limit(1);
        match within(self.attachments.list(&of_it)).await {
            Ok(left) => match left.items.first() {
                Some(left) => Ok(read(Written::Attachment(AttachmentEntry::read(left)))),
                None => self.guard(entry, false).await,
            },
            // Not even the CRD is there.
            Err(Missed::Other(WriteError::Refused { code: 404, .. })) => self.guard(entry, false).await,
            Err(Missed::Conflict(words)) => Err(WriteError::Conflict(words)),
            Err(Missed::NotFound(error) | Missed::Invalid(error) | Missed::Other(error)) => Err(error),
        }
    }

    /// Guards a NodeENI, or lets it go.
    pub async fn guard(&self, entry: NodeEniEntry, guarded: bool) -> Result<Wrote, WriteError> {
        let rest = entry.finalizers.iter().filter(|f| *f != NODEENI_FINALIZER).cloned();
        let finalizers: Vec<String> = rest.chain(guarded.then(|| NODEENI_FINALIZER.to_owned())).collect();
        let mut metadata = precondition(&entry.nodeeni.uid, &entry.version);
        let empty = finalizers.is_empty();
        metadata["finalizers"] = json!(finalizers);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = within(self.nodeenis.patch(&entry.nodeeni.name, &PatchParams::default(), &patch)).await;
        if empty && patched.is_ok() {
            return Ok(taken(Written::NodeEniGone { name: entry.nodeeni.name, uid: entry.nodeeni.uid }));
        }
        self.nodeeni(entry, patched).await
    }

    /// Writes the status of one NodeENI.
    pub async fn nodeeni_status(&self, entry: NodeEniEntry, status: NodeEniStatus) -> Result<Wrote, WriteError> {
        // What stands there must be what we have seen: upstream's list, which our first one replaces, and what counts removals, which a
        // process that sees late would take away.
        let metadata = precondition(&entry.nodeeni.uid, &entry.version);
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "NodeENI", "metadata": metadata, "status": status,
        });
        let patched = within(self.nodeenis.patch_status(&entry.nodeeni.name, &apply(), &Patch::Apply(patch))).await;
        if let Ok(DeserializeGuard(Err(_))) = &patched {
            // What its status says now cannot be read back.
            let mut wrote = self.nodeeni(entry, patched).await?;
            if let Written::NodeEni(entry) = &mut wrote.left {
                entry.status = status;
            }
            return Ok(wrote);
        }
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
    ) -> Result<Wrote, WriteError> {
        match patched {
            Ok(object) => Ok(taken(Written::Attachment(AttachmentEntry::read(&object)))),
            Err(missed) => {
                self.attachment_after(entry.attachment.name.clone(), &entry.attachment.uid, &entry.version, missed)
                    .await
            }
        }
    }

    /// An ENIAttachment of that name is there already, or its last rest is.
    async fn instead_of_ours(&self, name: String, words: String) -> Result<Wrote, WriteError> {
        match within(self.attachments.get(&name)).await {
            Ok(object) => Ok(read(Written::Attachment(AttachmentEntry::read(&object)))),
            Err(_) => Err(WriteError::Conflict(words)),
        }
    }

    /// A write to the object of that UID that was refused, perhaps for what the cache did not know: what there is now is
    /// read, since the watch may be long in bringing it. A patch with the UID of a former object is called invalid, so that
    /// is no error if the object is another by now; in any other case what is invalid is an error.
    async fn attachment_after(
        &self,
        name: String,
        uid: &str,
        version: &str,
        missed: Missed,
    ) -> Result<Wrote, WriteError> {
        let gone = |name: String| Ok(taken(Written::AttachmentGone { name, uid: uid.to_owned() }));
        let (error, conflict) = match missed {
            Missed::NotFound(_) => return gone(name),
            Missed::Other(error) => return Err(error),
            Missed::Conflict(words) => (WriteError::Conflict(words), true),
            Missed::Invalid(error) => (error, false),
        };
        match within(self.attachments.get(&name)).await.map(|object| AttachmentEntry::read(&object)) {
            Ok(now) if now.attachment.uid != uid || conflict && now.version != version => {
                Ok(read(Written::Attachment(now)))
            }
            Err(Missed::NotFound(_)) => gone(name),
            Ok(_) | Err(Missed::Conflict(_) | Missed::Invalid(_) | Missed::Other(_)) => Err(error),
        }
    }

    async fn nodeeni(
        &self,
        entry: NodeEniEntry,
        patched: Result<DeserializeGuard<NodeENI>, Missed>,
    ) -> Result<Wrote, WriteError> {
        let (name, uid) = (entry.nodeeni.name, entry.nodeeni.uid);
        let (error, conflict) = match patched {
            Ok(object) => return Ok(taken(Written::NodeEni(Box::new(NodeEniEntry::read(&object.0))))),
            Err(Missed::NotFound(_)) => return Ok(taken(Written::NodeEniGone { name, uid })),
            Err(Missed::Other(error)) => return Err(error),
            Err(Missed::Conflict(words)) => (WriteError::Conflict(words), true),
            Err(Missed::Invalid(error)) => (error, false),
        };
        match within(self.nodeenis.get(&name)).await.map(|object| NodeEniEntry::read(&object.0)) {
            Ok(now) if now.nodeeni.uid != uid || conflict && now.version != entry.version => {
                Ok(read(Written::NodeEni(Box::new(now))))
            }
            Err(Missed::NotFound(_)) => Ok(taken(Written::NodeEniGone { name, uid })),
            Ok(_) | Err(Missed::Conflict(_) | Missed::Invalid(_) | Missed::Other(_)) => Err(error),
        }
    }
}

fn taken(left: Written) -> Wrote {
    Wrote { left, taken: true }
}

fn read(left: Written) -> Wrote {
    Wrote { left, taken: false }
}

/// The NodeENI as the owner of its ENIAttachments.
fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: "NodeENI".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
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
    /// There is no such object, by its name. That a path is not served, or a namespace is not there, is no word about it.
    NotFound(WriteError),
    /// What the write rested on is not so, or not any more.
    Conflict(String),
    /// Refused for what it says, or for the UID that it says.
    Invalid(WriteError),
    /// Anything else: the object may be as it was known.
    Other(WriteError),
}

async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Missed> {
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(_) => {
            let words = format!("the API server gave no answer within {} s", WRITE_TIMEOUT.as_secs());
            return Err(Missed::Other(WriteError::NoAnswer(words)));
        }
    };
    answer.map_err(|error| match error {
        kube::Error::Api(status) => missed(&status),
        kube::Error::Service(error) if error.is::<NotLeader>() => Missed::Other(WriteError::NotLeader(NotLeader)),
        other => Missed::Other(WriteError::NoAnswer(format!("the API server cannot be reached: {other}"))),
    })
}

/// So the API server begins what a webhook that denies has said (k8s.io/apiserver, `webhookerrors.ToStatusErr`).
const WEBHOOK_DENIES: &str = "admission webhook ";

fn missed(status: &kube::core::Status) -> Missed {
    let words = if status.message.is_empty() { &status.reason } else { &status.message };
    let refused = || WriteError::Refused { code: status.code, message: words.clone() };
    let names_it = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    match status.code {
        404 if names_it => Missed::NotFound(refused()),
        // A webhook may deny with any code: that is no word about the object.
        409 if words.starts_with(WEBHOOK_DENIES) => Missed::Invalid(refused()),
        409 => Missed::Conflict(words.clone()),
        400 | 422 => Missed::Invalid(refused()),
        _ => Missed::Other(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_denies_with_409_is_no_conflict() {
        let status = |message: &str| kube::core::Status { code: 409, message: message.into(), ..Default::default() };
        let denied = "admission webhook \"a.b\" denied the request: one at a time";
        assert!(matches!(missed(&status(denied)), Missed::Invalid(WriteError::Refused { code: 409, .. })));
        let outrun =
            "Operation cannot be fulfilled on eniattachments.networking.k8s.aws \"a\": the object has been modified";
        assert!(matches!(missed(&status(outrun)), Missed::Conflict(_)));
    }

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

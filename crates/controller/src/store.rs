//! The store: the watched Nodes, NodeENIs, ENIAttachments and Pods as plain data, indexed for the decisions. It takes changes
//! from the watches and the answers of the controller's own writes, and returns the keys that each change affects. It never calls
//! the API server.

mod cache;
mod change;
pub(crate) mod entries;
mod name_lists;
mod pods;
mod reconcile_request;
mod shared_specs;
mod term_edits;

pub use change::StoreChange;
pub use entries::{AttachmentEntry, NodeEniEntry};
pub use reconcile_request::ReconcileRequest;

use crate::watch::change::Change;
use cache::{Cache, Cached, ItemChange};
use multi_eni_api::NodeEniStatus;
use multi_eni_api::ids::InstanceId;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::nodeeni::Unreadable;
use multi_eni_plan::observed::{ObservedEni, ObservedNode};
use multi_eni_plan::pods::ObservedPod;
use multi_eni_plan::string_map::SharedKeys;
use name_lists::{add_to, remove_from, remove_from_set};
use shared_specs::SharedSpecs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The watched objects of all kinds, with their indexes.
#[derive(Debug, Default)]
pub struct Store {
    /// In boxes: a map keeps spare room for values in it.
    nodes: Cache<Box<ObservedNode>>,
    /// The keys of the labels of Nodes: the Nodes of a node group have the same.
    label_keys: SharedKeys,
    nodeenis: Cache<Arc<NodeEniEntry>>,
    attachments: Cache<Arc<AttachmentEntry>>,
    pods: pods::PodCache,
    /// ENIAttachments by the Node name in their spec, in the order of their names. A Node has few of them.
    by_node: BTreeMap<String, Vec<String>>,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
    by_uid: BTreeMap<String, String>,
    shared_specs: SharedSpecs,
    /// ENIAttachments by their instance, in the order of their names. An instance has few of them.
    on_instance: BTreeMap<InstanceId, Vec<String>>,
    /// Nodes by their instance, in the order of their names. An instance nearly always has one Node.
    by_instance: BTreeMap<InstanceId, Vec<String>>,
    terminating_crds: BTreeSet<&'static str>,
    /// Requests of users for a new try that the reconciler has not taken yet.
    reconcile_requests: Vec<ReconcileRequest>,
    /// NodeENIs (by UID) whose subnet terms were edited, which the reconciler has not taken yet.
    term_edits: Vec<String>,
}

impl Cached for Box<ObservedNode> {
    fn name(&self) -> &str {
        &self.name
    }
    fn uid(&self) -> &str {
        &self.uid
    }
    fn version(&self) -> &str {
        ""
    }
}

impl Cached for Arc<NodeEniEntry> {
    fn name(&self) -> &str {
        &self.nodeeni.name
    }
    fn uid(&self) -> &str {
        &self.nodeeni.uid
    }
    fn version(&self) -> &str {
        &self.version
    }
}

impl Cached for Arc<AttachmentEntry> {
    fn name(&self) -> &str {
        &self.attachment.name
    }
    fn uid(&self) -> &str {
        &self.attachment.uid
    }
    fn version(&self) -> &str {
        &self.version
    }
}

impl Store {
    /// Whether the first list of each of the three kinds is complete. Pods are not needed for that.
    pub fn is_warm(&self) -> bool {
        self.nodes.warm && self.nodeenis.warm && self.attachments.warm
    }

    /// Takes one change and returns what the change affects. A Node's heartbeat affects nothing.
    pub fn take(&mut self, change: Change) -> Vec<StoreChange> {
        match change {
            Change::Node(change) => {
                let changes = self.nodes.take(change);
                changes.into_iter().flat_map(|change| self.set_node(change)).collect()
            }
            Change::NodeEni(change) => {
                let changes = self.nodeenis.take(change);
                changes
                    .into_iter()
                    .filter_map(|change| match change {
                        ItemChange::Apply(entry) => self.put_nodeeni(entry),
                        ItemChange::Delete { name, uid } => self.drop_nodeeni(&name, &uid),
                    })
                    .collect()
            }
            Change::Pod(change) => self.pods.take(change),
            Change::ApiAnswers => Vec::new(),
            Change::Crd { name, terminating } => {
                if terminating {
                    self.terminating_crds.insert(name)
                } else {
                    self.terminating_crds.remove(name)
                };
                Vec::new()
            }
            Change::Attachment(change) => {
                let changes = self.attachments.take(change);
                changes
                    .into_iter()
                    .filter_map(|change| match change {
                        ItemChange::Apply(entry) => self.put_attachment(entry),
                        ItemChange::Delete { name, uid } => self.drop_attachment(&name, &uid),
                    })
                    .collect()
            }
        }
    }

    /// Stores or removes a Node. The change also affects the other Nodes of its former and of its present instance, because
    /// another of them may count now. The change affects the name under which the ENIAttachments of the former instance are
    /// decided from now on, too: that Node may be long gone.
    fn set_node(&mut self, change: ItemChange<Box<ObservedNode>>) -> Vec<StoreChange> {
        let is_change = match &change {
            ItemChange::Apply(node) => self.nodes.is_change(node),
            ItemChange::Delete { name, uid } => self.nodes.has(name, uid),
        };
        if !is_change {
            return Vec::new();
        }
        let (name, node) = match change {
            ItemChange::Apply(node) => (node.name.clone(), Some(node)),
            ItemChange::Delete { name, .. } => (name, None),
        };
        let mut affected = BTreeSet::from([name.clone()]);
        if let Some(Ok(instance)) = self.nodes.items.remove(&name).map(|old| old.instance) {
            remove_from(&mut self.by_instance, &instance, &name);
            affected.extend(self.nodes_on(&instance).map(|other| other.name.clone()));
            let attachment =
                self.attachments_of_instance(&instance).map(|entry| self.decided_under(&entry.attachment).to_owned());
            affected.extend(attachment);
        }
        if let Some(mut node) = node {
            if let Ok(instance) = &node.instance {
                affected.extend(self.nodes_on(instance).map(|other| other.name.clone()));
                add_to(&mut self.by_instance, instance, &name);
            }
            node.labels.share_keys(&mut self.label_keys);
            self.nodes.items.insert(name, node);
        }
        affected.into_iter().map(StoreChange::Node).collect()
    }

    /// Takes the answer of the controller's own write to a NodeENI.
    pub fn wrote_nodeeni(&mut self, entry: NodeEniEntry) -> Option<StoreChange> {
        let entry = Arc::new(entry);
        if self.nodeenis.is_late(&entry) {
            return None;
        }
        self.nodeenis.note_written(&entry.nodeeni.name, &entry.version);
        self.put_nodeeni(entry)
    }

    fn put_nodeeni(&mut self, mut entry: Arc<NodeEniEntry>) -> Option<StoreChange> {
        let before = self.nodeenis.items.get(&entry.nodeeni.name).filter(|old| old.nodeeni.uid == entry.nodeeni.uid);
        if let (Err(Unreadable::Shape(_)), Some(before)) = (&entry.nodeeni.spec, before)
            && entry.status == NodeEniStatus::default()
        {
            // The object's new status cannot be read. It is the status that this process wrote, so keep that.
            Arc::make_mut(&mut entry).status.clone_from(&before.status);
        }
        if !self.nodeenis.is_change(&entry) {
            return None;
        }
        self.note_nodeeni_request(&entry);
        self.note_term_edit(&entry);
        let (name, uid) = (entry.nodeeni.name.clone(), entry.nodeeni.uid.clone());
        let nodeeni = self.nodeenis.items.get(&name).map(|old| &old.nodeeni) != Some(&entry.nodeeni);
        self.nodeenis.items.insert(name.clone(), entry);
        Some(StoreChange::NodeEni { name, uid, nodeeni })
    }

    /// The controller's own write deleted this NodeENI, or found that it is gone.
    pub fn deleted_nodeeni(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        self.nodeenis.note_deleted(uid);
        self.drop_nodeeni(name, uid)
    }

    /// Removes the NodeENI with this UID. Another NodeENI of the same name stays.
    fn drop_nodeeni(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        if !self.nodeenis.has(name, uid) {
            return None;
        }
        self.nodeenis.items.remove(name);
        Some(StoreChange::NodeEni { name: name.to_owned(), uid: uid.to_owned(), nodeeni: true })
    }

    /// Takes the answer of the controller's own write to an ENIAttachment.
    pub fn wrote_attachment(&mut self, entry: Arc<AttachmentEntry>) -> Option<StoreChange> {
        if self.attachments.is_late(&entry) {
            return None;
        }
        self.attachments.note_written(&entry.attachment.name, &entry.version);
        self.put_attachment(entry)
    }

    fn put_attachment(&mut self, mut entry: Arc<AttachmentEntry>) -> Option<StoreChange> {
        if !self.attachments.is_change(&entry) {
            return None;
        }
        self.note_attachment_request(&entry);
        self.forget_attachment(&entry.attachment.name);
        self.shared_specs.share(&mut Arc::make_mut(&mut entry).attachment);
        let attachment = &entry.attachment;
        add_to(&mut self.by_node, &attachment.node, &attachment.name);
        if let Some(instance) = &attachment.instance {
            add_to(&mut self.on_instance, instance, &attachment.name);
        }
        self.by_nodeeni.entry(attachment.nodeeni_uid.clone()).or_default().insert(attachment.name.clone());
        self.by_uid.insert(attachment.uid.clone(), attachment.name.clone());
        let affected = self.affected(attachment);
        self.attachments.items.insert(attachment.name.clone(), entry);
        Some(affected)
    }

    /// The controller's own write deleted this ENIAttachment, or found that it is gone.
    pub fn deleted_attachment(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        self.attachments.note_deleted(uid);
        self.drop_attachment(name, uid)
    }

    /// Removes the ENIAttachment with this UID. Another ENIAttachment of the same name stays.
    fn drop_attachment(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        if !self.attachments.has(name, uid) {
            return None;
        }
        self.forget_attachment(name).map(|old| self.affected(&old.attachment))
    }

    fn forget_attachment(&mut self, name: &str) -> Option<Arc<AttachmentEntry>> {
        let old = self.attachments.items.remove(name)?;
        remove_from(&mut self.by_node, &old.attachment.node, name);
        if let Some(instance) = &old.attachment.instance {
            remove_from(&mut self.on_instance, instance, name);
        }
        remove_from_set(&mut self.by_nodeeni, &old.attachment.nodeeni_uid, name);
        if !self.by_nodeeni.contains_key(&old.attachment.nodeeni_uid) {
            self.shared_specs.forget(&old.attachment.nodeeni_uid);
        }
        self.by_uid.remove(&old.attachment.uid);
        Some(old)
    }

    /// One of our CRDs that is being deleted. All its objects are deleted with it, which is no request to remove their ENIs.
    pub fn terminating_crd(&self) -> Option<&'static str> {
        self.terminating_crds.first().copied()
    }

    /// The Node with this name.
    pub fn node(&self, name: &str) -> Option<&ObservedNode> {
        self.nodes.items.get(name).map(Box::as_ref)
    }

    /// All Nodes, in the order of their names.
    pub fn nodes(&self) -> impl Iterator<Item = &ObservedNode> {
        self.nodes.items.values().map(Box::as_ref)
    }

    /// The Nodes of this instance, in the order of their names. There is nearly always one.
    pub fn nodes_on<'a>(&'a self, instance: &InstanceId) -> impl Iterator<Item = &'a ObservedNode> + use<'a> {
        self.by_instance
            .get(instance)
            .into_iter()
            .flatten()
            .filter_map(|name| self.nodes.items.get(name).map(Box::as_ref))
    }

    /// The Node that counts among those of this instance.
    pub fn node_on(&self, instance: &InstanceId) -> Option<&ObservedNode> {
        self.nodes_on(instance).reduce(|first, other| if other.counts_before(first) { other } else { first })
    }

    /// The boots that the Nodes of this instance show. A stale Node may show an earlier one.
    pub fn boots_on(&self, instance: Option<&InstanceId>) -> Vec<&str> {
        let nodes = instance.into_iter().flat_map(|instance| self.nodes_on(instance));
        nodes.filter_map(|node| node.boot_id.as_deref()).collect()
    }

    /// The name of the Node under which an ENIAttachment is decided. It is the Node that counts on the ENIAttachment's instance.
    /// If that instance has no Node, it is the Node name in the ENIAttachment's spec.
    pub fn decided_under<'a>(&'a self, attachment: &'a Attachment) -> &'a str {
        let node = attachment.instance.as_ref().and_then(|instance| self.node_on(instance));
        node.map_or(attachment.node.as_str(), |node| node.name.as_str())
    }

    /// The instances of all Nodes.
    pub fn instances(&self) -> BTreeSet<InstanceId> {
        self.by_instance.keys().cloned().collect()
    }

    /// The NodeENI with this name.
    pub fn nodeeni(&self, name: &str) -> Option<&Arc<NodeEniEntry>> {
        self.nodeenis.items.get(name)
    }

    /// The NodeENI with this UID.
    pub fn nodeeni_by_uid(&self, uid: &str) -> Option<&NodeEniEntry> {
        self.nodeenis.items.values().map(Arc::as_ref).find(|entry| entry.nodeeni.uid == uid)
    }

    /// All NodeENIs, in the order of their names.
    pub fn nodeenis(&self) -> impl Iterator<Item = &NodeEniEntry> {
        self.nodeenis.items.values().map(Arc::as_ref)
    }

    /// The ENIAttachment with this name.
    pub fn attachment(&self, name: &str) -> Option<&Arc<AttachmentEntry>> {
        self.attachments.items.get(name)
    }

    /// The name of the ENIAttachment with this UID.
    pub fn attachment_by_uid(&self, uid: &str) -> Option<&String> {
        self.by_uid.get(uid)
    }

    /// The Pods of a Node that may use its interfaces. None until all Pods have been listed.
    pub fn pods_on(&self, node: &str) -> Option<Vec<&ObservedPod>> {
        self.pods.on(node)
    }

    /// Whether an ENIAttachment holds this ENI: by the ENI's tags, or by an ENIAttachment's status.
    pub fn is_held(&self, eni: &ObservedEni) -> bool {
        eni.attachment_uid().is_some_and(|uid| self.by_uid.contains_key(uid))
            || self.attachments().any(|entry| entry.attachment.eni().as_ref() == Some(&eni.id))
    }

    /// The UIDs of all ENIAttachments.
    pub fn attachment_uids(&self) -> BTreeSet<String> {
        self.by_uid.keys().cloned().collect()
    }

    /// All ENIAttachments, in the order of their names.
    pub fn attachments(&self) -> impl Iterator<Item = &Arc<AttachmentEntry>> {
        self.attachments.items.values()
    }

    /// The ENIAttachments that are decided under this Node's name, in the order of their names.
    pub fn attachments_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        let instance = self.node(node).and_then(|node| node.instance.as_ref().ok());
        let here = instance.and_then(|instance| self.on_instance.get(instance)).into_iter().flatten();
        let named = self.by_node.get(node).into_iter().flatten();
        let names: BTreeSet<&String> = here.chain(named).collect();
        let under = node.to_owned();
        let entries = names.into_iter().filter_map(|name| self.attachments.items.get(name));
        entries.filter(move |entry| self.decided_under(&entry.attachment) == under)
    }

    /// The ENIAttachments of one instance, in the order of their names.
    pub fn attachments_of_instance(&self, instance: &InstanceId) -> impl Iterator<Item = &Arc<AttachmentEntry>> {
        self.on_instance.get(instance).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    /// The ENIAttachments of the NodeENI with this UID.
    pub fn attachments_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        self.by_nodeeni.get(uid).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    fn affected(&self, attachment: &Attachment) -> StoreChange {
        let node = self.decided_under(attachment).to_owned();
        StoreChange::Attachment { name: attachment.name.clone(), node, nodeeni_uid: attachment.nodeeni_uid.clone() }
    }

    /// The names of all Nodes, and of Nodes that are gone but still named by an ENIAttachment.
    pub fn node_names(&self) -> BTreeSet<String> {
        self.nodes.items.keys().chain(self.by_node.keys()).cloned().collect()
    }
}

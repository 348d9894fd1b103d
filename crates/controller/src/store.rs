//! What the API server shows, in plain data, indexed as the decisions need it.

mod cache;
mod entries;
mod pods;

pub use entries::{AttachmentEntry, NodeEniEntry};

use crate::watch::Change;
use cache::{Cache, Cached, Single};
use multi_eni_api::NodeEniStatus;
use multi_eni_api::ids::InstanceId;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::nodeeni::Unreadable;
use multi_eni_plan::observed::{ObservedEni, ObservedNode};
use multi_eni_plan::pods::ObservedPod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a change touched: whoever depends on it is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChange {
    /// A Node, by name.
    Node(String),
    /// A NodeENI; its spec, age or finalizers too, or only its status.
    NodeEni {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// More than the status.
        nodeeni: bool,
    },
    /// Pods of a Node that use interfaces.
    Pods(String),
    /// All Pods have been listed for the first time.
    PodsListed,
    /// An ENIAttachment.
    Attachment {
        /// Its name.
        name: String,
        /// The Node under which it is decided.
        node: String,
        /// Its NodeENI's UID.
        nodeeni_uid: String,
    },
}

/// The caches.
#[derive(Debug, Default)]
pub struct Store {
    nodes: Cache<ObservedNode>,
    nodeenis: Cache<NodeEniEntry>,
    attachments: Cache<Arc<AttachmentEntry>>,
    pods: pods::PodCache,
    /// In the order of their names; a few.
    by_node: BTreeMap<String, Vec<String>>,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
    by_uid: BTreeMap<String, String>,
    /// ENIAttachments by their instance, in the order of their names; a few.
    on_instance: BTreeMap<InstanceId, Vec<String>>,
    /// Nodes of each instance by name: as good as always one.
    by_instance: BTreeMap<InstanceId, Vec<String>>,
    terminating_crds: BTreeSet<&'static str>,
}

impl Cached for ObservedNode {
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

impl Cached for NodeEniEntry {
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
    /// All three lists have been whole once.
    pub fn is_warm(&self) -> bool {
        self.nodes.warm && self.nodeenis.warm && self.attachments.warm
    }

    /// Takes a change; answers what it really touched. Node heartbeats touch nothing.
    pub fn take(&mut self, change: Change) -> Vec<StoreChange> {
        match change {
            Change::Node(change) => {
                let singles = self.nodes.take(change);
                singles.into_iter().flat_map(|single| self.set_node(single)).collect()
            }
            Change::NodeEni(change) => {
                let singles = self.nodeenis.take(*change);
                singles
                    .into_iter()
                    .filter_map(|single| match single {
                        Single::Is(entry) => self.put_nodeeni(entry),
                        Single::Gone { name, uid } => self.drop_nodeeni(&name, &uid),
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
                let singles = self.attachments.take(change);
                singles
                    .into_iter()
                    .filter_map(|single| match single {
                        Single::Is(entry) => self.put_attachment(entry),
                        Single::Gone { name, uid } => self.drop_attachment(&name, &uid),
                    })
                    .collect()
            }
        }
    }

    /// Other Nodes of its instance, before or now, are touched as well: which of them counts may be another one. So is the name under
    /// which the ENIAttachments of its former instance are decided from now on: it may be that of a Node that went long ago.
    fn set_node(&mut self, single: Single<ObservedNode>) -> Vec<StoreChange> {
        let is_news = match &single {
            Single::Is(node) => self.nodes.is_news(node),
            Single::Gone { name, uid } => self.nodes.has(name, uid),
        };
        if !is_news {
            return Vec::new();
        }
        let (name, node) = match single {
            Single::Is(node) => (node.name.clone(), Some(node)),
            Single::Gone { name, .. } => (name, None),
        };
        let mut touched = BTreeSet::from([name.clone()]);
        if let Some(Ok(instance)) = self.nodes.items.remove(&name).map(|old| old.instance) {
            drop_from(&mut self.by_instance, &instance, &name);
            touched.extend(self.nodes_on(&instance).map(|other| other.name.clone()));
            let attachment =
                self.attachments_of_instance(&instance).map(|entry| self.decided_under(&entry.attachment).to_owned());
            touched.extend(attachment);
        }
        if let Some(node) = node {
            if let Ok(instance) = &node.instance {
                touched.extend(self.nodes_on(instance).map(|other| other.name.clone()));
                add_to(&mut self.by_instance, instance, &name);
            }
            self.nodes.items.insert(name, node);
        }
        touched.into_iter().map(StoreChange::Node).collect()
    }

    /// What our own write answered.
    pub fn wrote_nodeeni(&mut self, entry: NodeEniEntry) -> Option<StoreChange> {
        if self.nodeenis.is_late(&entry) {
            return None;
        }
        self.nodeenis.note_written(&entry.nodeeni.name, &entry.version);
        self.put_nodeeni(entry)
    }

    fn put_nodeeni(&mut self, mut entry: NodeEniEntry) -> Option<StoreChange> {
        let before = self.nodeenis.items.get(&entry.nodeeni.name).filter(|old| old.nodeeni.uid == entry.nodeeni.uid);
        if let (Err(Unreadable::Shape(_)), Some(before)) = (&entry.nodeeni.spec, before)
            && entry.status == NodeEniStatus::default()
        {
            // What its status says cannot be read, and is what was written.
            entry.status.clone_from(&before.status);
        }
        if !self.nodeenis.is_news(&entry) {
            return None;
        }
        let (name, uid) = (entry.nodeeni.name.clone(), entry.nodeeni.uid.clone());
        let nodeeni = self.nodeenis.items.get(&name).map(|old| &old.nodeeni) != Some(&entry.nodeeni);
        self.nodeenis.items.insert(name.clone(), entry);
        Some(StoreChange::NodeEni { name, uid, nodeeni })
    }

    /// Our own write found that NodeENI gone, or removed it.
    pub fn buried_nodeeni(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        self.nodeenis.bury(uid);
        self.drop_nodeeni(name, uid)
    }

    /// That NodeENI is gone; another one of its name is not.
    fn drop_nodeeni(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        if !self.nodeenis.has(name, uid) {
            return None;
        }
        self.nodeenis.items.remove(name);
        Some(StoreChange::NodeEni { name: name.to_owned(), uid: uid.to_owned(), nodeeni: true })
    }

    /// What our own write answered.
    pub fn wrote_attachment(&mut self, entry: Arc<AttachmentEntry>) -> Option<StoreChange> {
        if self.attachments.is_late(&entry) {
            return None;
        }
        self.attachments.note_written(&entry.attachment.name, &entry.version);
        self.put_attachment(entry)
    }

    fn put_attachment(&mut self, entry: Arc<AttachmentEntry>) -> Option<StoreChange> {
        if !self.attachments.is_news(&entry) {
            return None;
        }
        self.forget_attachment(&entry.attachment.name);
        let attachment = &entry.attachment;
        add_to(&mut self.by_node, &attachment.node, &attachment.name);
        if let Some(instance) = &attachment.instance {
            add_to(&mut self.on_instance, instance, &attachment.name);
        }
        self.by_nodeeni.entry(attachment.nodeeni_uid.clone()).or_default().insert(attachment.name.clone());
        self.by_uid.insert(attachment.uid.clone(), attachment.name.clone());
        let touched = self.touched(attachment);
        self.attachments.items.insert(attachment.name.clone(), entry);
        Some(touched)
    }

    /// Our own write found that ENIAttachment gone, or removed it.
    pub fn buried_attachment(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        self.attachments.bury(uid);
        self.drop_attachment(name, uid)
    }

    /// That ENIAttachment is gone; another one of its name is not.
    fn drop_attachment(&mut self, name: &str, uid: &str) -> Option<StoreChange> {
        if !self.attachments.has(name, uid) {
            return None;
        }
        self.forget_attachment(name).map(|old| self.touched(&old.attachment))
    }

    fn forget_attachment(&mut self, name: &str) -> Option<Arc<AttachmentEntry>> {
        let old = self.attachments.items.remove(name)?;
        drop_from(&mut self.by_node, &old.attachment.node, name);
        if let Some(instance) = &old.attachment.instance {
            drop_from(&mut self.on_instance, instance, name);
        }
        forget(&mut self.by_nodeeni, &old.attachment.nodeeni_uid, name);
        self.by_uid.remove(&old.attachment.uid);
        Some(old)
    }

    /// One of our CRDs is being deleted, and every object of it with it: nobody asked for the ENIs to go.
    pub fn terminating_crd(&self) -> Option<&'static str> {
        self.terminating_crds.first().copied()
    }

    /// The Node of that name.
    pub fn node(&self, name: &str) -> Option<&ObservedNode> {
        self.nodes.items.get(name)
    }

    /// All Nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &ObservedNode> {
        self.nodes.items.values()
    }

    /// The Nodes of that instance, by name: as good as always one.
    pub fn nodes_on<'a>(&'a self, instance: &InstanceId) -> impl Iterator<Item = &'a ObservedNode> + use<'a> {
        self.by_instance.get(instance).into_iter().flatten().filter_map(|name| self.nodes.items.get(name))
    }

    /// The Node of that instance that counts.
    pub fn node_on(&self, instance: &InstanceId) -> Option<&ObservedNode> {
        self.nodes_on(instance).reduce(|first, other| if other.counts_before(first) { other } else { first })
    }

    /// The name of the Node under which an ENIAttachment is decided: the one of its instance that counts, whatever name it carries;
    /// the name that it carries, if its instance has no Node.
    pub fn decided_under<'a>(&'a self, attachment: &'a Attachment) -> &'a str {
        let node = attachment.instance.as_ref().and_then(|instance| self.node_on(instance));
        node.map_or(attachment.node.as_str(), |node| node.name.as_str())
    }

    /// Instances of all Nodes.
    pub fn instances(&self) -> BTreeSet<InstanceId> {
        self.by_instance.keys().cloned().collect()
    }

    /// The NodeENI of that name.
    pub fn nodeeni(&self, name: &str) -> Option<&NodeEniEntry> {
        self.nodeenis.items.get(name)
    }

    /// The NodeENI of that UID.
    pub fn nodeeni_by_uid(&self, uid: &str) -> Option<&NodeEniEntry> {
        self.nodeenis.items.values().find(|entry| entry.nodeeni.uid == uid)
    }

    /// All NodeENIs, by name.
    pub fn nodeenis(&self) -> impl Iterator<Item = &NodeEniEntry> {
        self.nodeenis.items.values()
    }

    /// The ENIAttachment of that name.
    pub fn attachment(&self, name: &str) -> Option<&Arc<AttachmentEntry>> {
        self.attachments.items.get(name)
    }

    /// The name of the ENIAttachment of that UID.
    pub fn attachment_by_uid(&self, uid: &str) -> Option<&String> {
        self.by_uid.get(uid)
    }

    /// Pods of a Node that may use interfaces; None before all Pods have been listed.
    pub fn pods_on(&self, node: &str) -> Option<Vec<&ObservedPod>> {
        self.pods.on(node)
    }

    /// Whether the ENI is an ENIAttachment's: its tags say so, or an ENIAttachment does.
    pub fn is_held(&self, eni: &ObservedEni) -> bool {
        eni.attachment_uid().is_some_and(|uid| self.by_uid.contains_key(uid))
            || self.attachments().any(|entry| entry.attachment.eni().as_ref() == Some(&eni.id))
    }

    /// UIDs of all ENIAttachments.
    pub fn attachment_uids(&self) -> BTreeSet<String> {
        self.by_uid.keys().cloned().collect()
    }

    /// All ENIAttachments, by name.
    pub fn attachments(&self) -> impl Iterator<Item = &Arc<AttachmentEntry>> {
        self.attachments.items.values()
    }

    /// The ENIAttachments that are decided under one Node's name, by name.
    pub fn attachments_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        let instance = self.node(node).and_then(|node| node.instance.as_ref().ok());
        let here = instance.and_then(|instance| self.on_instance.get(instance)).into_iter().flatten();
        let named = self.by_node.get(node).into_iter().flatten();
        let names: BTreeSet<&String> = here.chain(named).collect();
        let under = node.to_owned();
        let entries = names.into_iter().filter_map(|name| self.attachments.items.get(name));
        entries.filter(move |entry| self.decided_under(&entry.attachment) == under)
    }

    /// The ENIAttachments of one instance, by name.
    pub fn attachments_of_instance(&self, instance: &InstanceId) -> impl Iterator<Item = &Arc<AttachmentEntry>> {
        self.on_instance.get(instance).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    /// The ENIAttachments of one NodeENI's UID.
    pub fn attachments_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        self.by_nodeeni.get(uid).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    fn touched(&self, attachment: &Attachment) -> StoreChange {
        let node = self.decided_under(attachment).to_owned();
        StoreChange::Attachment { name: attachment.name.clone(), node, nodeeni_uid: attachment.nodeeni_uid.clone() }
    }

    /// Names of all Nodes, and of those that are gone and have ENIAttachments.
    pub fn node_names(&self) -> BTreeSet<String> {
        self.nodes.items.keys().chain(self.by_node.keys()).cloned().collect()
    }
}

/// Kept for each Node: no room for what does not come.
fn add_to<K: Ord + Clone>(index: &mut BTreeMap<K, Vec<String>>, key: &K, name: &str) {
    let names = index.entry(key.clone()).or_default();
    if let Err(place) = names.binary_search_by(|other| other.as_str().cmp(name)) {
        names.reserve_exact(1);
        names.insert(place, name.to_owned());
    }
}

fn drop_from<K: Ord>(index: &mut BTreeMap<K, Vec<String>>, key: &K, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.retain(|other| other != name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

fn forget(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

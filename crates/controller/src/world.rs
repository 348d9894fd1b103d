//! What the API server shows, in plain data, indexed as the decisions need it.

mod cache;
mod entries;
mod pods;

pub use entries::{AttachmentEntry, NodeEniEntry};

use crate::watch::Change;
use cache::{Cache, Cached, Single};
use multi_eni_api::ids::InstanceId;
use multi_eni_plan::facts::{EniSeen, NodeFacts};
use multi_eni_plan::held::Held;
use multi_eni_plan::pods::PodFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a change touched: whoever depends on it is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// A Node, by name.
    Node(String),
    /// A NodeENI; its spec, age or finalizers too, or only its status.
    NodeEni {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// More than the status.
        intent: bool,
    },
    /// Pods of a Node that use interfaces.
    Pods(String),
    /// All Pods have been listed for the first time.
    PodsListed,
    /// An ENIAttachment.
    Attachment {
        /// Its name.
        name: String,
        /// Its Node.
        node: String,
        /// Its NodeENI's UID.
        nodeeni_uid: String,
    },
}

/// The caches.
#[derive(Debug, Default)]
pub struct World {
    nodes: Cache<NodeFacts>,
    nodeenis: Cache<NodeEniEntry>,
    attachments: Cache<Arc<AttachmentEntry>>,
    pods: pods::PodCache,
    /// In the order of their names; a few.
    by_node: BTreeMap<String, Vec<String>>,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
    by_uid: BTreeMap<String, String>,
    by_instance: BTreeMap<InstanceId, String>,
    /// ENIAttachments (by name) that cannot be read, by what their names say of the instance. As good as always none.
    unreadable: BTreeMap<String, InstanceId>,
    terminating_crds: BTreeSet<&'static str>,
}

impl Cached for NodeFacts {
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
        &self.intent.name
    }
    fn uid(&self) -> &str {
        &self.intent.uid
    }
    fn version(&self) -> &str {
        &self.version
    }
}

impl Cached for Arc<AttachmentEntry> {
    fn name(&self) -> &str {
        &self.held.name
    }
    fn uid(&self) -> &str {
        &self.held.uid
    }
    fn version(&self) -> &str {
        &self.version
    }
}

impl World {
    /// All three lists have been whole once.
    pub fn is_warm(&self) -> bool {
        self.nodes.warm && self.nodeenis.warm && self.attachments.warm
    }

    /// Takes a change; answers what it really touched. Node heartbeats touch nothing.
    pub fn take(&mut self, change: Change) -> Vec<Touched> {
        match change {
            Change::Node(change) => {
                let singles = self.nodes.take(change);
                singles.into_iter().filter_map(|single| self.set_node(single)).collect()
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

    fn set_node(&mut self, single: Single<NodeFacts>) -> Option<Touched> {
        let name = match &single {
            Single::Is(node) => self.nodes.is_news(node).then(|| node.name.clone())?,
            Single::Gone { name, uid } => self.nodes.has(name, uid).then(|| name.clone())?,
        };
        if let Some(Ok(instance)) = self.nodes.items.remove(&name).map(|old| old.instance)
            && self.by_instance.get(&instance) == Some(&name)
        {
            self.by_instance.remove(&instance);
        }
        if let Single::Is(node) = single {
            if let Ok(instance) = &node.instance {
                self.by_instance.insert(instance.clone(), name.clone());
            }
            self.nodes.items.insert(name.clone(), node);
        }
        Some(Touched::Node(name))
    }

    /// What our own write answered.
    pub fn wrote_nodeeni(&mut self, entry: NodeEniEntry) -> Option<Touched> {
        if self.nodeenis.is_late(&entry) {
            return None;
        }
        self.nodeenis.note_written(&entry.intent.name);
        self.put_nodeeni(entry)
    }

    fn put_nodeeni(&mut self, entry: NodeEniEntry) -> Option<Touched> {
        if !self.nodeenis.is_news(&entry) {
            return None;
        }
        let (name, uid) = (entry.intent.name.clone(), entry.intent.uid.clone());
        let intent = self.nodeenis.items.get(&name).map(|old| &old.intent) != Some(&entry.intent);
        self.nodeenis.items.insert(name.clone(), entry);
        Some(Touched::NodeEni { name, uid, intent })
    }

    /// Our own write found that NodeENI gone, or removed it.
    pub fn buried_nodeeni(&mut self, name: &str, uid: &str) -> Option<Touched> {
        self.nodeenis.bury(uid);
        self.drop_nodeeni(name, uid)
    }

    /// That NodeENI is gone; another one of its name is not.
    fn drop_nodeeni(&mut self, name: &str, uid: &str) -> Option<Touched> {
        if !self.nodeenis.has(name, uid) {
            return None;
        }
        self.nodeenis.items.remove(name);
        Some(Touched::NodeEni { name: name.to_owned(), uid: uid.to_owned(), intent: true })
    }

    /// What our own write answered.
    pub fn wrote_attachment(&mut self, entry: Arc<AttachmentEntry>) -> Option<Touched> {
        if self.attachments.is_late(&entry) {
            return None;
        }
        self.attachments.note_written(&entry.held.name);
        self.put_attachment(entry)
    }

    fn put_attachment(&mut self, entry: Arc<AttachmentEntry>) -> Option<Touched> {
        if !self.attachments.is_news(&entry) {
            return None;
        }
        self.forget_attachment(&entry.held.name);
        let held = &entry.held;
        if let (Some(_), Some(instance)) = (&held.unreadable, &held.instance) {
            self.unreadable.insert(held.name.clone(), instance.clone());
        }
        let on_node = self.by_node.entry(held.node.clone()).or_default();
        if let Err(place) = on_node.binary_search(&held.name) {
            // Kept for each Node: no room for what does not come.
            on_node.reserve_exact(1);
            on_node.insert(place, held.name.clone());
        }
        self.by_nodeeni.entry(held.nodeeni_uid.clone()).or_default().insert(held.name.clone());
        self.by_uid.insert(held.uid.clone(), held.name.clone());
        let touched = touched(held);
        self.attachments.items.insert(held.name.clone(), entry);
        Some(touched)
    }

    /// Our own write found that ENIAttachment gone, or removed it.
    pub fn buried_attachment(&mut self, name: &str, uid: &str) -> Option<Touched> {
        self.attachments.bury(uid);
        self.drop_attachment(name, uid)
    }

    /// That ENIAttachment is gone; another one of its name is not.
    fn drop_attachment(&mut self, name: &str, uid: &str) -> Option<Touched> {
        if !self.attachments.has(name, uid) {
            return None;
        }
        self.forget_attachment(name).map(|old| touched(&old.held))
    }

    fn forget_attachment(&mut self, name: &str) -> Option<Arc<AttachmentEntry>> {
        let old = self.attachments.items.remove(name)?;
        self.unreadable.remove(name);
        if let Some(on_node) = self.by_node.get_mut(&old.held.node) {
            on_node.retain(|other| other != name);
            if on_node.is_empty() {
                self.by_node.remove(&old.held.node);
            }
        }
        forget(&mut self.by_nodeeni, &old.held.nodeeni_uid, name);
        self.by_uid.remove(&old.held.uid);
        Some(old)
    }

    /// One of our CRDs is being deleted, and every object of it with it: nobody asked for the ENIs to go.
    pub fn terminating_crd(&self) -> Option<&'static str> {
        self.terminating_crds.first().copied()
    }

    /// The Node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.items.get(name)
    }

    /// All Nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeFacts> {
        self.nodes.items.values()
    }

    /// The Node on that instance.
    pub fn node_on(&self, instance: &InstanceId) -> Option<&String> {
        self.by_instance.get(instance)
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
        self.nodeenis.items.values().find(|entry| entry.intent.uid == uid)
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
    pub fn pods_on(&self, node: &str) -> Option<Vec<&PodFacts>> {
        self.pods.on(node)
    }

    /// Whether the ENI is an ENIAttachment's: its tags say so, or an ENIAttachment does.
    pub fn is_held(&self, eni: &EniSeen) -> bool {
        eni.attachment_uid().is_some_and(|uid| self.by_uid.contains_key(uid))
            || self.attachments().any(|entry| entry.held.eni().as_ref() == Some(&eni.id))
    }

    /// UIDs of all ENIAttachments.
    pub fn attachment_uids(&self) -> BTreeSet<String> {
        self.by_uid.keys().cloned().collect()
    }

    /// All ENIAttachments, by name.
    pub fn attachments(&self) -> impl Iterator<Item = &Arc<AttachmentEntry>> {
        self.attachments.items.values()
    }

    /// The ENIAttachments of one Node's name.
    pub fn attachments_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        let is_here = |instance: &InstanceId| self.by_instance.get(instance).is_some_and(|of| of == node);
        let unreadable: Vec<&String> =
            self.unreadable.iter().filter(|(_, instance)| is_here(instance)).map(|(name, _)| name).collect();
        let known = self.by_node.get(node).into_iter().flatten();
        known.chain(unreadable).filter_map(|name| self.attachments.items.get(name))
    }

    /// The ENIAttachments of one NodeENI's UID.
    pub fn attachments_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<AttachmentEntry>> + use<'a> {
        self.by_nodeeni.get(uid).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    /// Names of all Nodes, and of those that are gone and have ENIAttachments.
    pub fn node_names(&self) -> BTreeSet<String> {
        self.nodes.items.keys().chain(self.by_node.keys()).cloned().collect()
    }
}

fn touched(held: &Held) -> Touched {
    Touched::Attachment { name: held.name.clone(), node: held.node.clone(), nodeeni_uid: held.nodeeni_uid.clone() }
}

fn forget(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

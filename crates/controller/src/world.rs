//! What the API server shows, in plain data, indexed as the decisions need it.

use crate::watch::{Change, Watched};
use kube::core::error_boundary::InvalidObject;
use multi_eni_api::ids::InstanceId;
use multi_eni_api::{ENIAttachment, NodeENI, NodeEniStatus};
use multi_eni_plan::facts::NodeFacts;
use multi_eni_plan::held::Held;
use multi_eni_plan::intent::{Intent, Unreadable};
use std::collections::{BTreeMap, BTreeSet};

/// A NodeENI and what is needed to write to it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEniEntry {
    /// What it asks for.
    pub intent: Intent,
    /// Its status.
    pub status: NodeEniStatus,
    /// All its finalizers.
    pub finalizers: Vec<String>,
    /// Its resourceVersion.
    pub version: String,
}

/// An ENIAttachment and what is needed to write to it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachmentEntry {
    /// The attachment.
    pub held: Held,
    /// All its finalizers.
    pub finalizers: Vec<String>,
    /// Its resourceVersion.
    pub version: String,
}

impl NodeEniEntry {
    /// Reads a NodeENI, or the remains of one.
    pub fn read(object: &Result<NodeENI, InvalidObject>) -> Self {
        match object {
            Ok(object) => Self {
                intent: Intent::read(object),
                status: object.status.clone().unwrap_or_default(),
                finalizers: object.metadata.finalizers.clone().unwrap_or_default(),
                version: object.metadata.resource_version.clone().unwrap_or_default(),
            },
            Err(invalid) => {
                let mut shell = NodeENI::new("", multi_eni_api::NodeEniSpec::default());
                shell.metadata = invalid.metadata.clone();
                let mut entry = Self::read(&Ok(shell));
                entry.intent.ask = Err(Unreadable::Shape(invalid.error.clone()));
                entry
            }
        }
    }
}

impl AttachmentEntry {
    /// Reads an ENIAttachment.
    pub fn read(object: &ENIAttachment) -> Self {
        Self {
            held: Held::read(object),
            finalizers: object.metadata.finalizers.clone().unwrap_or_default(),
            version: object.metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

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
    attachments: Cache<AttachmentEntry>,
    by_node: BTreeMap<String, BTreeSet<String>>,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
    by_uid: BTreeMap<String, String>,
    by_instance: BTreeMap<InstanceId, String>,
    terminating_crds: BTreeSet<&'static str>,
}

#[derive(Debug)]
struct Cache<T> {
    items: BTreeMap<String, T>,
    seeds: Option<BTreeMap<String, T>>,
    warm: bool,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), seeds: None, warm: false }
    }
}

impl<T> Cache<T> {
    /// Turns a watched change into single replacements.
    fn take(&mut self, change: Watched<T>, name: impl Fn(&T) -> String) -> Vec<(String, Option<T>)> {
        match change {
            Watched::Begin => {
                self.seeds = Some(BTreeMap::new());
                Vec::new()
            }
            Watched::Seed(item) => {
                if let Some(seeds) = &mut self.seeds {
                    seeds.insert(name(&item), item);
                }
                Vec::new()
            }
            Watched::End => {
                let seeds = self.seeds.take().unwrap_or_default();
                self.warm = true;
                let gone: Vec<_> =
                    self.items.keys().filter(|key| !seeds.contains_key(*key)).map(|key| (key.clone(), None)).collect();
                gone.into_iter().chain(seeds.into_iter().map(|(key, item)| (key, Some(item)))).collect()
            }
            Watched::Apply(item) => vec![(name(&item), Some(item))],
            Watched::Gone(name) => vec![(name, None)],
        }
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
                let items = self.nodes.take(change, |node| node.name.clone());
                items.into_iter().filter_map(|(name, node)| self.set_node(name, node)).collect()
            }
            Change::NodeEni(change) => {
                let items = self.nodeenis.take(*change, |entry| entry.intent.name.clone());
                items.into_iter().filter_map(|(name, entry)| self.set_nodeeni(name, entry)).collect()
            }
            Change::Crd { name, terminating } => {
                if terminating {
                    self.terminating_crds.insert(name)
                } else {
                    self.terminating_crds.remove(name)
                };
                Vec::new()
            }
            Change::Attachment(change) => {
                let items = self.attachments.take(*change, |entry| entry.held.name.clone());
                items.into_iter().filter_map(|(name, entry)| self.set_attachment(name, entry)).collect()
            }
        }
    }

    fn set_node(&mut self, name: String, node: Option<NodeFacts>) -> Option<Touched> {
        if self.nodes.items.get(&name) == node.as_ref() {
            return None;
        }
        if let Some(Ok(instance)) = self.nodes.items.get(&name).map(|old| &old.instance) {
            self.by_instance.remove(instance);
        }
        match node {
            Some(node) => {
                if let Ok(instance) = &node.instance {
                    self.by_instance.insert(instance.clone(), name.clone());
                }
                self.nodes.items.insert(name.clone(), node);
            }
            None => {
                self.nodes.items.remove(&name);
            }
        }
        Some(Touched::Node(name))
    }

    /// Also takes what our own writes answered.
    pub fn set_nodeeni(&mut self, name: String, entry: Option<NodeEniEntry>) -> Option<Touched> {
        let old = self.nodeenis.items.get(&name);
        if let (Some(old), Some(new)) = (old, &entry)
            && (old == new || (old.intent.uid == new.intent.uid && is_older(&new.version, &old.version)))
        {
            return None;
        }
        let uid = entry.as_ref().or(old).map(|entry| entry.intent.uid.clone())?;
        let intent = old.map(|old| &old.intent) != entry.as_ref().map(|new| &new.intent);
        match entry {
            Some(entry) => self.nodeenis.items.insert(name.clone(), entry),
            None => self.nodeenis.items.remove(&name),
        };
        Some(Touched::NodeEni { name, uid, intent })
    }

    /// Also takes what our own writes answered.
    pub fn set_attachment(&mut self, name: String, entry: Option<AttachmentEntry>) -> Option<Touched> {
        let old = self.attachments.items.get(&name);
        if let (Some(old), Some(new)) = (old, &entry)
            && (old == new || (old.held.uid == new.held.uid && is_older(&new.version, &old.version)))
        {
            return None;
        }
        let held = entry.as_ref().or(old).map(|entry| &entry.held)?;
        let touched =
            Touched::Attachment { name: name.clone(), node: held.node.clone(), nodeeni_uid: held.nodeeni_uid.clone() };
        if let Some(old) = self.attachments.items.remove(&name) {
            forget(&mut self.by_node, &old.held.node, &name);
            forget(&mut self.by_nodeeni, &old.held.nodeeni_uid, &name);
            self.by_uid.remove(&old.held.uid);
        }
        if let Some(entry) = entry {
            self.by_node.entry(entry.held.node.clone()).or_default().insert(name.clone());
            self.by_nodeeni.entry(entry.held.nodeeni_uid.clone()).or_default().insert(name.clone());
            self.by_uid.insert(entry.held.uid.clone(), name.clone());
            self.attachments.items.insert(name, entry);
        }
        Some(touched)
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
    pub fn attachment(&self, name: &str) -> Option<&AttachmentEntry> {
        self.attachments.items.get(name)
    }

    /// The name of the ENIAttachment of that UID.
    pub fn attachment_by_uid(&self, uid: &str) -> Option<&String> {
        self.by_uid.get(uid)
    }

    /// UIDs of all ENIAttachments.
    pub fn attachment_uids(&self) -> BTreeSet<String> {
        self.by_uid.keys().cloned().collect()
    }

    /// All ENIAttachments, by name.
    pub fn attachments(&self) -> impl Iterator<Item = &AttachmentEntry> {
        self.attachments.items.values()
    }

    /// The ENIAttachments of one Node's name.
    pub fn attachments_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a AttachmentEntry> + use<'a> {
        self.by_node.get(node).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    /// The ENIAttachments of one NodeENI's UID.
    pub fn attachments_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a AttachmentEntry> + use<'a> {
        self.by_nodeeni.get(uid).into_iter().flatten().filter_map(|name| self.attachments.items.get(name))
    }

    /// Names of Nodes that have ENIAttachments, there or not.
    pub fn nodes_with_attachments(&self) -> impl Iterator<Item = &String> {
        self.by_node.keys()
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

/// A watch can bring something older than the answer of our own write. Versions of one resource are comparable numbers.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

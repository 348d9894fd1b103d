//! Objects, their one version counter, and the history that watches read.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;

use super::{
    observer::{Eyes, ObjectChange},
    ownership::Managers,
    pulse::{Beats, Felt},
    resource::GroupResource,
};

/// Namespace and name; the namespace is empty for cluster-scoped objects.
pub type Key = (String, String);

/// A stored object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// As it is served.
    pub object: Arc<Value>,
    /// Who owns what in it.
    pub managers: Arc<Managers>,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version it made.
    pub version: u64,
    /// The object's key.
    pub key: Key,
    /// Before; for a deletion with the deletion's version.
    pub old: Option<Arc<Value>>,
    /// After.
    pub new: Option<Arc<Value>>,
    /// What was stored before, to look back.
    previous: Option<Stored>,
}

/// The objects of one resource.
#[derive(Default, Debug)]
pub struct Collection {
    objects: BTreeMap<Key, Stored>,
    history: VecDeque<Change>,
    compacted: u64,
    pulse: Beats,
}

/// A version that the history no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest version that can be asked for.
    pub oldest: u64,
}

/// Everything stored.
#[derive(Debug)]
pub struct Storage {
    version: u64,
    collections: BTreeMap<GroupResource, Collection>,
    retained: usize,
    /// Who sees every change.
    pub(crate) eyes: Eyes,
}

impl Storage {
    /// Empty, keeping this many changes per resource.
    pub fn new(retained: usize) -> Self {
        Self { version: 1, collections: BTreeMap::new(), retained, eyes: Eyes::default() }
    }

    /// The same objects in a store of its own, with no history and nobody watching.
    pub fn fork(&self) -> Self {
        let mut fork = Self::new(self.retained);
        fork.version = self.version;
        for (resource, collection) in &self.collections {
            let objects = collection.objects.clone();
            let copy = Collection { objects, compacted: self.version, ..Collection::default() };
            fork.collections.insert(resource.clone(), copy);
        }
        fork
    }

    /// The last version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version the next write gets.
    pub fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// Changes how many changes are kept per resource.
    pub fn retain(&mut self, changes: usize) {
        self.retained = changes;
        self.collections.values_mut().for_each(|c| c.trim(changes));
    }

    /// Forgets the history: whoever asks for an older version than now's gets 410.
    pub fn compact(&mut self) {
        let version = self.version;
        for collection in self.collections.values_mut() {
            collection.history.clear();
            collection.compacted = version;
        }
    }

    /// Ends every watch.
    pub fn break_watches(&mut self) {
        self.collections.values().for_each(|c| c.pulse.beat(|p| p.broken += 1));
    }

    /// Ends the watches of one resource and drops it.
    pub fn drop_collection(&mut self, resource: &GroupResource) {
        if let Some(collection) = self.collections.remove(resource) {
            collection.pulse.beat(|p| p.broken += 1);
        }
    }

    /// Wakes on every change of a resource.
    pub fn pulse(&mut self, resource: &GroupResource) -> Felt {
        self.collections.entry(resource.clone()).or_default().pulse.feel()
    }

    /// One object.
    pub fn get(&self, resource: &GroupResource, key: &Key) -> Option<&Stored> {
        self.collections.get(resource)?.objects.get(key)
    }

    /// All objects of a resource, by namespace and name.
    pub fn objects(&self, resource: &GroupResource) -> impl Iterator<Item = (&Key, &Stored)> {
        self.collections.get(resource).into_iter().flat_map(|c| c.objects.iter())
    }

    /// All objects of a resource as they were at `version`.
    pub fn objects_at(&self, resource: &GroupResource, version: u64) -> Result<BTreeMap<Key, Arc<Value>>, TooOld> {
        let Some(collection) = self.collections.get(resource) else {
            return Ok(BTreeMap::new());
        };
        if version < collection.compacted {
            return Err(TooOld { oldest: collection.compacted });
        }
        let mut objects: BTreeMap<Key, Arc<Value>> =
            collection.objects.iter().map(|(k, s)| (k.clone(), s.object.clone())).collect();
        for change in collection.history.iter().rev().take_while(|c| c.version > version) {
            match &change.previous {
                Some(stored) => objects.insert(change.key.clone(), stored.object.clone()),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// The changes of a resource after `version`.
    pub fn since(&self, resource: &GroupResource, version: u64) -> Result<Vec<Change>, TooOld> {
        let Some(collection) = self.collections.get(resource) else {
            return Ok(Vec::new());
        };
        if version < collection.compacted {
            return Err(TooOld { oldest: collection.compacted });
        }
        let from = collection.history.partition_point(|c| c.version <= version);
        Ok(collection.history.iter().skip(from).cloned().collect())
    }

    /// Stores an object that carries [`Storage::next_version`].
    pub fn put(&mut self, resource: &GroupResource, key: Key, stored: Stored) {
        let new = stored.object.clone();
        let collection = self.collections.entry(resource.clone()).or_default();
        let previous = collection.objects.insert(key.clone(), stored);
        let old = previous.as_ref().map(|p| p.object.clone());
        self.record(resource, Change { version: 0, key, old, new: Some(new), previous });
    }

    /// Removes an object; `last` is its last state, with [`Storage::next_version`].
    pub fn remove(&mut self, resource: &GroupResource, key: &Key, last: Arc<Value>) {
        let Some(collection) = self.collections.get_mut(resource) else {
            return;
        };
        let Some(previous) = collection.objects.remove(key) else {
            return;
        };
        let change = Change { version: 0, key: key.clone(), old: Some(last), new: None, previous: Some(previous) };
        self.record(resource, change);
    }

    fn record(&mut self, resource: &GroupResource, mut change: Change) {
        self.version += 1;
        change.version = self.version;
        if let Some(observer) = &mut self.eyes.observer {
            observer(&ObjectChange {
                actor: &self.eyes.actor,
                resource,
                namespace: &change.key.0,
                name: &change.key.1,
                before: change.previous.as_ref().map(|stored| stored.object.as_ref()),
                after: change.new.as_deref(),
            });
        }
        if let Some(collection) = self.collections.get_mut(resource) {
            collection.history.push_back(change);
            collection.trim(self.retained);
            let version = self.version;
            collection.pulse.beat(|p| p.version = version);
        }
    }
}

impl Collection {
    fn trim(&mut self, retained: usize) {
        while self.history.len() > retained {
            if let Some(dropped) = self.history.pop_front() {
                self.compacted = dropped.version;
            }
        }
    }
}

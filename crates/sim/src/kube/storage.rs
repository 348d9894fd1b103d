//! The objects, the version counter that they share, and the history that watches read.
//!
//! The storage neither validates objects nor sets their `resourceVersion`: the caller does.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;

use super::{
    change_signal::{ChangeReceiver, ChangeSender},
    observer::{ObjectChange, WriteObserver},
    ownership::Managers,
    resource::GroupResource,
};

/// Namespace and name; the namespace is empty for cluster-scoped objects.
pub type Key = (String, String);

/// A stored object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object in its stored version.
    pub object: Arc<Value>,
    /// The owners of its fields.
    pub managers: Arc<Managers>,
}

/// One change of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version of the change.
    pub version: u64,
    /// The object's key.
    pub key: Key,
    /// The object before the change. For a deletion, the last state with the version of the deletion.
    pub old: Option<Arc<Value>>,
    /// The object after the change.
    pub new: Option<Arc<Value>>,
    /// The stored object before the change, for lists at older versions.
    previous: Option<Stored>,
}

/// The objects of one resource.
#[derive(Default, Debug)]
pub struct Collection {
    objects: BTreeMap<Key, Stored>,
    history: VecDeque<Change>,
    compacted: u64,
    changes: ChangeSender,
}

/// The error for a version that is no longer in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest version that can be requested.
    pub oldest: u64,
}

/// All objects of the server.
#[derive(Debug)]
pub struct Storage {
    version: u64,
    collections: BTreeMap<GroupResource, Collection>,
    retained: usize,
    /// Receives every change.
    pub(crate) observer: WriteObserver,
}

impl Storage {
    /// An empty storage that keeps this many changes per resource.
    pub fn new(retained: usize) -> Self {
        Self { version: 1, collections: BTreeMap::new(), retained, observer: WriteObserver::default() }
    }

    /// A separate storage with the same objects, without history and watches.
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

    /// The version of the next write.
    pub fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// Sets how many changes are kept per resource.
    pub fn retain(&mut self, changes: usize) {
        self.retained = changes;
        self.collections.values_mut().for_each(|c| c.trim(changes));
    }

    /// Drops the history. Requests for versions before the current one then get 410.
    pub fn compact(&mut self) {
        let version = self.version;
        for collection in self.collections.values_mut() {
            collection.history.clear();
            collection.compacted = version;
        }
    }

    /// Ends every watch.
    pub fn break_watches(&mut self) {
        self.collections.values().for_each(|c| c.changes.send_modify(|p| p.broken += 1));
    }

    /// Ends the watches of one resource and drops it.
    pub fn drop_collection(&mut self, resource: &GroupResource) {
        if let Some(collection) = self.collections.remove(resource) {
            collection.changes.send_modify(|p| p.broken += 1);
        }
    }

    /// A receiver of the changes of a resource.
    pub fn subscribe(&mut self, resource: &GroupResource) -> ChangeReceiver {
        self.collections.entry(resource.clone()).or_default().changes.subscribe()
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

    /// Stores an object, whose `resourceVersion` must be [`Storage::next_version`].
    pub fn put(&mut self, resource: &GroupResource, key: Key, stored: Stored) {
        let new = stored.object.clone();
        let collection = self.collections.entry(resource.clone()).or_default();
        let previous = collection.objects.insert(key.clone(), stored);
        let old = previous.as_ref().map(|p| p.object.clone());
        self.record(resource, Change { version: 0, key, old, new: Some(new), previous });
    }

    /// Removes an object. `last` is its last state, whose `resourceVersion` must be [`Storage::next_version`].
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
        if let Some(callback) = &mut self.observer.callback {
            callback(&ObjectChange {
                actor: &self.observer.actor,
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
            collection.changes.send_modify(|p| p.version = version);
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

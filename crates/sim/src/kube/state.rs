//! All that the server knows, behind one lock that no await crosses.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    builtin,
    log::RequestLog,
    metadata,
    refuse::Denial,
    resource::{GroupResource, Resource, ResourceRef},
    storage::Storage,
    write::{self, WriteOptions},
};
use crate::clock::SimClock;

/// The server's state.
#[derive(Debug)]
pub struct State {
    /// The clock that stamps objects.
    pub clock: SimClock,
    /// The objects.
    pub storage: Storage,
    /// What was asked.
    pub log: RequestLog,
    /// How often a watch that allows them gets bookmarks.
    pub bookmark_interval: Duration,
    /// When the server ends a watch that names no `timeoutSeconds`.
    pub watch_timeout: Duration,
    /// Whether objects show `metadata.managedFields`.
    pub managed_fields: bool,
    /// What admission refuses.
    pub denials: Vec<Denial>,
    resources: BTreeMap<(String, String, String), ResourceRef>,
    seed: u64,
    drawn: u64,
}

impl State {
    /// The built-in resources and namespaces.
    pub fn new(clock: SimClock, seed: u64) -> Self {
        let mut state = Self {
            clock,
            storage: Storage::new(10_000),
            log: RequestLog::default(),
            bookmark_interval: Duration::from_secs(60),
            watch_timeout: Duration::from_secs(300),
            managed_fields: true,
            denials: Vec::new(),
            resources: BTreeMap::new(),
            seed,
            drawn: 0,
        };
        builtin::resources().into_iter().for_each(|r| state.register(r));
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            if let Some(res) = state.resource("", "v1", "namespaces") {
                // Nothing is stored yet, so nothing can be in the way.
                let _ = write::create(&mut state, &res, "", body, &WriteOptions::new("kube-apiserver"));
            }
        }
        state
    }

    /// The same objects and resources in a state of its own.
    pub fn fork(&self, clock: SimClock, seed: u64) -> Self {
        Self {
            clock,
            storage: self.storage.fork(),
            log: RequestLog::default(),
            bookmark_interval: self.bookmark_interval,
            watch_timeout: self.watch_timeout,
            managed_fields: self.managed_fields,
            denials: self.denials.clone(),
            resources: self.resources.clone(),
            seed,
            drawn: self.drawn,
        }
    }

    /// Serves a resource from now on.
    pub fn register(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.resources.insert(key, Arc::new(resource));
    }

    /// Serves these of a group's resource and no others.
    pub fn unregister(&mut self, storage: &GroupResource) {
        self.resources.retain(|_, r| !(r.custom && r.storage == *storage));
    }

    /// The resource at a path.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<ResourceRef> {
        self.resources.get(&(group.to_owned(), version.to_owned(), plural.to_owned())).cloned()
    }

    /// A resource in whichever version is stored.
    pub fn any_version(&self, resource: &GroupResource) -> Option<ResourceRef> {
        self.resources().find(|r| r.group == resource.group && r.plural == resource.resource).cloned()
    }

    /// Everything served, by group, version and name.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceRef> {
        self.resources.values()
    }

    /// The clock's time as objects carry it.
    pub fn now(&self) -> String {
        timestamp(self.clock.now())
    }

    /// The next UID.
    pub fn new_uid(&mut self) -> String {
        let mut bytes = self.draw("uid");
        // A UUID of version 4 by its looks.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The five characters after a `generateName`.
    pub fn name_suffix(&mut self) -> String {
        const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        self.draw("name").iter().take(5).map(|b| char::from(ALPHABET[usize::from(*b) % 27])).collect()
    }

    fn draw(&mut self, purpose: &str) -> [u8; 32] {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(purpose);
        hash.update(self.seed.to_be_bytes());
        hash.update(self.drawn.to_be_bytes());
        hash.finalize().into()
    }

    /// Whether a namespace is there.
    pub fn has_namespace(&self, name: &str) -> bool {
        let key = (String::new(), name.to_owned());
        let found = self.storage.get(&GroupResource::new("", "namespaces"), &key);
        found.is_some_and(|n| !metadata::text(&n.object, "uid").is_empty())
    }
}

/// RFC 3339 in whole seconds, as `metav1.Time` is written.
pub fn timestamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// With the `apiVersion` and `kind` that it is stored with.
pub fn with_type(mut object: Value, res: &Resource) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), json!(res.stored_version()));
        map.insert("kind".into(), json!(res.kind));
    }
    object
}

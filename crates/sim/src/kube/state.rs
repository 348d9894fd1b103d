//! The server's state: objects, served resources, settings and the request log.
//!
//! The state is behind one lock, which is never held across an await. It draws UIDs from the seed and reads no wall clock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use super::{
    builtin,
    denial::Denial,
    log::RequestLog,
    metadata,
    resource::{GroupResource, Resource, ResourceRef},
    storage::Storage,
    timestamp::timestamp,
};
use crate::clock::SimClock;

/// Everything in one server.
#[derive(Debug)]
pub struct State {
    /// The clock that stamps objects.
    pub clock: SimClock,
    /// The objects.
    pub storage: Storage,
    /// The requests so far.
    pub log: RequestLog,
    /// How often a watch with `allowWatchBookmarks` gets a bookmark.
    pub bookmark_interval: Duration,
    /// How long a watch without `timeoutSeconds` lasts.
    pub watch_timeout: Duration,
    /// Whether objects show `metadata.managedFields`.
    pub managed_fields: bool,
    /// The writes that admission denies.
    pub denials: Vec<Denial>,
    resources: BTreeMap<(String, String, String), ResourceRef>,
    seed: u64,
    drawn: u64,
}

impl State {
    /// A state with the built-in resources and without objects.
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
        state
    }

    /// A separate state with the same objects and resources.
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

    /// Stops serving a custom resource, in all its versions.
    pub fn unregister(&mut self, storage: &GroupResource) {
        self.resources.retain(|_, r| !(r.custom && r.storage == *storage));
    }

    /// The resource with this group, version and plural name.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<ResourceRef> {
        self.resources.get(&(group.to_owned(), version.to_owned(), plural.to_owned())).cloned()
    }

    /// A resource in its first served version.
    pub fn any_version(&self, resource: &GroupResource) -> Option<ResourceRef> {
        self.resources().find(|r| r.group == resource.group && r.plural == resource.resource).cloned()
    }

    /// All served resources, ordered by group, version and name.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceRef> {
        self.resources.values()
    }

    /// The current time in the format of objects.
    pub fn now(&self) -> String {
        timestamp(self.clock.now())
    }

    /// The next UID.
    pub fn new_uid(&mut self) -> String {
        let mut bytes = self.draw("uid");
        // Version 4 and the RFC's variant.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The five random characters that follow a `generateName`.
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

    /// Whether a namespace exists.
    pub fn has_namespace(&self, name: &str) -> bool {
        let key = (String::new(), name.to_owned());
        let found = self.storage.get(&GroupResource::new("", "namespaces"), &key);
        found.is_some_and(|n| !metadata::text(&n.object, "uid").is_empty())
    }
}

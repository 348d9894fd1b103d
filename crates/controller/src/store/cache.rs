//! The cache of one kind: what a watch brings, and the answers of the controller's own writes, which are newer than the watch. It
//! decides which of two states of an object is newer. It knows nothing about what the objects mean.

use crate::watch::change::Watched;
use std::collections::{BTreeMap, BTreeSet};

/// UIDs of deleted objects that are kept before old ones are dropped. An entry stays if the watch had brought the deletion before
/// the controller's own write found out.
const KEEP_DELETED: usize = 1000;

/// An object that a cache can hold.
pub(super) trait Cached {
    fn name(&self) -> &str;
    fn uid(&self) -> &str;
    /// Its resourceVersion; empty for a kind that the controller never writes.
    fn version(&self) -> &str;
}

/// The objects of one kind, by name.
#[derive(Debug)]
pub(super) struct Cache<T> {
    pub items: BTreeMap<String, T>,
    listed: Option<BTreeMap<String, T>>,
    /// Names that the controller's own writes answered while a list was being read: the list may be older than the answer.
    written: BTreeSet<String>,
    /// UIDs of objects that the controller's own writes deleted and that the watch has not yet brought as deleted. The version is
    /// one from after the deletion, as soon as a later write has answered one.
    deleted: BTreeMap<String, Option<u64>>,
    /// The newest version that the watch has brought.
    newest: String,
    pub warm: bool,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            listed: None,
            written: BTreeSet::new(),
            deleted: BTreeMap::new(),
            newest: String::new(),
            warm: false,
        }
    }
}

/// A change of one object.
pub(super) enum ItemChange<T> {
    Apply(T),
    Delete { name: String, uid: String },
}

impl<T: Cached> Cache<T> {
    /// Turns one item of a watch into changes of single objects.
    pub fn take(&mut self, change: Watched<T>) -> Vec<ItemChange<T>> {
        match change {
            Watched::Init => {
                self.listed = Some(BTreeMap::new());
                self.written.clear();
                Vec::new()
            }
            Watched::InitApply(item) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(item.name().to_owned(), item);
                }
                Vec::new()
            }
            Watched::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let written = std::mem::take(&mut self.written);
                self.warm = true;
                listed.values().for_each(|item| advance(&mut self.newest, item.version()));
                self.deleted.retain(|uid, _| listed.values().any(|item| item.uid() == uid));
                self.forget_old_deletions();
                let gone = self
                    .items
                    .values()
                    .filter(|item| !listed.contains_key(item.name()) && !written.contains(item.name()));
                let gone: Vec<_> = gone
                    .map(|item| ItemChange::Delete { name: item.name().to_owned(), uid: item.uid().to_owned() })
                    .collect();
                gone.into_iter().chain(listed.into_values().map(ItemChange::Apply)).collect()
            }
            Watched::Apply(item) => {
                advance(&mut self.newest, item.version());
                self.forget_old_deletions();
                vec![ItemChange::Apply(item)]
            }
            Watched::Delete { name, uid, version } => {
                advance(&mut self.newest, &version);
                self.deleted.remove(&uid);
                self.forget_old_deletions();
                vec![ItemChange::Delete { name, uid }]
            }
        }
    }

    /// Notes the answer of the controller's own write.
    pub fn note_written(&mut self, name: &str, version: &str) {
        if let Ok(version) = version.parse::<u64>() {
            self.deleted.values_mut().for_each(|after| *after = after.or(Some(version)));
        }
        if self.listed.is_some() {
            self.written.insert(name.to_owned());
        }
    }

    /// Notes that the controller's own write deleted this object: whatever the watch still brings of it is old.
    pub fn note_deleted(&mut self, uid: &str) {
        self.deleted.insert(uid.to_owned(), None);
    }

    /// Forgets deletions that are older than the newest version of the watch, once there are many.
    fn forget_old_deletions(&mut self) {
        if self.deleted.len() > KEEP_DELETED
            && let Ok(newest) = self.newest.parse::<u64>()
        {
            self.deleted.retain(|_, after| after.is_none_or(|after| newest < after));
        }
    }

    /// Whether this object is newer than the known one and differs from it. A watch lags behind the answers of the controller's
    /// own writes.
    pub fn is_change(&self, item: &T) -> bool
    where
        T: PartialEq,
    {
        !self.deleted.contains_key(item.uid())
            && self.items.get(item.name()).is_none_or(|old| old != item && !is_older(item.version(), old.version()))
    }

    /// Whether the answer of the controller's own write comes after the watch has already brought the deletion of the object.
    pub fn is_late(&self, item: &T) -> bool {
        !self.items.contains_key(item.name()) && is_older(item.version(), &self.newest)
    }

    /// Whether the object with this name and this UID is known.
    pub fn has(&self, name: &str, uid: &str) -> bool {
        self.items.get(name).is_some_and(|item| item.uid() == uid)
    }
}

fn advance(newest: &mut String, version: &str) {
    if newest.is_empty() || is_older(newest, version) {
        version.clone_into(newest);
    }
}

/// Compares two versions. The resourceVersions of one resource are comparable numbers, even between objects.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Thing {
        uid: &'static str,
        version: &'static str,
    }

    impl Cached for Thing {
        fn name(&self) -> &'static str {
            "thing"
        }
        fn uid(&self) -> &str {
            self.uid
        }
        fn version(&self) -> &str {
            self.version
        }
    }

    fn thing(uid: &'static str, version: &'static str) -> Thing {
        Thing { uid, version }
    }

    fn gone(uid: &str, version: &str) -> Watched<Thing> {
        Watched::Delete { name: "thing".to_owned(), uid: uid.to_owned(), version: version.to_owned() }
    }

    /// Takes an item of a watch, as the store does.
    fn watched(cache: &mut Cache<Thing>, change: Watched<Thing>) -> Option<Thing> {
        for change in cache.take(change) {
            match change {
                ItemChange::Apply(item) if cache.is_change(&item) => drop(cache.items.insert("thing".to_owned(), item)),
                ItemChange::Delete { name, uid } if cache.has(&name, &uid) => drop(cache.items.remove(&name)),
                ItemChange::Apply(_) | ItemChange::Delete { .. } => {}
            }
        }
        cache.items.get("thing").cloned()
    }

    /// Takes the answer of the controller's own write, as the store does.
    fn wrote(cache: &mut Cache<Thing>, item: Thing) -> Option<Thing> {
        if !cache.is_late(&item) {
            cache.note_written("thing", item.version);
            if cache.is_change(&item) {
                cache.items.insert("thing".to_owned(), item);
            }
        }
        cache.items.get("thing").cloned()
    }

    #[test]
    fn a_lagging_watch_does_not_undo_an_own_write() {
        let mut cache = Cache::default();
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "3"))), Some(thing("a", "3")));
        assert_eq!(wrote(&mut cache, thing("a", "10")), Some(thing("a", "10")));
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "9"))), Some(thing("a", "10")), "not as text: 9 < 10");
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "11"))), Some(thing("a", "11")));
    }

    #[test]
    fn a_deleted_object_does_not_come_back_and_one_of_the_same_name_is_another() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        cache.note_deleted("a");
        cache.items.remove("thing");
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "4"))), None);
        assert_eq!(wrote(&mut cache, thing("b", "6")), Some(thing("b", "6")));
        assert_eq!(watched(&mut cache, gone("a", "5")), Some(thing("b", "6")), "the former object was deleted");
        assert_eq!(watched(&mut cache, gone("b", "7")), None);
    }

    #[test]
    fn old_deletions_are_forgotten() {
        let mut cache = Cache::<Thing>::default();
        (0..5000).for_each(|n| cache.note_deleted(&n.to_string()));
        wrote(&mut cache, thing("a", "10"));
        cache.note_deleted("young");
        watched(&mut cache, Watched::Apply(thing("b", "9")));
        assert_eq!(cache.deleted.len(), 5001, "older versions may still arrive");
        watched(&mut cache, Watched::Apply(thing("b", "11")));
        assert_eq!(cache.deleted.keys().collect::<Vec<_>>(), ["young"]);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_a_deleted_object() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        watched(&mut cache, gone("a", "12"));
        assert_eq!(wrote(&mut cache, thing("a", "9")), None);
        assert_eq!(wrote(&mut cache, thing("b", "13")), Some(thing("b", "13")));
    }

    #[test]
    fn a_list_removes_missing_objects_but_not_those_written_during_the_list() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        assert_eq!(watched(&mut cache, Watched::Init), Some(thing("a", "3")), "an unfinished list removes nothing");
        assert_eq!(watched(&mut cache, Watched::InitDone), None);
        watched(&mut cache, Watched::Init);
        wrote(&mut cache, thing("b", "5"));
        assert_eq!(watched(&mut cache, Watched::InitDone), Some(thing("b", "5")));
    }
}

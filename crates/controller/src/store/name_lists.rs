//! Helpers for the store's indexes: names of objects by a key. A key without a name is removed.

use std::collections::{BTreeMap, BTreeSet};

/// Adds a name in order. There is one list for each Node, so it reserves no spare capacity.
pub(super) fn add_to<K: Ord + Clone>(index: &mut BTreeMap<K, Vec<String>>, key: &K, name: &str) {
    let names = index.entry(key.clone()).or_default();
    if let Err(place) = names.binary_search_by(|other| other.as_str().cmp(name)) {
        names.reserve_exact(1);
        names.insert(place, name.to_owned());
    }
}

pub(super) fn remove_from<K: Ord>(index: &mut BTreeMap<K, Vec<String>>, key: &K, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.retain(|other| other != name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

pub(super) fn remove_from_set(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, name: &str) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

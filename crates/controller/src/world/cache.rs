//! What a watch shows of one kind, and what the answers of our own writes add to that: they are ahead of it.

use crate::watch::Watched;
use std::collections::{BTreeMap, BTreeSet};

/// What a cache keeps.
pub(super) trait Cached {
    fn name(&self) -> &str;
    fn uid(&self) -> &str;
    /// Its resourceVersion; empty where we never write.
    fn version(&self) -> &str;
}

/// The objects of one kind, by name.
#[derive(Debug)]
pub(super) struct Cache<T> {
    pub items: BTreeMap<String, T>,
    seeds: Option<BTreeMap<String, T>>,
    /// What our own writes answered while a list was on its way: the list may be older.
    written: BTreeSet<String>,
    /// UIDs of what our own writes removed and the watch does not yet show removed.
    buried: BTreeSet<String>,
    /// The newest version that the watch has shown.
    passed: String,
    pub warm: bool,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            seeds: None,
            written: BTreeSet::new(),
            buried: BTreeSet::new(),
            passed: String::new(),
            warm: false,
        }
    }
}

/// A single change of a cache.
pub(super) enum Single<T> {
    Is(T),
    Gone { name: String, uid: String },
}

impl<T: Cached> Cache<T> {
    /// Turns a watched change into single ones.
    pub fn take(&mut self, change: Watched<T>) -> Vec<Single<T>> {
        match change {
            Watched::Begin => {
                self.seeds = Some(BTreeMap::new());
                self.written.clear();
                Vec::new()
            }
            Watched::Seed(item) => {
                if let Some(seeds) = &mut self.seeds {
                    seeds.insert(item.name().to_owned(), item);
                }
                Vec::new()
            }
            Watched::End => {
                let seeds = self.seeds.take().unwrap_or_default();
                let written = std::mem::take(&mut self.written);
                self.warm = true;
                seeds.values().for_each(|seed| pass(&mut self.passed, seed.version()));
                self.buried.retain(|uid| seeds.values().any(|seed| seed.uid() == uid));
                let gone = self
                    .items
                    .values()
                    .filter(|item| !seeds.contains_key(item.name()) && !written.contains(item.name()));
                let gone: Vec<_> = gone
                    .map(|item| Single::Gone { name: item.name().to_owned(), uid: item.uid().to_owned() })
                    .collect();
                gone.into_iter().chain(seeds.into_values().map(Single::Is)).collect()
            }
            Watched::Apply(item) => {
                pass(&mut self.passed, item.version());
                vec![Single::Is(item)]
            }
            Watched::Gone { name, uid, version } => {
                pass(&mut self.passed, &version);
                self.buried.remove(&uid);
                vec![Single::Gone { name, uid }]
            }
        }
    }

    /// Our own write answered this.
    pub fn note_written(&mut self, name: &str) {
        if self.seeds.is_some() {
            self.written.insert(name.to_owned());
        }
    }

    /// Our own write removed this: what the watch still brings of it is old.
    pub fn bury(&mut self, uid: &str) {
        self.buried.insert(uid.to_owned());
    }

    /// Whether this says something newer than what is known: a watch lags behind the answers of our own writes.
    pub fn is_news(&self, item: &T) -> bool
    where
        T: PartialEq,
    {
        !self.buried.contains(item.uid())
            && self.items.get(item.name()).is_none_or(|old| old != item && !is_older(item.version(), old.version()))
    }

    /// Whether the answer of our own write comes so late that the watch has shown since that its object is gone.
    pub fn is_late(&self, item: &T) -> bool {
        !self.items.contains_key(item.name()) && is_older(item.version(), &self.passed)
    }

    /// Whether this object, and no other of its name, is known.
    pub fn has(&self, name: &str, uid: &str) -> bool {
        self.items.get(name).is_some_and(|item| item.uid() == uid)
    }
}

fn pass(passed: &mut String, version: &str) {
    if passed.is_empty() || is_older(passed, version) {
        version.clone_into(passed);
    }
}

/// Versions of one resource are comparable numbers, whatever object they are of.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        _ => false,
    }
}

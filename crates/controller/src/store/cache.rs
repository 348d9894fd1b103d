//! What a watch shows of one kind, and what the answers of our own writes add to that: they are ahead of it.

use crate::watch::Watched;
use std::collections::{BTreeMap, BTreeSet};

/// UIDs of removed objects that may stay: those that the watch had shown removed before our own write found out.
const MANY: usize = 1000;

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
    /// UIDs of what our own writes removed and the watch does not yet show removed; each with a version from after that,
    /// once a write of ours has told one.
    buried: BTreeMap<String, Option<u64>>,
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
            buried: BTreeMap::new(),
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
                self.buried.retain(|uid, _| seeds.values().any(|seed| seed.uid() == uid));
                self.exhume();
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
                self.exhume();
                vec![Single::Is(item)]
            }
            Watched::Gone { name, uid, version } => {
                pass(&mut self.passed, &version);
                self.buried.remove(&uid);
                self.exhume();
                vec![Single::Gone { name, uid }]
            }
        }
    }

    /// Our own write answered this.
    pub fn note_written(&mut self, name: &str, version: &str) {
        if let Ok(version) = version.parse::<u64>() {
            self.buried.values_mut().for_each(|after| *after = after.or(Some(version)));
        }
        if self.seeds.is_some() {
            self.written.insert(name.to_owned());
        }
    }

    /// Our own write removed this: what the watch still brings of it is old.
    pub fn bury(&mut self, uid: &str) {
        self.buried.insert(uid.to_owned(), None);
    }

    /// What the watch shows from now on is younger than their end. With few of them nothing need be done.
    fn exhume(&mut self) {
        if self.buried.len() > MANY
            && let Ok(passed) = self.passed.parse::<u64>()
        {
            self.buried.retain(|_, after| after.is_none_or(|after| passed < after));
        }
    }

    /// Whether this says something newer than what is known: a watch lags behind the answers of our own writes.
    pub fn is_news(&self, item: &T) -> bool
    where
        T: PartialEq,
    {
        !self.buried.contains_key(item.uid())
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
        Watched::Gone { name: "thing".to_owned(), uid: uid.to_owned(), version: version.to_owned() }
    }

    /// Takes a change in as the world does.
    fn watched(cache: &mut Cache<Thing>, change: Watched<Thing>) -> Option<Thing> {
        for single in cache.take(change) {
            match single {
                Single::Is(item) if cache.is_news(&item) => drop(cache.items.insert("thing".to_owned(), item)),
                Single::Gone { name, uid } if cache.has(&name, &uid) => drop(cache.items.remove(&name)),
                Single::Is(_) | Single::Gone { .. } => {}
            }
        }
        cache.items.get("thing").cloned()
    }

    /// The same for an answer of our own write.
    fn wrote(cache: &mut Cache<Thing>, item: Thing) -> Option<Thing> {
        if !cache.is_late(&item) {
            cache.note_written("thing", item.version);
            if cache.is_news(&item) {
                cache.items.insert("thing".to_owned(), item);
            }
        }
        cache.items.get("thing").cloned()
    }

    #[test]
    fn a_watch_that_lags_undoes_no_write_of_ours() {
        let mut cache = Cache::default();
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "3"))), Some(thing("a", "3")));
        assert_eq!(wrote(&mut cache, thing("a", "10")), Some(thing("a", "10")));
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "9"))), Some(thing("a", "10")), "not as text: 9 < 10");
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "11"))), Some(thing("a", "11")));
    }

    #[test]
    fn what_our_own_write_removed_is_not_brought_back_and_its_namesake_is_another() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        cache.bury("a");
        cache.items.remove("thing");
        assert_eq!(watched(&mut cache, Watched::Apply(thing("a", "4"))), None);
        assert_eq!(wrote(&mut cache, thing("b", "6")), Some(thing("b", "6")));
        assert_eq!(watched(&mut cache, gone("a", "5")), Some(thing("b", "6")), "it was the former one");
        assert_eq!(watched(&mut cache, gone("b", "7")), None);
    }

    #[test]
    fn the_removed_that_the_watch_showed_before_are_not_kept_for_ever() {
        let mut cache = Cache::<Thing>::default();
        (0..5000).for_each(|n| cache.bury(&n.to_string()));
        wrote(&mut cache, thing("a", "10"));
        cache.bury("young");
        watched(&mut cache, Watched::Apply(thing("b", "9")));
        assert_eq!(cache.buried.len(), 5001, "what is older than their end may still come");
        watched(&mut cache, Watched::Apply(thing("b", "11")));
        assert_eq!(cache.buried.keys().collect::<Vec<_>>(), ["young"]);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_the_watch_has_shown_gone() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        watched(&mut cache, gone("a", "12"));
        assert_eq!(wrote(&mut cache, thing("a", "9")), None);
        assert_eq!(wrote(&mut cache, thing("b", "13")), Some(thing("b", "13")));
    }

    #[test]
    fn a_list_removes_what_it_lacks_but_not_what_was_written_meanwhile() {
        let mut cache = Cache::default();
        watched(&mut cache, Watched::Apply(thing("a", "3")));
        assert_eq!(watched(&mut cache, Watched::Begin), Some(thing("a", "3")), "an unfinished list says nothing");
        assert_eq!(watched(&mut cache, Watched::End), None);
        watched(&mut cache, Watched::Begin);
        wrote(&mut cache, thing("b", "5"));
        assert_eq!(watched(&mut cache, Watched::End), Some(thing("b", "5")));
    }
}

//! The objects of one kind, by UID, as a watch shows them. An object that is created again under the same name is another object.

use crate::watch::Watched;
use std::collections::BTreeMap;

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Listing<T> {
    /// The objects by UID.
    pub items: BTreeMap<String, T>,
    /// The list that is being read. Its absences count only when it is complete.
    listed: Option<BTreeMap<String, T>>,
    /// Whether a list has been complete once.
    pub is_complete: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), listed: None, is_complete: false }
    }
}

impl<T> Listing<T> {
    /// Takes one item of the watch, with the object's UID.
    pub fn take(&mut self, change: Watched<(String, T)>) {
        match change {
            Watched::Init => self.listed = Some(BTreeMap::new()),
            Watched::InitApply((uid, item)) => {
                self.listed.get_or_insert_default().insert(uid, item);
            }
            Watched::InitDone => {
                self.items = self.listed.take().unwrap_or_default();
                self.is_complete = true;
            }
            Watched::Apply((uid, item)) => {
                self.items.insert(uid, item);
            }
            Watched::Delete { uid, .. } => {
                self.items.remove(&uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(uid: &str) -> (String, ()) {
        (uid.to_owned(), ())
    }

    #[test]
    fn an_object_is_gone_when_its_deletion_or_a_complete_list_shows_it() {
        let mut all = Listing::default();
        for change in [Watched::Init, Watched::InitApply(item("a")), Watched::InitApply(item("b"))] {
            all.take(change);
        }
        assert!(!all.is_complete && all.items.is_empty());
        all.take(Watched::InitDone);
        all.take(Watched::Apply(item("c")));
        assert_eq!(all.items.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        all.take(Watched::Delete { name: "x".into(), uid: "b".into(), version: "7".into() });
        all.take(Watched::Init);
        assert_eq!(all.items.keys().collect::<Vec<_>>(), ["a", "c"], "an unfinished list removes nothing");
        all.take(Watched::InitApply(item("c")));
        all.take(Watched::InitDone);
        assert_eq!(all.items.keys().collect::<Vec<_>>(), ["c"]);
    }
}

//! A compact map of strings for the labels of a Node and the tags of an ENI. Thousands of these maps are kept, so each map uses
//! one string for all its values, and maps with the same keys can have these in common. A lookup is a linear search.

use crate::shared::{Shared, SharedValues};
use std::fmt;

/// Pairs of a key and a value, sorted by key, each key once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringMap {
    /// The keys. None: the map is empty.
    keys: Option<Shared<Texts>>,
    values: Texts,
}

/// Key lists that maps have in common.
pub type SharedKeys = SharedValues<Texts>;

/// Several texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// All of them, concatenated.
    all: Box<str>,
    /// The end of each, in bytes.
    ends: Box<[u32]>,
}

impl Texts {
    /// Goes through the texts twice, so that each of the two pieces of memory has its size from the beginning.
    fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let (count, bytes) = texts.clone().fold((0, 0), |(count, bytes), text| (count + 1, bytes + text.len()));
        let (mut all, mut ends) = (String::with_capacity(bytes), Vec::with_capacity(count));
        for text in texts {
            all.push_str(text);
            ends.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
        }
        Self { all: all.into(), ends: ends.into() }
    }

    /// The first place of this text. It compares bytes only where the length is the same: keys often begin alike.
    fn position(&self, text: &str) -> Option<usize> {
        let (all, text) = (self.all.as_bytes(), text.as_bytes());
        let mut from = 0;
        self.ends.iter().position(|end| {
            let to = usize::try_from(*end).unwrap_or(usize::MAX);
            let since = std::mem::replace(&mut from, to);
            to.checked_sub(since) == Some(text.len()) && all.get(since..to) == Some(text)
        })
    }

    fn get(&self, place: usize) -> Option<&str> {
        let at = |place: usize| self.ends.get(place).and_then(|end| usize::try_from(*end).ok());
        let from = if place == 0 { 0 } else { at(place - 1)? };
        self.all.get(from..at(place)?)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends.iter().map(|end| usize::try_from(*end).unwrap_or(usize::MAX));
        ends.scan(0, |from, to| self.all.get(std::mem::replace(from, to)..to))
    }
}

impl StringMap {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(self.keys.as_ref()?.position(key)?)
    }

    /// Whether the map has this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().flat_map(|keys| keys.iter()).zip(self.values.iter())
    }

    /// Stores the keys with equal keys of other maps.
    pub fn share_keys(&mut self, known: &mut SharedKeys) {
        if let Some(keys) = &mut self.keys {
            known.store(keys);
        }
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.values.ends.len()
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_none()
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: &str, value: &str) {
        *self = self.iter().chain([(key, value)]).collect();
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        *self = self.iter().filter(|(has, _)| *has != key).collect();
    }

    /// Sets the values of several keys.
    pub fn extend<K: AsRef<str>, V: AsRef<str>>(&mut self, others: impl IntoIterator<Item = (K, V)>) {
        let others: Vec<(K, V)> = others.into_iter().collect();
        *self = self.iter().chain(others.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))).collect();
    }
}

/// If a key occurs several times, its last value counts.
impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for StringMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(K, V)> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        pairs.dedup_by(|(a, _), (b, _)| a.as_ref() == b.as_ref());
        let keys = || Shared::from(Texts::of(pairs.iter().map(|(key, _)| key.as_ref())));
        Self { keys: (!pairs.is_empty()).then(keys), values: Texts::of(pairs.iter().map(|(_, value)| value.as_ref())) }
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for StringMap {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for StringMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_string_map_behaves_like_a_btree_map(
            first in prop::collection::vec(("[a-cä]{0,2}", ".{0,3}"), 0..6),
            more in prop::collection::vec(("[a-cä]{0,2}", ".{0,3}"), 0..4),
            key in "[a-cä]{0,2}",
        ) {
            let mut map: BTreeMap<String, String> = first.iter().cloned().collect();
            let mut pairs: StringMap = first.iter().map(|(key, value)| (key, value)).collect();
            let same = |pairs: &StringMap, map: &BTreeMap<String, String>| {
                pairs.len() == map.len()
                    && pairs.is_empty() == map.is_empty()
                    && pairs.iter().eq(map.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            };
            prop_assert!(same(&pairs, &map));
            prop_assert_eq!(pairs.get(&key), map.get(&key).map(String::as_str));
            prop_assert_eq!(pairs.contains_key(&key), map.contains_key(&key));
            let mut known = SharedKeys::default();
            let mut other: StringMap = first.iter().map(|(key, _)| (key, "other")).collect();
            [&mut other, &mut pairs].into_iter().for_each(|map| map.share_keys(&mut known));
            prop_assert!(same(&pairs, &map), "with the keys of another map");
            map.extend(more.iter().cloned());
            pairs.extend(more.clone());
            prop_assert!(same(&pairs, &map));
            map.insert(key.clone(), "x".to_owned());
            pairs.insert(&key, "x");
            prop_assert!(same(&pairs, &map));
            map.remove(&key);
            pairs.remove(&key);
            prop_assert!(same(&pairs, &map));
            prop_assert_eq!(&pairs, &map.iter().collect());
        }
    }

    #[test]
    fn maps_with_the_same_keys_have_them_in_common() {
        let mut known = SharedKeys::default();
        let mut maps =
            [[("a", "1"), ("b", "2")], [("b", "3"), ("a", "4")], [("a", "1"), ("c", "2")]].map(StringMap::from);
        maps.iter_mut().for_each(|map| map.share_keys(&mut known));
        let [first, second, third] = maps.map(|map| map.keys.unwrap());
        assert!(second.is_stored_with(&first) && !third.is_stored_with(&first));
    }
}

//! A compact map of strings for the labels of a Node and the tags of an ENI. Thousands of these maps are kept, so each map uses
//! one string for all its keys and values. A lookup is a linear search.

use std::fmt;

/// Pairs of a key and a value, sorted by key, each key once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringMap {
    /// All keys and values, concatenated.
    text: Box<str>,
    /// The end of each key and each value, in bytes.
    ends: Box<[u32]>,
}

impl StringMap {
    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(has, value)| (has == key).then_some(value))
    }

    /// Whether the map has this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let ends = self.ends.iter().map(|end| usize::try_from(*end).unwrap_or(usize::MAX));
        let mut texts = ends.scan(0, |from, to| self.text.get(std::mem::replace(from, to)..to));
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
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
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(2 * pairs.len()));
        for part in pairs.iter().flat_map(|(key, value)| [key.as_ref(), value.as_ref()]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { text: text.into(), ends: ends.into() }
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
}

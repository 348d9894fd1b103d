//! The data of `removal-pace`: which nodes lost ENIs of each NodeENI, and how many removals the NodeENI allowed over time.

use super::max_staleness::MAX_STALENESS;
use crate::script::Millis;
use serde_json::Value;
use std::collections::BTreeMap;

/// A part of the window of removals, 300 s: a removal that was allowed may take effect late.
pub(super) const WINDOW: Millis = 150_000;
/// How many nodes every NodeENI may lose within a window.
const AT_LEAST: usize = 10;

/// What each NodeENI has lost, and what it allowed. All maps are by its UID.
#[derive(Debug, Default)]
pub struct RemovalHistories {
    /// When, on which Node, and by which process.
    pub(super) lost: BTreeMap<String, Vec<(Millis, String, String)>>,
    /// How far the clocks of two processes may differ. A process reads times that another process wrote.
    pub(super) apart: Millis,
    /// The values of `rollout.maxRemovals`, each with its start.
    pub(super) allowed: BTreeMap<String, Vec<(Millis, Value)>>,
    /// The most nodes that ever had an ENI of it in place.
    pub(super) nodes: BTreeMap<String, usize>,
    /// When a name that it uses last moved to another subnet.
    pub(super) moved: BTreeMap<String, Millis>,
    /// When someone last allowed all removals at once.
    pub(super) released: BTreeMap<String, Millis>,
}

impl RemovalHistories {
    /// An empty history. `apart`: how far the clocks of two processes may differ.
    pub fn new(apart: Millis) -> Self {
        Self { apart, ..Self::default() }
    }

    /// A name that this NodeENI uses has moved to another subnet.
    pub fn names_moved(&mut self, at: Millis, uid: &str) {
        self.moved.insert(uid.to_owned(), at);
    }

    /// The most that a NodeENI has allowed recently: a replica may not know of an edit yet.
    pub(super) fn most(&self, uid: &str, at: Millis) -> usize {
        let nodes = self.nodes.get(uid).copied().unwrap_or(0);
        let spans = self.allowed.get(uid).map(Vec::as_slice).unwrap_or_default();
        let ended = |n: usize| spans.get(n + 1).map(|(since, _)| *since);
        let late =
            |(n, _): &(usize, &(Millis, Value))| ended(*n).is_none_or(|ended| at <= ended + MAX_STALENESS + WINDOW);
        let of = |value: &Value| match value {
            Value::String(text) => {
                let percent = text.strip_suffix('%').and_then(|number| number.parse::<usize>().ok()).unwrap_or(100);
                // One node more or less may just have been attached or detached.
                ((nodes + 1) * percent / 100).max(1)
            }
            Value::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
            _ => (nodes / 10).max(AT_LEAST),
        };
        spans.iter().enumerate().filter(late).map(|(_, (_, value))| of(value)).max().unwrap_or(usize::MAX)
    }
}

//! The data of `max-unavailable`: nodes that rollouts have made unavailable, and the `maxUnavailable` of each NodeENI over time.

use super::max_staleness::MAX_STALENESS;
use crate::script::{Event, Millis, Operation, Script};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// After a time at which the API server could not be relied on, the checker judges only what statuses report, for so long.
const UNSAID: Millis = 60_000;

/// Nodes that rollouts have made unavailable, and what NodeENIs allowed.
#[derive(Debug, Default)]
pub struct Rollouts {
    /// When the API server cannot be relied on, by the script.
    pub(super) unreliable: Vec<Range<Millis>>,
    /// By UID of the NodeENI and by Node: the unavailable nodes.
    pub(super) away: BTreeMap<(String, String), UnavailableNode>,
    /// By UID of the NodeENI: the values of `maxUnavailable`, each with its start.
    pub(super) allowed: BTreeMap<String, Vec<(Millis, Value)>>,
    /// By UID of the NodeENI: the Nodes that its selector matches or matched, and since when it does not any more.
    pub(super) matched: BTreeMap<String, BTreeMap<String, Option<Millis>>>,
}

#[derive(Debug)]
pub(super) struct UnavailableNode {
    pub(super) since: Millis,
    pub(super) by: String,
    /// How many ENIs of the NodeENI were in place on the node.
    pub(super) had: usize,
}

impl Rollouts {
    /// No node is unavailable yet.
    pub fn of(script: &Script) -> Self {
        let span = |event: &Event| match event.operation {
            Operation::RestartApi { lasts }
            | Operation::Forbid { lasts, .. }
            | Operation::Partition { lasts, .. }
            | Operation::StaleWatch { lasts, .. }
            | Operation::Pause { lasts, .. } => Some(event.at..event.at + lasts + UNSAID),
            _ => None,
        };
        Self { unreliable: script.events.iter().filter_map(span).collect(), ..Self::default() }
    }

    /// Whether no node is unavailable.
    pub fn is_empty(&self) -> bool {
        self.away.is_empty()
    }

    /// The most that a NodeENI has allowed recently: a replica may not know of an edit yet.
    pub(super) fn most(&self, uid: &str, at: Millis) -> usize {
        let spans = self.allowed.get(uid).map(Vec::as_slice).unwrap_or_default();
        let ended = |n: usize| spans.get(n + 1).map(|(since, _)| *since);
        let late = |(n, _): &(usize, &(Millis, Value))| ended(*n).is_none_or(|ended| at <= ended + MAX_STALENESS);
        let nodes = self.matched.get(uid).map_or(0, |nodes| {
            nodes.values().filter(|until| until.is_none_or(|until| at <= until + MAX_STALENESS)).count()
        });
        spans.iter().enumerate().filter(late).map(|(_, (_, most))| most_unavailable(most, nodes)).max().unwrap_or(1)
    }

    /// Records whether a NodeENI matches a Node from now on. A replica may count a Node that it matched a moment ago.
    pub(super) fn matches(&mut self, uid: &str, node: &str, at: Millis, is_matched: bool) {
        let nodes = self.matched.entry(uid.to_owned()).or_default();
        if is_matched {
            nodes.insert(node.to_owned(), None);
        } else if let Some(until @ None) = nodes.get_mut(node) {
            *until = Some(at);
        }
    }
}

/// How many of `nodes` nodes a stored `rollout.maxUnavailable` allows to be unavailable. A percentage is rounded up.
pub fn most_unavailable(stored: &Value, nodes: usize) -> usize {
    let percent =
        stored.as_str().and_then(|text| text.strip_suffix('%')).and_then(|number| number.parse::<usize>().ok());
    let number = match percent {
        Some(percent) => (nodes * percent).div_ceil(100),
        None => stored.as_u64().map_or(1, |number| usize::try_from(number).unwrap_or(usize::MAX)),
    };
    number.max(1)
}

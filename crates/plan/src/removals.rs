//! Decides how many nodes of a NodeENI may lose ENIs now because of labels or an edit. The decision is keyed by NodeENI, like
//! [`crate::rollout`].
//!
//! A typo in a selector must not remove the interfaces of a whole fleet within seconds. So only a limited number of nodes of one
//! NodeENI lose ENIs within a window ([`Settings::removal_window`](crate::settings::Settings)). The other nodes wait, are counted
//! in the NodeENI's status, and keep their ENIs if the edit is undone. The pace does not apply to a NodeENI that is deleted, a
//! Node that is gone, or an ENI that carries no traffic.

use crate::counted::{counted, verb};
use crate::max_removals::MaxRemovals;
use crate::nodeeni::NodeEni;
use crate::upcoming::when;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{ConditionUpdate, types};
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;
use multi_eni_api::nodeeni_status::{RecentRemovals, RemovalRecord};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// Removals within this many seconds are one entry of the record in the status.
const ENTRY_SECONDS: i64 = 10;

/// Why a node would lose ENIs of a NodeENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its labels do not match `nodeSelector` and `nodeSelectorTerms` any more: the labels, the selector or a term changed.
    Deselected,
    /// The spec describes fewer ENIs for it: a subnet was taken off the list, for instance.
    Edited,
}

/// The nodes on which `assign` may remove ENIs that a NodeENI no longer asks for, by UID of the NodeENI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalPermits {
    is_unpaced: bool,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
}

impl RemovalPermits {
    /// Permits every removal: for models without a removal pace.
    pub fn unpaced() -> Self {
        Self { is_unpaced: true, ..Self::default() }
    }

    /// Whether the NodeENI of this UID may lose ENIs on this node now.
    pub fn allows(&self, uid: &str, node: &str) -> bool {
        self.is_unpaced || self.by_nodeeni.get(uid).is_some_and(|nodes| nodes.contains(node))
    }

    /// Sets the nodes of one NodeENI. Returns the nodes whose permit changed.
    pub fn set(&mut self, uid: &str, nodes: BTreeSet<String>) -> Vec<String> {
        let old = self.by_nodeeni.remove(uid).unwrap_or_default();
        let changed = old.symmetric_difference(&nodes).cloned().collect();
        if !nodes.is_empty() {
            self.by_nodeeni.insert(uid.to_owned(), nodes);
        }
        changed
    }

    /// Forgets NodeENIs that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.by_nodeeni.retain(|uid, _| is_there(uid));
    }
}

/// The nodes of one NodeENI that lost ENIs recently by removals that are paced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalHistory {
    /// Nodes that were granted a removal, and when by the record: see [`recorded_at`].
    granted: BTreeMap<String, Timestamp>,
    /// Removals that an earlier process granted: when, and for how many nodes.
    inherited: Vec<(Timestamp, usize)>,
    /// Nodes that the NodeENI had when the removals began.
    of: usize,
    /// Nodes that were to lose ENIs at the last decision.
    losing: BTreeSet<String>,
    /// Granted nodes that the NodeENI's status counts, so that the next leader counts them too.
    recorded: BTreeSet<String>,
}

/// The input of the pace of one NodeENI's removals.
pub struct Input<'a> {
    /// Nodes that would lose ENIs now, and why.
    pub losing: &'a BTreeMap<String, Cause>,
    /// Counts the nodes that have ENIs of the NodeENI. It is not called while nothing is to be removed.
    pub nodes: &'a dyn Fn() -> usize,
    /// `rollout.maxRemovals`.
    pub max: Option<MaxRemovals>,
    /// The user permits all removals at once.
    pub is_released: bool,
    /// The record in the NodeENI's status. Only removals that it counts are permitted: if a leader ended before it wrote them,
    /// its successor would start to count from zero.
    pub record: Option<&'a RemovalRecord>,
    /// The time within which at most the limit of nodes lose ENIs.
    pub window: SignedDuration,
    /// The present time.
    pub now: Timestamp,
}

/// The pace of one NodeENI's removals, now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RemovalPace {
    /// Nodes that may lose ENIs now.
    pub permitted: BTreeSet<String>,
    /// Nodes that have to wait, and why they would lose ENIs.
    pub waiting: BTreeMap<String, Cause>,
    /// The limit of nodes within a window.
    pub limit: usize,
    /// Nodes that lost ENIs within the last window, or may lose them now.
    pub recent: usize,
    /// Nodes that the NodeENI had when the removals began.
    pub of: usize,
    /// The window.
    pub window: SignedDuration,
    /// When the next node that waits may lose its ENIs.
    pub next: Option<Timestamp>,
    /// When the last node that waits may lose its ENIs, at this pace.
    pub last: Option<Timestamp>,
    /// The entries for the record in the status, from which the next leader continues.
    pub entries: Vec<RecentRemovals>,
}

impl RemovalHistory {
    /// Restores the history from a NodeENI's status, when a process starts.
    pub fn read(record: Option<&RemovalRecord>) -> Self {
        let Some(record) = record else { return Self::default() };
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let inherited = record.recent.iter().map(|entry| (entry.at.0, count(entry.nodes))).collect();
        Self { inherited, of: count(record.of_nodes), ..Self::default() }
    }

    /// Grants removals up to the limit, and permits those that the record counts.
    pub fn pace(&mut self, input: &Input<'_>) -> RemovalPace {
        let Input { losing, nodes, max, is_released, record, window, now } = *input;
        let is_recent = |at: Timestamp| at.saturating_add(window).is_ok_and(|end| end > now);
        self.granted.retain(|_, at| is_recent(*at));
        self.recorded.retain(|node| self.granted.contains_key(node));
        self.inherited.retain(|(at, _)| is_recent(*at));
        // A node that got ENIs again and loses them once more counts from now, and not from its first removal.
        for node in losing.keys().filter(|node| !self.losing.contains(*node)) {
            self.granted.entry(node.clone()).and_modify(|at| *at = recorded_at(now));
        }
        self.losing = losing.keys().cloned().collect();
        // The base of the percentage stays while removals go on. It neither shrinks with the nodes that are left nor starts
        // again.
        let is_idle = losing.is_empty() && self.granted.is_empty() && self.inherited.is_empty();
        self.of = if is_idle { 0 } else { self.of.max(nodes()) };
        let limit = MaxRemovals::of(max, self.of);
        let free = if is_released { usize::MAX } else { limit.saturating_sub(self.count()) };
        let new: Vec<&String> = losing.keys().filter(|node| !self.granted.contains_key(*node)).take(free).collect();
        self.granted.extend(new.into_iter().map(|node| (node.clone(), recorded_at(now))));
        let is_granted = |node: &String| self.granted.contains_key(node);
        let entries = self.entries();
        if is_released || entries.iter().all(|entry| is_counted(entry, record)) {
            self.recorded = self.granted.keys().cloned().collect();
        }
        let permitted: BTreeSet<String> = losing.keys().filter(|node| self.recorded.contains(*node)).cloned().collect();
        let waiting: BTreeMap<String, Cause> =
            losing.iter().filter(|(node, _)| !is_granted(node)).map(|(node, why)| (node.clone(), *why)).collect();
        let turn = |place: usize| self.turn(place, limit, window);
        let (next, last) =
            if waiting.is_empty() { (None, None) } else { (turn(0), turn(waiting.len().saturating_sub(1))) };
        RemovalPace { permitted, waiting, limit, recent: self.count(), of: self.of, window, next, last, entries }
    }

    /// The number of nodes that lost ENIs within the window.
    fn count(&self) -> usize {
        self.granted.len() + self.inherited.iter().map(|(_, nodes)| nodes).sum::<usize>()
    }

    /// When the node at this place of the waiting nodes may lose its ENIs, if nothing else changes.
    fn turn(&self, place: usize, limit: usize, window: SignedDuration) -> Option<Timestamp> {
        let inherited = self.inherited.iter().flat_map(|(at, nodes)| std::iter::repeat_n(*at, *nodes));
        let mut times: Vec<Timestamp> = self.granted.values().copied().chain(inherited).collect();
        times.sort_unstable();
        let limit = limit.max(1);
        let first = times.len().saturating_sub(limit);
        let at = times.get(first + place % limit)?;
        let windows = i32::try_from(place / limit + 1).ok()?;
        at.saturating_add(window.checked_mul(windows)?).ok()
    }

    /// The number of nodes by time.
    fn entries(&self) -> Vec<RecentRemovals> {
        let mut entries: BTreeMap<Timestamp, usize> = BTreeMap::new();
        let granted = self.granted.values().map(|at| (*at, 1));
        for (at, nodes) in granted.chain(self.inherited.iter().copied()) {
            *entries.entry(recorded_at(at)).or_default() += nodes;
        }
        let entry = |(at, nodes)| RecentRemovals { at: Time(at), nodes: number(nodes) };
        entries.into_iter().map(entry).collect()
    }
}

impl RemovalPace {
    /// The record for the NodeENI's status. `before` is kept if it counts as much: entries that have run out are no reason to
    /// write.
    pub fn record(&self, before: Option<&RemovalRecord>) -> Option<RemovalRecord> {
        if self.entries.iter().all(|entry| is_counted(entry, before)) {
            return before.cloned();
        }
        Some(RemovalRecord { of_nodes: number(self.of), recent: self.entries.clone() })
    }

    /// The condition RemovalPaced, written at `now`.
    pub fn condition(&self, nodeeni: &NodeEni, now: Timestamp) -> ConditionUpdate {
        if nodeeni.allows_removals {
            let message = format!(
                "the annotation {ANNOTATION_ALLOW_REMOVALS}={0} permits all waiting removals of ENIs at once, and those on \
                 nodes that lose their labels later. When these ENIs are gone, remove the annotation: kubectl annotate nodeeni \
                 {1} {ANNOTATION_ALLOW_REMOVALS}-",
                nodeeni.generation, nodeeni.name
            );
            return ConditionUpdate::new(types::REMOVAL_PACED, false, "Released", message);
        }
        match self.reported(nodeeni, now) {
            None => ConditionUpdate::new(types::REMOVAL_PACED, false, "NothingWaits", "no node waits for a removal"),
            Some(message) => ConditionUpdate::new(types::REMOVAL_PACED, true, "TooManyAtOnce", message),
        }
    }

    /// A sentence, written at `now`, with the number of nodes that wait, why and until when they wait, and how to stop or release the removals. None
    /// if no node waits.
    pub fn reported(&self, nodeeni: &NodeEni, now: Timestamp) -> Option<String> {
        let (next, last) = (self.next?, self.last?);
        let of = |cause| self.waiting.values().filter(|why| **why == cause).count();
        let fields = nodeeni.selector_fields();
        let why = [
            (of(Cause::Deselected), format!("no longer matches {fields}"), format!("no longer match {fields}")),
            (
                of(Cause::Edited),
                "has ENIs that the spec no longer asks for".to_owned(),
                "have ENIs that the spec no longer asks for".to_owned(),
            ),
        ];
        let why = why.into_iter().filter(|(nodes, ..)| *nodes > 0);
        let why: Vec<String> =
            why.map(|(nodes, one, several)| format!("{nodes} {}", if nodes == 1 { one } else { several })).collect();
        Some(format!(
            "{} {} for the removal of ENIs ({}): at most {} of {} may lose ENIs within {:#} (rollout.maxRemovals). The \
             next removal is {}, the last one {}. To stop the removals, undo the change: the waiting nodes keep their \
             ENIs. To permit all at once: kubectl annotate nodeeni {} --overwrite {ANNOTATION_ALLOW_REMOVALS}={}",
            counted(self.waiting.len(), "node"),
            verb(self.waiting.len(), "waits", "wait"),
            why.join(", "),
            self.limit,
            self.of,
            self.window,
            when(next, now),
            when(last, now),
            nodeeni.name,
            nodeeni.generation
        ))
    }
}

/// The time by which a removal counts: rounded up to whole [`ENTRY_SECONDS`], so the pace is never faster than the limit. The process that
/// grants a removal counts by the same time as those that read the record: the next leader, and `multi-eni plan`.
fn recorded_at(at: Timestamp) -> Timestamp {
    let seconds =
        at.as_second().saturating_add(ENTRY_SECONDS - 1).div_euclid(ENTRY_SECONDS).saturating_mul(ENTRY_SECONDS);
    Timestamp::from_second(seconds).unwrap_or(at)
}

/// Whether the record counts at least as many nodes at that time.
fn is_counted(entry: &RecentRemovals, record: Option<&RemovalRecord>) -> bool {
    let noted = record.into_iter().flat_map(|record| &record.recent);
    noted.clone().any(|old| old.at == entry.at && old.nodes >= entry.nodes)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

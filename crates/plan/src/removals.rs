//! The pace of removals that come from labels or from an edit: keyed by NodeENI, like [`crate::rollout`].
//!
//! A typo in a selector must not take the interfaces of a whole fleet within seconds. So of one NodeENI only so many nodes lose
//! ENIs within a window ([`Settings::removal_window`](crate::settings::Settings)); the others wait, are told apart in its status,
//! and keep what they have if the edit is undone. A NodeENI that is deleted, a Node that is gone and an ENI that carries no
//! traffic are not paced.

use crate::max_removals::MaxRemovals;
use crate::nodeeni::NodeEni;
use crate::wording::second;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{Wanted, types};
use multi_eni_api::names::ANNOTATION_ALLOW_REMOVALS;
use multi_eni_api::nodeeni::{RecentRemovals, RemovalRecord};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// Removals of so many seconds are one entry of the record in the status.
const ENTRY_SECONDS: i64 = 10;

/// Why a node would lose ENIs of a NodeENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its labels do not match `nodeSelector` any more: the labels or the selector changed.
    Deselected,
    /// The spec describes fewer ENIs for it: a subnet was taken off the list, for instance.
    Edited,
}

/// Nodes on which `assign` may remove what its NodeENI no longer asks for, by UID of the NodeENI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalPermits {
    is_unpaced: bool,
    by_nodeeni: BTreeMap<String, BTreeSet<String>>,
}

impl RemovalPermits {
    /// Every removal is permitted: for models in which nothing is paced.
    pub fn unpaced() -> Self {
        Self { is_unpaced: true, ..Self::default() }
    }

    /// Whether the NodeENI of this UID may lose ENIs on this node now.
    pub fn allows(&self, uid: &str, node: &str) -> bool {
        self.is_unpaced || self.by_nodeeni.get(uid).is_some_and(|nodes| nodes.contains(node))
    }

    /// Sets the nodes of one NodeENI; answers those for which it changed.
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

/// Which nodes of one NodeENI lost ENIs of late, by removals that are paced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalHistory {
    /// Nodes that were permitted, and when.
    granted: BTreeMap<String, Timestamp>,
    /// What an earlier process permitted: when, and how many nodes.
    inherited: Vec<(Timestamp, usize)>,
    /// Nodes that the NodeENI had when the removals began.
    of: usize,
    /// Nodes that were losing ENIs the last time.
    losing: BTreeSet<String>,
    /// Granted nodes that the NodeENI's status counts: the next leader knows of them.
    recorded: BTreeSet<String>,
}

/// What the pace of one NodeENI's removals depends on.
#[derive(Debug)]
pub struct Input<'a> {
    /// Nodes that would lose ENIs now, and why.
    pub losing: &'a BTreeMap<String, Cause>,
    /// Nodes that have ENIs of it.
    pub nodes: usize,
    /// `rollout.maxRemovals`.
    pub max: Option<MaxRemovals>,
    /// A person lets everything go on at once.
    pub is_released: bool,
    /// What the NodeENI's status counts. Nothing goes that it does not count: a leader that ends before it has written that would let
    /// its successor begin anew.
    pub record: Option<&'a RemovalRecord>,
    /// The time within which no more than the maximum go.
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
    /// Most nodes within a window.
    pub limit: usize,
    /// Nodes that lost ENIs within the last window, or may lose them now.
    pub recent: usize,
    /// Nodes that the NodeENI had when the removals began.
    pub of: usize,
    /// The window.
    pub window: SignedDuration,
    /// When the next node that waits may lose its ENIs.
    pub next: Option<Timestamp>,
    /// When the last one that waits will have its turn, at this pace.
    pub last: Option<Timestamp>,
    /// What the next leader needs to know.
    pub entries: Vec<RecentRemovals>,
}

impl RemovalHistory {
    /// What a NodeENI's status tells a process that begins.
    pub fn read(record: Option<&RemovalRecord>) -> Self {
        let Some(record) = record else { return Self::default() };
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let inherited = record.recent.iter().map(|entry| (entry.at.0, count(entry.nodes))).collect();
        Self { inherited, of: count(record.of_nodes), ..Self::default() }
    }

    /// Grants what the pace allows.
    pub fn pace(&mut self, input: &Input<'_>) -> RemovalPace {
        let Input { losing, nodes, max, is_released, record, window, now } = *input;
        let is_recent = |at: Timestamp| at.saturating_add(window).is_ok_and(|end| end > now);
        self.granted.retain(|_, at| is_recent(*at));
        self.recorded.retain(|node| self.granted.contains_key(node));
        self.inherited.retain(|(at, _)| is_recent(*at));
        // Who has got ENIs again since it lost some, and loses them once more, does so now and not then.
        for node in losing.keys().filter(|node| !self.losing.contains(*node)) {
            self.granted.entry(node.clone()).and_modify(|at| *at = now);
        }
        self.losing = losing.keys().cloned().collect();
        // The base of a percentage stays while removals go on: it neither shrinks with what is left nor begins anew.
        let is_idle = losing.is_empty() && self.granted.is_empty() && self.inherited.is_empty();
        self.of = if is_idle { nodes } else { self.of.max(nodes) };
        let limit = MaxRemovals::of(max, self.of);
        let subnets = if is_released { usize::MAX } else { limit.saturating_sub(self.count()) };
        let new: Vec<&String> = losing.keys().filter(|node| !self.granted.contains_key(*node)).take(subnets).collect();
        self.granted.extend(new.into_iter().map(|node| (node.clone(), now)));
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

    /// Nodes that lost ENIs within the window.
    fn count(&self) -> usize {
        self.granted.len() + self.inherited.iter().map(|(_, nodes)| nodes).sum::<usize>()
    }

    /// When the node at this place of those that wait has its turn, if nothing else happens.
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

    /// Nodes by the time of their entry: whole [`ENTRY_SECONDS`], rounded up, so that the pace errs to the slow side.
    fn entries(&self) -> Vec<RecentRemovals> {
        let mut entries: BTreeMap<Timestamp, usize> = BTreeMap::new();
        let granted = self.granted.values().map(|at| (*at, 1));
        for (at, nodes) in granted.chain(self.inherited.iter().copied()) {
            let seconds = at.as_second().saturating_add(ENTRY_SECONDS - 1).div_euclid(ENTRY_SECONDS) * ENTRY_SECONDS;
            *entries.entry(Timestamp::from_second(seconds).unwrap_or(at)).or_default() += nodes;
        }
        let entry = |(at, nodes)| RecentRemovals { at: Time(at), nodes: number(nodes) };
        entries.into_iter().map(entry).collect()
    }
}

impl RemovalPace {
    /// The record for the NodeENI's status. `before` stands as it is if it says as much: that old entries have run out is no reason
    /// to write.
    pub fn record(&self, before: Option<&RemovalRecord>) -> Option<RemovalRecord> {
        if self.entries.iter().all(|entry| is_counted(entry, before)) {
            return before.cloned();
        }
        Some(RemovalRecord { of_nodes: number(self.of), recent: self.entries.clone() })
    }

    /// The condition RemovalPaced.
    pub fn condition(&self, nodeeni: &NodeEni) -> Wanted {
        if nodeeni.allows_removals {
            let message = format!(
                "the annotation {ANNOTATION_ALLOW_REMOVALS}={0} lets all nodes that are to lose ENIs do so at once, also those that lose \
                 their labels later. When all have gone, take it away: kubectl annotate nodeeni {1} {ANNOTATION_ALLOW_REMOVALS}-",
                nodeeni.generation, nodeeni.name
            );
            return Wanted::new(types::REMOVAL_PACED, false, "Released", message);
        }
        match self.reported(nodeeni) {
            None => Wanted::new(types::REMOVAL_PACED, false, "NothingWaits", "no node waits to lose its ENIs"),
            Some(message) => Wanted::new(types::REMOVAL_PACED, true, "TooManyAtOnce", message),
        }
    }

    /// How many nodes wait, why, until when, how to stop it and how to let it go on; None if none waits.
    pub fn reported(&self, nodeeni: &NodeEni) -> Option<String> {
        let (next, last) = (self.next?, self.last?);
        let of = |cause| self.waiting.values().filter(|why| **why == cause).count();
        let why = [
            (of(Cause::Deselected), "no longer match nodeSelector"),
            (of(Cause::Edited), "are to have fewer ENIs by the spec"),
        ];
        let why: Vec<String> =
            why.iter().filter(|(nodes, _)| *nodes > 0).map(|(nodes, why)| format!("{nodes} {why}")).collect();
        Some(format!(
            "{} nodes are to lose ENIs and wait ({}): no more than {} of {} may within {:#} (rollout.maxRemovals). The next go at {}, the \
             last at about {}. To stop it, undo the change: those that wait keep their ENIs. To let all go at once: kubectl annotate \
             nodeeni {} --overwrite {ANNOTATION_ALLOW_REMOVALS}={}",
            self.waiting.len(),
            why.join(", "),
            self.limit,
            self.of,
            self.window,
            second(next),
            second(last),
            nodeeni.name,
            nodeeni.generation
        ))
    }
}

/// Whether the record counts as many nodes at that time.
fn is_counted(entry: &RecentRemovals, record: Option<&RemovalRecord>) -> bool {
    let noted = record.into_iter().flat_map(|record| &record.recent);
    noted.clone().any(|old| old.at == entry.at && old.nodes >= entry.nodes)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

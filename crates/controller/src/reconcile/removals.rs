//! The pace of removals: which nodes of a NodeENI would lose ENIs goes in, whose turn it is comes out.

use super::Reconciler;
use crate::store::NodeEniEntry;
use crate::work_queue::Key;
use multi_eni_plan::assign::Assignment;
use multi_eni_plan::nodeeni::Unreadable;
use multi_eni_plan::removals::{Cause, Input, RemovalHistory, RemovalPace};
use std::collections::{BTreeMap, BTreeSet};

impl Reconciler {
    /// Grants what the pace of this NodeENI allows now. Nodes for which that changed are looked at; when the next node that waits has
    /// its turn, the NodeENI is.
    pub(super) fn pace_removals(&mut self, entry: &NodeEniEntry) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        let losing = self.losing(|assignment| assignment.share(uid).losing);
        let pace = self.paced(entry, &losing);
        for node in self.removals.set(uid, pace.permitted.clone()) {
            self.queue.now(Key::Node(node));
        }
        if let Some(next) = pace.next {
            self.queue.at(Key::NodeEni(entry.nodeeni.name.clone()), next);
        }
        pace
    }

    /// The pace as it would be if all that is to go were to go now: what has just lost its labels counts, too.
    pub(super) fn pace_to_come(&mut self, entry: &NodeEniEntry) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        let mine: BTreeSet<&String> = self.store.attachments_of(uid).map(|entry| &entry.attachment.name).collect();
        let losing = self.losing(|assignment| {
            let is_marked = assignment.deselect.iter().any(|name| mine.contains(name));
            assignment.share(uid).losing.or(is_marked.then_some(Cause::Deselected))
        });
        self.paced(entry, &losing)
    }

    /// Nodes that are there and would lose ENIs.
    fn losing(&self, cause: impl Fn(&Assignment) -> Option<Cause>) -> BTreeMap<String, Cause> {
        let there = self.assignments.iter().filter(|(node, _)| self.store.node(node).is_some());
        there.filter_map(|(node, last)| Some((node.clone(), cause(last)?))).collect()
    }

    fn paced(&mut self, entry: &NodeEniEntry, losing: &BTreeMap<String, Cause>) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        if matches!(entry.nodeeni.spec, Err(Unreadable::Shape(_))) {
            // Nothing goes for what it says, and what its status counts may not have been read.
            self.removal_histories.remove(uid);
            return RemovalPace::default();
        }
        let in_use = self.store.attachments_of(uid).filter(|entry| entry.attachment.may_be_in_use());
        let nodes: BTreeSet<&String> = in_use.map(|entry| &entry.attachment.node).collect();
        let input = Input {
            losing,
            nodes: nodes.len(),
            max: entry.nodeeni.spec.as_ref().ok().and_then(|spec| spec.max_removals),
            is_released: entry.nodeeni.allows_removals,
            record: entry.status.removals.as_ref(),
            window: self.deps.settings.removal_window,
            now: self.now(),
        };
        let history = self
            .removal_histories
            .entry(uid.clone())
            .or_insert_with(|| RemovalHistory::read(entry.status.removals.as_ref()));
        history.pace(&input)
    }
}

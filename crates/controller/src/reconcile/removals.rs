//! The pace of removals. `RemovalHistory` decides which nodes of a NodeENI may lose ENIs now; this file collects the nodes that
//! would lose ENIs, and reconciles those that may.

use super::Reconciler;
use crate::store::NodeEniEntry;
use crate::work_queue::Key;
use multi_eni_plan::assign::Assignment;
use multi_eni_plan::nodeeni::Unreadable;
use multi_eni_plan::removals::{Cause, Input, RemovalHistory, RemovalPace};
use std::collections::{BTreeMap, BTreeSet};

impl Reconciler {
    /// Permits the removals that the pace of this NodeENI allows now, and reconciles the nodes whose permit changed. The NodeENI
    /// is reconciled when the next node may lose its ENIs.
    pub(super) fn pace_removals(&mut self, entry: &NodeEniEntry) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        let there = self.assignments.losing(uid).filter(|(node, _)| self.store.node(node).is_some());
        let losing = there.map(|(node, cause)| (node.clone(), cause)).collect();
        let pace = self.compute_pace(entry, &losing);
        for node in self.removals.set(uid, pace.permitted.clone()) {
            self.queue.add(Key::Node(node));
        }
        if let Some(next) = pace.next {
            self.queue.add_at(Key::NodeEni(entry.nodeeni.name.clone()), next);
        }
        pace
    }

    /// The pace if all removals to come happened now, those of nodes that have just lost their labels included.
    pub(super) fn projected_pace(&mut self, entry: &NodeEniEntry) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        let names: BTreeSet<&String> = self.store.attachments_of(uid).map(|entry| &entry.attachment.name).collect();
        let cause = |assignment: &Assignment| {
            let is_marked = assignment.deselect.iter().any(|name| names.contains(name));
            assignment.losing_cause(uid).or(is_marked.then_some(Cause::Deselected))
        };
        let there = self.assignments.iter().filter(|(node, _)| self.store.node(node).is_some());
        let losing = there.filter_map(|(node, last)| Some((node.clone(), cause(last)?))).collect();
        self.compute_pace(entry, &losing)
    }

    fn compute_pace(&mut self, entry: &NodeEniEntry, losing: &BTreeMap<String, Cause>) -> RemovalPace {
        let uid = &entry.nodeeni.uid;
        if matches!(entry.nodeeni.spec, Err(Unreadable::Shape(_))) {
            // A spec that cannot be parsed removes nothing, and the record in its status may not have been parsed either.
            self.removal_histories.remove(uid);
            return RemovalPace::default();
        }
        let store = &self.store;
        let nodes = || {
            let in_use = store.attachments_of(uid).filter(|entry| entry.attachment.may_be_in_use());
            in_use.map(|entry| &entry.attachment.node).collect::<BTreeSet<_>>().len()
        };
        let input = Input {
            losing,
            nodes: &nodes,
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

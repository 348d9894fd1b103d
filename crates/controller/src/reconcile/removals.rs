//! The pace of removals: which nodes of a NodeENI would lose ENIs goes in, whose turn it is comes out.

use super::Reconciler;
use crate::queue::Key;
use crate::world::NodeEniEntry;
use multi_eni_plan::assign::Assignment;
use multi_eni_plan::intent::Unreadable;
use multi_eni_plan::removals::{Cause, Input, Ledger, Pace};
use std::collections::{BTreeMap, BTreeSet};

impl Reconciler {
    /// Grants what the pace of this NodeENI allows now. Nodes for which that changed are looked at; when the next node that waits has
    /// its turn, the NodeENI is.
    pub(super) fn pace_removals(&mut self, entry: &NodeEniEntry) -> Pace {
        let uid = &entry.intent.uid;
        let losing = self.losing(|assignment| assignment.share(uid).losing);
        let pace = self.paced(entry, &losing);
        for node in self.removals.set(uid, pace.permitted.clone()) {
            self.queue.now(Key::Node(node));
        }
        if let Some(next) = pace.next {
            self.queue.at(Key::NodeEni(entry.intent.name.clone()), next);
        }
        pace
    }

    /// The pace as it would be if all that is to go were to go now: what has just lost its labels counts, too.
    pub(super) fn pace_to_come(&mut self, entry: &NodeEniEntry) -> Pace {
        let uid = &entry.intent.uid;
        let mine: BTreeSet<&String> = self.world.attachments_of(uid).map(|entry| &entry.held.name).collect();
        let losing = self.losing(|assignment| {
            let is_marked = assignment.deselect.iter().any(|name| mine.contains(name));
            assignment.share(uid).losing.or(is_marked.then_some(Cause::Deselected))
        });
        self.paced(entry, &losing)
    }

    /// Nodes that are there and would lose ENIs.
    fn losing(&self, cause: impl Fn(&Assignment) -> Option<Cause>) -> BTreeMap<String, Cause> {
        let there = self.assignments.iter().filter(|(node, _)| self.world.node(node).is_some());
        there.filter_map(|(node, last)| Some((node.clone(), cause(last)?))).collect()
    }

    fn paced(&mut self, entry: &NodeEniEntry, losing: &BTreeMap<String, Cause>) -> Pace {
        let uid = &entry.intent.uid;
        if matches!(entry.intent.ask, Err(Unreadable::Shape(_))) {
            // Nothing goes for what it says, and what its status counts may not have been read.
            self.ledgers.remove(uid);
            return Pace::default();
        }
        let in_use = self.world.attachments_of(uid).filter(|entry| entry.held.may_be_in_use());
        let nodes: BTreeSet<&String> = in_use.map(|entry| &entry.held.node).collect();
        let input = Input {
            losing,
            nodes: nodes.len(),
            max: entry.intent.ask.as_ref().ok().and_then(|ask| ask.max_removals),
            is_released: entry.intent.allows_removals,
            record: entry.status.removals.as_ref(),
            window: self.means.settings.removal_window,
            now: self.now(),
        };
        let ledger = self.ledgers.entry(uid.clone()).or_insert_with(|| Ledger::read(entry.status.removals.as_ref()));
        ledger.pace(&input)
    }
}

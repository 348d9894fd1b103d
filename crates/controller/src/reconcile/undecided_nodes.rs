//! The Nodes that have not been decided since a NodeENI changed. A Node whose writes are under way is decided when they have ended,
//! and the status of the NodeENI may be due before that: its last assignment is of the old spec then.

use std::collections::{BTreeMap, BTreeSet};

/// Names of Nodes by UID of the NodeENI. A NodeENI all of whose Nodes are decided has no entry.
#[derive(Debug, Default)]
pub(super) struct UndecidedNodes(BTreeMap<String, BTreeSet<String>>);

impl UndecidedNodes {
    /// The NodeENI with this UID changed, and these Nodes are to be decided again.
    pub fn changed(&mut self, uid: &str, nodes: &BTreeSet<String>) {
        if !nodes.is_empty() {
            self.0.entry(uid.to_owned()).or_default().extend(nodes.iter().cloned());
        }
    }

    /// This Node was decided. Returns the UIDs of the NodeENIs that waited for it last.
    pub fn decided(&mut self, node: &str) -> Vec<String> {
        let (mut complete, mut rest) = (Vec::new(), BTreeMap::new());
        for (uid, mut nodes) in std::mem::take(&mut self.0) {
            if nodes.remove(node) && nodes.is_empty() {
                complete.push(uid);
            } else {
                rest.insert(uid, nodes);
            }
        }
        self.0 = rest;
        complete
    }

    /// Number of Nodes that are not decided for this NodeENI.
    pub fn of(&self, uid: &str) -> usize {
        self.0.get(uid).map_or(0, BTreeSet::len)
    }

    /// Keeps the NodeENIs that still exist.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| exists(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodeeni_is_complete_when_its_last_node_is_decided() {
        let mut undecided = UndecidedNodes::default();
        undecided.changed("a", &["n0", "n1"].map(str::to_owned).into());
        undecided.changed("b", &["n1"].map(str::to_owned).into());
        undecided.changed("c", &BTreeSet::new());
        assert_eq!(["a", "b", "c"].map(|uid| undecided.of(uid)), [2, 1, 0]);
        assert!(undecided.decided("n0").is_empty() && undecided.decided("other").is_empty());
        undecided.changed("a", &["n0"].map(str::to_owned).into());
        assert_eq!(undecided.decided("n1"), ["b"], "n0 is to be decided once more for a");
        assert_eq!(undecided.decided("n0"), ["a"]);
        undecided.changed("a", &["n0"].map(str::to_owned).into());
        undecided.retain(|uid| uid != "a");
        assert_eq!(undecided.of("a"), 0);
    }
}

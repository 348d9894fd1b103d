//! The last assignment of each Node, with indexes: by NodeENI of what the pace of removals and rollouts asks after every change of an
//! ENIAttachment, and by lookup of the Nodes that wait for it. With thousands of Nodes a search through all assignments would take
//! most of the process's time.

use multi_eni_api::ids::SubnetId;
use multi_eni_plan::assign::{Assignment, Need};
use multi_eni_plan::removals::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// Assignments by name of the Node.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LastAssignments {
    /// In boxes: a map keeps spare room for values in it.
    by_node: BTreeMap<String, Box<Assignment>>,
    /// Nodes with ENIs that the spec no longer describes, by UID of the NodeENI.
    outdated: BTreeMap<String, BTreeSet<String>>,
    /// Nodes that would lose ENIs, and why, by UID of the NodeENI.
    losing: BTreeMap<String, BTreeMap<String, Cause>>,
    /// Nodes whose decision needs lookups.
    needing_lookups: BTreeSet<String>,
    /// Nodes whose decision needs a subnet by its ID.
    needing_subnet: BTreeMap<SubnetId, BTreeSet<String>>,
}

impl LastAssignments {
    pub fn get(&self, node: &str) -> Option<&Assignment> {
        self.by_node.get(node).map(Box::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Assignment)> {
        self.by_node.iter().map(|(node, assignment)| (node, assignment.as_ref()))
    }

    pub fn values(&self) -> impl Iterator<Item = &Assignment> {
        self.by_node.values().map(Box::as_ref)
    }

    /// The Nodes with outdated ENIs of the NodeENI with this UID.
    pub fn outdated(&self, uid: &str) -> BTreeSet<String> {
        self.outdated.get(uid).cloned().unwrap_or_default()
    }

    /// The Nodes that would lose ENIs of the NodeENI with this UID, with the cause.
    pub fn losing(&self, uid: &str) -> impl Iterator<Item = (&String, Cause)> {
        self.losing.get(uid).into_iter().flatten().map(|(node, cause)| (node, *cause))
    }

    /// The Nodes whose decision needs lookups.
    pub fn needing_lookups(&self) -> impl Iterator<Item = &String> {
        self.needing_lookups.iter()
    }

    /// The Nodes whose decision needs the subnet with this ID.
    pub fn needing_subnet(&self, id: &SubnetId) -> impl Iterator<Item = &String> {
        self.needing_subnet.get(id).into_iter().flatten()
    }

    pub fn insert(&mut self, node: String, mut assignment: Assignment) {
        self.remove(&node);
        assignment.shrink_to_fit();
        for uid in assignment.outdated.keys() {
            self.outdated.entry(uid.clone()).or_default().insert(node.clone());
        }
        for uid in assignment.losing.keys() {
            if let Some(cause) = assignment.losing_cause(uid) {
                self.losing.entry(uid.clone()).or_default().insert(node.clone(), cause);
            }
        }
        for id in assignment.needs.iter().filter_map(Need::subnet) {
            self.needing_subnet.entry(id.clone()).or_default().insert(node.clone());
        }
        if !assignment.needs.is_empty() {
            self.needing_lookups.insert(node.clone());
        }
        self.by_node.insert(node, Box::new(assignment));
    }

    pub fn remove(&mut self, node: &str) {
        let Some(old) = self.by_node.remove(node) else { return };
        for uid in old.outdated.keys() {
            if let Some(nodes) = self.outdated.get_mut(uid) {
                nodes.remove(node);
            }
        }
        for uid in old.losing.keys() {
            if let Some(nodes) = self.losing.get_mut(uid) {
                nodes.remove(node);
            }
        }
        for id in old.needs.iter().filter_map(Need::subnet) {
            if let Some(nodes) = self.needing_subnet.get_mut(id) {
                nodes.remove(node);
            }
        }
        self.needing_lookups.remove(node);
        self.outdated.retain(|_, nodes| !nodes.is_empty());
        self.losing.retain(|_, nodes| !nodes.is_empty());
        self.needing_subnet.retain(|_, nodes| !nodes.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use multi_eni_plan::nodeeni::SubnetRef;

    fn assignment(outdated: &[&str], losing: &[&str]) -> Assignment {
        let removals = |uid: &&str| ((*uid).to_owned(), BTreeMap::from([("eni".to_owned(), Cause::Edited)]));
        Assignment {
            outdated: outdated.iter().map(|uid| ((*uid).to_owned(), Default::default())).collect(),
            losing: losing.iter().map(removals).collect(),
            ..Assignment::default()
        }
    }

    #[test]
    fn the_indexes_follow_the_assignments() {
        let mut last = LastAssignments::default();
        last.insert("n0".to_owned(), assignment(&["a"], &["a", "b"]));
        last.insert("n1".to_owned(), assignment(&["a"], &[]));
        let losing =
            |last: &LastAssignments, uid: &str| last.losing(uid).map(|(node, _)| node.clone()).collect::<Vec<_>>();
        assert_eq!(last.outdated("a"), ["n0", "n1"].map(str::to_owned).into());
        assert_eq!((losing(&last, "a"), losing(&last, "b")), (vec!["n0".to_owned()], vec!["n0".to_owned()]));
        last.insert("n0".to_owned(), assignment(&[], &["b"]));
        assert_eq!(last.outdated("a"), ["n1".to_owned()].into());
        assert_eq!((losing(&last, "a"), losing(&last, "b")), (vec![], vec!["n0".to_owned()]));
        ["n0", "n1", "n2"].iter().for_each(|node| last.remove(node));
        assert_eq!(last, LastAssignments::default());
    }
    #[test]
    fn the_nodes_that_wait_for_a_lookup_are_found_by_it() {
        let [a, b] = ["subnet-0000000a", "subnet-0000000b"].map(|id| SubnetId::parse(id).unwrap());
        let waiting = |needs: &[Need]| Assignment { needs: needs.iter().cloned().collect(), ..Assignment::default() };
        let by_id = |id: &SubnetId| Need::Subnet(SubnetRef::Id(id.clone()));
        let names = |nodes: &mut dyn Iterator<Item = &String>| nodes.map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut last = LastAssignments::default();
        last.insert("n0".to_owned(), waiting(&[by_id(&a), by_id(&b)]));
        last.insert("n1".to_owned(), waiting(&[Need::SubnetSince(a.clone(), Timestamp::UNIX_EPOCH)]));
        last.insert("n2".to_owned(), waiting(&[Need::InstanceType("m5.large".to_owned())]));
        last.insert("n3".to_owned(), waiting(&[]));
        let found = |last: &LastAssignments| {
            let lookups = names(&mut last.needing_lookups());
            [names(&mut last.needing_subnet(&a)), names(&mut last.needing_subnet(&b)), lookups]
        };
        assert_eq!(found(&last), ["n0 n1", "n0", "n0 n1 n2"]);
        last.insert("n0".to_owned(), waiting(&[by_id(&b)]));
        last.insert("n2".to_owned(), waiting(&[]));
        assert_eq!(found(&last), ["n1", "n0", "n0 n1"]);
        ["n0", "n1", "n2", "n3"].iter().for_each(|node| last.remove(node));
        assert_eq!(last, LastAssignments::default());
    }
}

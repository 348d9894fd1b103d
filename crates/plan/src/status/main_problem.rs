//! The problem of a NodeENI that a user must act on, for the conditions Degraded and Ready: the reason that concerns the most nodes,
//! with its nodes, and the other problems after it. It decides no other condition.

use crate::assign::Unassigned;
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use crate::problem::Problem;
use jiff::Timestamp;
use multi_eni_api::conditions::types;
use std::collections::BTreeMap;

/// The number of other problems that the message says in full. Of the rest it names the reasons.
const IN_FULL: usize = 3;

/// Everything that a user must act on.
pub(super) struct Problems<'a> {
    /// What is wrong with the NodeENI as a whole, or beside its ENIs.
    pub found: &'a [Problem],
    /// ENIs that are in place and not as the spec asks.
    pub unchanged: &'a [&'a Attachment],
    /// ENIAttachments that are blocked, or whose ENIs the node agent does not configure.
    pub stopped: &'a [&'a Attachment],
    /// Pairs of NodeENI and Node that get no ENI until a user acts.
    pub standing: &'a [&'a Unassigned],
}

/// The sentence of one reason, and the nodes that it concerns.
type Told<'a> = (String, Vec<&'a str>);

impl Problems<'_> {
    /// The reason and the message, written at `now`. None: nothing needs a user.
    pub fn main(&self, nodeeni: &NodeEni, now: Timestamp) -> Option<(String, String)> {
        if let Err(why) = &nodeeni.spec {
            return Some(("Unreadable".to_owned(), format!("nothing is done for this NodeENI: {why}")));
        }
        let mut all: Vec<(String, Told<'_>)> = self.by_reason(now).into_iter().collect();
        // The sort keeps the order of the reasons among equals.
        all.sort_by_key(|(_, (_, nodes))| std::cmp::Reverse(nodes.len()));
        let mut all = all.into_iter().map(|(reason, told)| (reason, sentence(told)));
        let (reason, mut message) = all.next()?;
        let others: Vec<(String, String)> = all.collect();
        let (full, named) = others.split_at(others.len().min(IN_FULL));
        for (other, sentence) in full {
            message = format!("{}. Another problem ({other}): {sentence}", message.trim_end_matches('.'));
        }
        if !named.is_empty() {
            let named: Vec<&str> = named.iter().map(|(other, _)| other.as_str()).collect();
            message = format!("{}. More problems: {}", message.trim_end_matches('.'), named.join(", "));
        }
        Some((reason, message))
    }

    fn by_reason(&self, now: Timestamp) -> BTreeMap<String, Told<'_>> {
        let mut by_reason: BTreeMap<String, Told<'_>> = BTreeMap::new();
        // These come first: their message says more than one node's refusal for the same reason.
        for problem in self.found {
            let entry = by_reason.entry(problem.reason.to_owned());
            let nodes = &mut entry.or_insert_with(|| (problem.message.clone(), Vec::new())).1;
            nodes.extend(problem.node.as_deref());
        }
        let unchanged = self.unchanged.iter().map(|attachment| (attachment, types::ATTACHED, "Refused"));
        let stopped = self.stopped.iter().map(|attachment| (attachment, types::READY, "Blocked"));
        for (attachment, kind, otherwise) in unchanged.chain(stopped) {
            let condition = attachment.status.conditions.iter().find(|condition| condition.type_ == kind);
            let (reason, message) =
                condition.map_or((otherwise, ""), |found| (found.reason.as_str(), found.message.as_str()));
            let entry = by_reason.entry(reason.to_owned());
            entry.or_insert_with(|| (message.to_owned(), Vec::new())).1.push(&attachment.node);
        }
        for refusal in self.standing {
            let entry = by_reason.entry(refusal.why.reason().to_owned());
            entry.or_insert_with(|| (refusal.why.sentence(now), Vec::new())).1.push(&refusal.node);
        }
        by_reason
    }
}

/// The message with the nodes before it.
fn sentence((message, mut nodes): Told<'_>) -> String {
    nodes.sort_unstable();
    nodes.dedup();
    match nodes.as_slice() {
        [] => message,
        [one] => format!("node {one}: {message}"),
        [first, ..] => format!("{} nodes, {first} among them: {message}", nodes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::UnassignedReason;
    use crate::assign::tests::{at, nodeeni};

    fn problem(reason: &'static str, message: &str, node: Option<&str>) -> Problem {
        Problem { reason, message: message.to_owned(), node: node.map(str::to_owned) }
    }

    fn said(found: &[Problem], standing: &[&Unassigned]) -> Option<(String, String)> {
        let problems = Problems { found, unchanged: &[], stopped: &[], standing };
        problems.main(&nodeeni("a", 1, &["subnet-00000001"]), at(0))
    }

    #[test]
    fn other_problems_are_said_after_the_one_that_concerns_the_most_nodes() {
        assert_eq!(said(&[], &[]), None);
        let refused = |node: &str| Unassigned {
            nodeeni_uid: "uid-a".to_owned(),
            node: node.to_owned(),
            why: UnassignedReason::OutOfBounds("too many".to_owned()),
        };
        // The NodeENI has no ENIAttachment that could say more.
        let found = [problem("A", "one thing is wrong.", Some("n0")), problem("B", "another thing is", None)];
        let (reason, message) = said(&found, &[&refused("n1"), &refused("n2")]).unwrap();
        assert_eq!(reason, "OutOfBounds");
        let expected = "2 nodes, n1 among them: too many. Another problem (A): node n0: one thing is wrong. Another problem (B): \
                        another thing is";
        assert_eq!(message, expected);
    }

    #[test]
    fn a_problem_about_no_node_names_the_nodes_that_get_no_eni_for_its_reason_and_no_others() {
        let found = [(); 3].map(|()| problem("OutOfBounds", "an entry of the list", None));
        let refused = ["n3", "n6"].map(|node| Unassigned {
            nodeeni_uid: "uid-a".to_owned(),
            node: node.to_owned(),
            why: UnassignedReason::OutOfBounds("the list".to_owned()),
        });
        let (_, message) = said(&found, &refused.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(message, "2 nodes, n3 among them: an entry of the list");
        let (_, message) = said(&found, &[]).unwrap();
        assert_eq!(message, "an entry of the list");
    }

    #[test]
    fn of_many_problems_the_last_ones_are_only_named() {
        let found = ["A", "B", "C", "D", "E", "F"].map(|reason| problem(reason, "x", None));
        let (reason, message) = said(&found, &[]).unwrap();
        assert_eq!(reason, "A");
        assert!(message.ends_with("Another problem (D): x. More problems: E, F"), "{message}");
    }
}

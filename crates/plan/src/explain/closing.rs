//! The end of the plan as text: how many ENIs need a person or wait, which, and the EC2 calls. It is given a finished [`Plan`] and
//! decides nothing.

use super::{Line, LineKind, NodeEniPlan, Plan};
use crate::counted::{counted, first_of, verb};
use std::fmt;

/// What the end says of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Somebody must act.
    Person,
    /// The NodeENI does not cover the node, which is no failure.
    Uncovered,
    /// It ends by itself.
    Waits,
    /// The controller acts.
    Acts,
    /// It is as the NodeENI asks.
    AsAsked,
}

impl Rest {
    fn of(line: &Line) -> Self {
        match line.mark {
            LineKind::Blocked if line.is_uncovered => Self::Uncovered,
            LineKind::Blocked => Self::Person,
            LineKind::Waits => Self::Waits,
            LineKind::Adopt | LineKind::Create | LineKind::Remove | LineKind::Replace | LineKind::Change => Self::Acts,
            LineKind::InPlace => Self::AsAsked,
        }
    }
}

/// The last sentences of the plan.
pub(super) fn sentences(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |number: usize, words: &str, named: &dyn fmt::Display| {
        if number > 0 {
            notes.push(format!("{number} {words}: {named}"));
        }
    };
    let unusable: Vec<&str> = plan.node_enis.iter().filter(|plan| has_problem(plan)).map(|n| n.name.as_str()).collect();
    let people = Places::of(plan, Rest::Person);
    note(people.lines, verb(people.lines, "needs a person (!)", "need a person (!)"), &people);
    let words = verb(unusable.len(), "NodeENI needs a person", "NodeENIs need a person");
    note(unusable.len(), words, &first_of(&unusable));
    let waits = Places::of(plan, Rest::Waits);
    note(
        waits.lines,
        verb(waits.lines, "waits for what ends by itself (…)", "wait for what ends by itself (…)"),
        &waits,
    );
    let uncovered = Places::of(plan, Rest::Uncovered);
    let words =
        verb(uncovered.lines, "is not covered, which is no failure (!)", "are not covered, which is no failure (!)");
    note(uncovered.lines, words, &uncovered);
    if plan.calls.is_empty() {
        let acts = Places::of(plan, Rest::Acts);
        note(acts.lines, verb(acts.lines, "changes without an EC2 call", "change without an EC2 call"), &acts);
    }
    let loose = plan.orphans.len() + plan.left_by_upstream.len();
    if loose > 0 {
        notes.push(format!(
            "{} without an ENIAttachment {} above (!)",
            counted(loose, "ENI"),
            verb(loose, "is", "are")
        ));
    }
    let last = if plan.calls.is_empty() {
        none(plan, notes.is_empty())
    } else {
        let calls: Vec<String> = plan.calls.iter().map(|(action, n)| format!("{action} {n}")).collect();
        format!("EC2 calls: {} ({} in all)", calls.join(", "), plan.calls.values().sum::<u32>())
    };
    notes.push(last);
    notes
}

/// The sentence for no EC2 call. `whole`: there is nothing else to say.
fn none(plan: &Plan, whole: bool) -> String {
    let mut lines = plan.node_enis.iter().flat_map(|nodeeni| &nodeeni.lines);
    match (lines.any(|line| Rest::of(line) == Rest::AsAsked), whole) {
        (true, true) => "EC2 calls: none. Each ENI is as its NodeENI asks.".to_owned(),
        (true, false) => "EC2 calls: none. Each other ENI is as its NodeENI asks.".to_owned(),
        (false, _) => "EC2 calls: none".to_owned(),
    }
}

/// Whether somebody must change the NodeENI. One that is gone has a problem, too, and its ENIs are removed.
fn has_problem(plan: &NodeEniPlan) -> bool {
    plan.problem.is_some() && !plan.deleting
}

/// The lines of which the end says the same.
struct Places<'a> {
    /// Their number.
    lines: usize,
    /// NodeENI, reason, and the Nodes.
    groups: Vec<(&'a str, &'a str, Vec<&'a str>)>,
}

impl<'a> Places<'a> {
    fn of(plan: &'a Plan, rest: Rest) -> Self {
        let mut places = Self { lines: 0, groups: Vec::new() };
        for nodeeni in &plan.node_enis {
            for line in nodeeni.lines.iter().filter(|line| Rest::of(line) == rest) {
                places.lines += 1;
                let is_same = |group: &&mut (&str, &str, Vec<&str>)| group.0 == nodeeni.name && group.1 == line.reason;
                match places.groups.iter_mut().rev().take_while(|group| group.0 == nodeeni.name).find(is_same) {
                    Some((.., nodes)) => nodes.push(&line.node),
                    None => places.groups.push((&nodeeni.name, &line.reason, vec![&line.node])),
                }
            }
        }
        places
    }
}

/// The Nodes, each once. A NodeENI may have several ENIs on a Node.
fn once_each(nodes: &[&str]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for node in nodes {
        match counts.iter_mut().find(|(name, _)| name == node) {
            Some((_, count)) => *count += 1,
            None => counts.push((node, 1)),
        }
    }
    let text =
        |(node, count): &(&str, usize)| if *count > 1 { format!("{node} ({count} ENIs)") } else { (*node).to_owned() };
    let texts: Vec<String> = counts.iter().map(text).collect();
    first_of(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self
            .groups
            .iter()
            .map(|(nodeeni, reason, nodes)| {
                // A problem of a NodeENI may be about no node.
                let nodes: Vec<&str> = nodes.iter().copied().filter(|node| !node.is_empty()).collect();
                match nodes.as_slice() {
                    [] => format!("{nodeeni} ({reason})"),
                    nodes => format!("{nodeeni} on {} ({reason})", once_each(nodes)),
                }
            })
            .collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        f.write_str(&first_of(&named))
    }
}

//! The plan as text for the terminal. It is given a finished [`Plan`] and decides nothing.

use super::vpc_cni_notes;
use super::{Line, LineKind, NodeEniPlan, Plan, Slot, closing, missing_labels};
use crate::counted::counted;
use crate::node_selector;
use crate::observed::{NotOnEc2, ObservedNode};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Number of Nodes that a line names, if several Nodes share the line.
const NAMED: usize = 3;

/// Writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// All NodeENIs: the actions and the reasons for no action. ENIs in place are only counted.
pub fn plan_text(plan: &Plan) -> String {
    let mut out = String::new();
    if plan.node_enis.is_empty() {
        line!(out, "There is no NodeENI: nothing to do.");
    }
    for nodeeni_plan in &plan.node_enis {
        head(&mut out, nodeeni_plan);
        grouped(&mut out, nodeeni_plan.lines.iter().filter(|line| line.mark != LineKind::InPlace));
        notes(&mut out, &nodeeni_plan.lines, several);
        line!(out, "");
    }
    tail(&mut out, plan);
    out
}

/// One NodeENI, with every line, and the Nodes that it does not match.
pub fn explain_nodeeni(plan: &Plan, name: &str, nodes: &[&ObservedNode]) -> Option<String> {
    let nodeeni_plan = plan.node_enis.iter().find(|nodeeni_plan| nodeeni_plan.name == name)?;
    let mut out = String::new();
    head(&mut out, nodeeni_plan);
    for subnet in &nodeeni_plan.subnets {
        line!(out, "    {subnet}");
    }
    for one in &nodeeni_plan.lines {
        row(&mut out, &one.node, one);
    }
    notes(&mut out, &nodeeni_plan.lines, several);
    // reason → Nodes
    let mut unmatched: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let missing = missing_labels(nodeeni_plan, node);
        if !missing.is_empty() {
            unmatched.entry(missing.join(", ")).or_default().push(&node.name);
        }
    }
    for (why, nodes) in unmatched {
        line!(out, "    not matched: {}: {why}", several(&nodes));
    }
    Some(out)
}

/// Whether the NodeENI asks for ENIs on the Node, by its labels.
pub fn is_matched(nodeeni_plan: &NodeEniPlan, node: Option<&ObservedNode>) -> bool {
    !nodeeni_plan.deleting && node.is_some_and(|node| missing_labels(nodeeni_plan, node).is_empty())
}

/// Whether a line is about the Node of this name. A line without a Node is about its NodeENI, and so about each Node that it matches.
pub fn is_about(line: &Line, node: &str, is_matched: bool) -> bool {
    line.node == node || is_matched && line.node.is_empty()
}

/// One Node: for each NodeENI its ENIs there, the actions, or the reason for no action.
pub fn explain_node(plan: &Plan, node: Option<&ObservedNode>, name: &str) -> Option<String> {
    let here = |nodeeni_plan: &NodeEniPlan| nodeeni_plan.lines.iter().any(|line| line.node == name);
    if node.is_none() && !plan.node_enis.iter().any(here) {
        return None;
    }
    let mut out = String::new();
    match node {
        None => {
            line!(out, "Node {name} no longer exists. Its ENIs:");
        }
        Some(node) => {
            line!(out, "{}", node_head(node));
        }
    }
    if plan.node_enis.is_empty() {
        line!(out, "  The cluster has no NodeENI.");
    }
    for nodeeni_plan in &plan.node_enis {
        let missing = node.map(|node| missing_labels(nodeeni_plan, node)).unwrap_or_default();
        let is_matched = is_matched(nodeeni_plan, node);
        let lines: Vec<&Line> = nodeeni_plan.lines.iter().filter(|line| is_about(line, name, is_matched)).collect();
        match (&nodeeni_plan.problem, lines.as_slice()) {
            // A NodeENI asks for nothing on a Node that is gone.
            (_, []) if node.is_none() => {}
            (Some(problem), []) => {
                line!(out, "  NodeENI {}: {problem}", nodeeni_plan.name);
            }
            (None, []) if !missing.is_empty() => {
                line!(out, "  NodeENI {}: does not match: {}", nodeeni_plan.name, missing.join(", "));
            }
            (None, []) if nodeeni_plan.deleting => {
                line!(out, "  NodeENI {}: is being deleted, and has no ENI here", nodeeni_plan.name);
            }
            (None, []) => {
                line!(out, "  NodeENI {}: matches, and asks for no ENI here", nodeeni_plan.name);
            }
            (_, lines) => {
                let words = match (missing.is_empty(), lines.iter().any(|line| line.slot.is_some())) {
                    (true, _) => "matches".to_owned(),
                    (false, true) => "no longer matches".to_owned(),
                    // The lines are about no ENI of the Node: another Node has the same instance.
                    (false, false) => format!("does not match: {}", missing.join(", ")),
                };
                line!(out, "  NodeENI {}: {words}", nodeeni_plan.name);
                for one in lines {
                    row(&mut out, "", one);
                }
                notes(&mut out, lines.iter().copied(), |_| String::new());
            }
        }
    }
    Some(out)
}

/// The Node, its instance and its zone, as far as they are known.
fn node_head(node: &ObservedNode) -> String {
    let name = &node.name;
    let zone = node.zone.as_deref().map_or_else(
        || ", Availability Zone not known by its providerID".to_owned(),
        |zone| format!(", Availability Zone {zone}"),
    );
    let deleting = if node.deleting { ", being deleted" } else { "" };
    match &node.instance {
        Ok(instance) => format!("Node {name}: instance {instance}{zone}{deleting}"),
        Err(NotOnEc2::NoProviderId) => {
            format!(
                "Node {name}: no instance and no Availability Zone known, because it has no providerID yet{deleting}"
            )
        }
        Err(NotOnEc2::Never(what)) => format!("Node {name}: {what}, which can have no ENI{deleting}"),
    }
}

fn head(out: &mut String, nodeeni_plan: &NodeEniPlan) {
    if let Some(problem) = &nodeeni_plan.problem {
        line!(out, "NodeENI {}: {problem}", nodeeni_plan.name);
        return;
    }
    let labels = nodeeni_plan.selector.iter().map(|(key, value)| format!("{key}={value}"));
    let terms = Some(node_selector::text(&nodeeni_plan.selector_terms)).filter(|text| !text.is_empty());
    let selector: Vec<String> = labels.chain(terms).collect();
    let in_place =
        nodeeni_plan.lines.iter().filter(|line| matches!(line.mark, LineKind::InPlace | LineKind::Change)).count();
    if nodeeni_plan.deleting {
        line!(out, "NodeENI {} is being deleted: {} left", nodeeni_plan.name, counted(nodeeni_plan.lines.len(), "ENI"));
    } else {
        line!(
            out,
            "NodeENI {} ({}): matches {}, {} desired, {in_place} in place",
            nodeeni_plan.name,
            selector.join(","),
            counted(nodeeni_plan.matched_nodes, "node"),
            counted(nodeeni_plan.desired, "ENI")
        );
    }
    if let Some(pace) = &nodeeni_plan.removal_pace {
        line!(out, "  ! {pace}");
    }
}

/// Joins the equal lines of several Nodes to one line.
fn grouped<'a>(out: &mut String, lines: impl Iterator<Item = &'a Line>) {
    // A line that names an ENI is not joined.
    let mut groups: Vec<(Vec<&str>, &Line)> = Vec::new();
    for line in lines {
        let same = |(_, first): &&mut (Vec<&str>, &Line)| {
            let of = |line: &Line| (line.mark, line.slot, line.reason.clone(), line.message.clone());
            of(first) == of(line) && first.eni.is_none() && line.eni.is_none()
        };
        match groups.iter_mut().find(same) {
            Some((nodes, _)) => nodes.push(&line.node),
            None => groups.push((vec![&line.node], line)),
        }
    }
    for (nodes, line) in groups {
        row(out, &several(&nodes), line);
    }
}

fn several(nodes: &[&str]) -> String {
    match nodes {
        [one] => (*one).to_owned(),
        few if few.len() <= NAMED => few.join(", "),
        many => format!(
            "{} ({}, …)",
            counted(many.len(), "node"),
            many.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ")
        ),
    }
}

/// What concerns the new ENIs of several Nodes, once for each slot. `place`: the words for the Nodes.
fn notes<'a>(out: &mut String, lines: impl IntoIterator<Item = &'a Line>, place: impl Fn(&[&str]) -> String) {
    for note in vpc_cni_notes::notes(lines) {
        let about = about(&place(&note.nodes), Some(note.slot));
        line!(out, "  note: {}: {}", about.join(", "), note.sentence);
    }
}

/// The words for the Nodes and the slot, as far as there are some.
fn about(place: &str, slot: Option<Slot>) -> Vec<String> {
    let slot = slot.map(|slot| match slot {
        Slot { network_card_index: 0, device_index } => format!("index {device_index}"),
        Slot { network_card_index, device_index } => format!("card {network_card_index} index {device_index}"),
    });
    Some(place.to_owned()).filter(|place| !place.is_empty()).into_iter().chain(slot).collect()
}

fn row(out: &mut String, place: &str, line: &Line) {
    let mut about = about(place, line.slot);
    // Most sentences about an ENI that exists begin with its ID.
    about.extend(line.eni.clone().filter(|eni| !line.message.contains(eni.as_str())));
    let about = if about.is_empty() { String::new() } else { format!("{}: ", about.join(", ")) };
    line!(out, "  {} {about}{}", line.mark.sign(), line.message);
}

fn tail(out: &mut String, plan: &Plan) {
    for orphan in &plan.orphans {
        line!(out, "  ! {orphan}");
    }
    if !plan.left_by_upstream.is_empty() {
        line!(out, "ENIs of upstream's controller that are not adopted:");
    }
    for left in &plan.left_by_upstream {
        line!(out, "  ! {left}");
    }
    if !plan.orphans.is_empty() || !plan.left_by_upstream.is_empty() {
        line!(out, "");
    }
    for sentence in closing::sentences(plan) {
        line!(out, "{sentence}");
    }
}

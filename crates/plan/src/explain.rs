//! `explain`: what the controller would do now, as data and as text for a user. It is given the decisions of `assign` and
//! `lifecycle::step`. For each pair of NodeENI and Node it lists the EC2 calls, or the reason why nothing is done.
//!
//! It decides nothing itself.

mod calls;
mod closing;
mod existing_eni;
mod groups_wait;
mod input;
mod line;
mod new_eni;
mod outdated;
#[cfg(test)]
mod tests;
mod text;
mod unconfirmed;
mod upstream;
mod vpc_cni_notes;

pub use input::{ExplainedAttachment, Input};
pub use line::{Line, LineKind, Slot};
pub use text::{explain_node, explain_nodeeni, is_about, is_matched, plan_text};

use crate::attachment::Attachment;
use crate::ec2_terms::SubnetTerm;
use crate::node_selector::{self, NodeSelectorTerm};
use crate::nodeeni::{NodeEni, SubnetRef};
use crate::observed::{Ec2Catalog, ObservedNode};
use crate::orphans;
use multi_eni_api::ids::{EniId, SubnetId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the controller would do now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// UID of the namespace kube-system.
    pub cluster: String,
    /// Number of Nodes.
    pub nodes: usize,
    /// One entry for each NodeENI, sorted by name.
    #[serde(rename = "nodeENIs")]
    pub node_enis: Vec<NodeEniPlan>,
    /// ENIs of this cluster that no ENIAttachment knows.
    pub orphans: Vec<String>,
    /// ENIs with upstream's tags that are not adopted. The controller does not touch them.
    pub left_by_upstream: Vec<String>,
    /// Number of EC2 calls that change something, by action.
    pub calls: BTreeMap<&'static str, u32>,
}

/// What the controller would do for one NodeENI.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeEniPlan {
    /// Its name.
    pub name: String,
    /// Its nodeSelector: the labels that a Node must have.
    pub selector: BTreeMap<String, String>,
    /// Its nodeSelectorTerms, of which a Node must match at least one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selector_terms: Vec<NodeSelectorTerm>,
    /// Why nothing is done for this NodeENI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The API server would refuse this NodeENI, which exists only in a file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_refused: bool,
    /// The NodeENI is being deleted.
    pub deleting: bool,
    /// Number of Nodes that it matches.
    pub matched_nodes: usize,
    /// Number of ENIs that it asks for.
    pub desired: usize,
    /// Number of nodes whose ENIs may be away at the same time while they are replaced.
    pub max_unavailable: usize,
    /// How many nodes wait to lose their ENIs, at what pace, and how to stop or to resume the removals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_pace: Option<String>,
    /// What is known of the subnets that the NodeENI names, one sentence each.
    pub subnets: Vec<String>,
    /// The ENIs in place, the actions, and the reasons for no action.
    pub lines: Vec<Line>,
}

/// Makes the plan: what would be done now.
pub fn plan(input: Input<'_>) -> Plan {
    let mut node_enis: Vec<NodeEniPlan> = input.nodeenis.iter().map(|nodeeni| nodeeni_plan(&input, nodeeni)).collect();
    node_enis.extend(strays(&input));
    node_enis
        .extend(input.refused.iter().map(|(name, words)| NodeEniPlan { is_refused: true, ..nothing(name, words) }));
    node_enis.sort_by(|a, b| a.name.cmp(&b.name));
    let mut plan = Plan {
        cluster: input.cluster.uid.clone(),
        nodes: input.nodes.len(),
        node_enis,
        orphans: orphans(&input),
        left_by_upstream: upstream::left(&input),
        calls: BTreeMap::new(),
    };
    plan.recount();
    plan
}

impl Plan {
    /// Counts the calls of all lines.
    pub fn recount(&mut self) {
        self.calls.clear();
        for (action, n) in
            self.node_enis.iter().flat_map(|nodeeni_plan| &nodeeni_plan.lines).flat_map(|line| &line.calls)
        {
            *self.calls.entry(action).or_default() += n;
        }
    }
}

fn nodeeni_plan(input: &Input<'_>, nodeeni: &NodeEni) -> NodeEniPlan {
    let spec = nodeeni.spec.as_ref().ok();
    let all = || input.assignments.values();
    let mut lines: Vec<Line> =
        all().flat_map(|assignment| new_eni::of_assignment(input, nodeeni, assignment)).collect();
    let mine = input.attachments.iter().filter(|attachment| attachment.attachment.nodeeni_uid == nodeeni.uid);
    lines.extend(mine.map(|attachment| existing_eni::of_attachment(input, Some(nodeeni), attachment)));
    lines.sort();
    // Each Node's assignment has the problems of the NodeENI that are about no Node.
    lines.dedup_by(|one, other| one.node.is_empty() && one == other);
    NodeEniPlan {
        name: nodeeni.name.clone(),
        selector: spec.map(|spec| spec.selector.clone()).unwrap_or_default(),
        selector_terms: spec.map(|spec| spec.selector_terms.clone()).unwrap_or_default(),
        problem: nodeeni.spec.as_ref().err().map(ToString::to_string),
        is_refused: false,
        deleting: nodeeni.deleting,
        matched_nodes: input.matched(&nodeeni.uid),
        desired: all()
            .flat_map(|assignment| &assignment.desired)
            .filter(|(uid, _)| *uid == nodeeni.uid)
            .map(|d| d.1)
            .sum(),
        max_unavailable: spec.map_or(1, |spec| spec.max_unavailable.of(input.matched(&nodeeni.uid))),
        removal_pace: input.removals.get(&nodeeni.uid).and_then(|pace| pace.reported(nodeeni, input.now)),
        subnets: spec
            .map(|spec| {
                let listed = spec.subnets.iter().flat_map(|named| subnet(input.catalog, named));
                listed.chain(spec.subnet_terms.iter().flat_map(|term| subnets_of_term(input.catalog, term))).collect()
            })
            .unwrap_or_default(),
        lines,
    }
}

/// ENIAttachments whose NodeENI is gone. Their ENIs are removed.
fn strays(input: &Input<'_>) -> Vec<NodeEniPlan> {
    let known: BTreeSet<&str> = input.nodeenis.iter().map(|nodeeni| nodeeni.uid.as_str()).collect();
    let mut by_name: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    for attachment in input.attachments.iter().filter(|a| !known.contains(a.attachment.nodeeni_uid.as_str())) {
        by_name
            .entry(&attachment.attachment.nodeeni)
            .or_default()
            .push(existing_eni::of_attachment(input, None, attachment));
    }
    let gone = "this NodeENI no longer exists: its remaining ENIs are removed";
    by_name.into_iter().map(|(name, lines)| NodeEniPlan { lines, deleting: true, ..nothing(name, gone) }).collect()
}

fn nothing(name: &str, problem: &str) -> NodeEniPlan {
    NodeEniPlan {
        name: name.to_owned(),
        selector: BTreeMap::new(),
        selector_terms: Vec::new(),
        problem: Some(problem.to_owned()),
        is_refused: false,
        deleting: false,
        matched_nodes: 0,
        desired: 0,
        max_unavailable: 1,
        removal_pace: None,
        subnets: Vec::new(),
        lines: Vec::new(),
    }
}

fn subnet(catalog: &Ec2Catalog, named: &SubnetRef) -> Vec<String> {
    let (by, ids): (String, Vec<&SubnetId>) = match named {
        SubnetRef::Id(id) => (String::new(), vec![id]),
        SubnetRef::Name(name) => {
            (format!(" (Name={name})"), catalog.subnets_named.get(name).into_iter().flatten().collect())
        }
    };
    described(catalog, &by, &ids)
}

fn subnets_of_term(catalog: &Ec2Catalog, term: &SubnetTerm) -> Vec<String> {
    match term {
        SubnetTerm::Id(id) => described(catalog, "", &[id]),
        SubnetTerm::Tags(tags) => {
            let ids: Vec<&SubnetId> = catalog.subnets_tagged.get(tags).into_iter().flatten().collect();
            described(catalog, &format!(" ({tags})"), &ids)
        }
    }
}

/// A sentence for each subnet. `by`: the name or the tags by which it is selected.
fn described(catalog: &Ec2Catalog, by: &str, ids: &[&SubnetId]) -> Vec<String> {
    let reported = |id: &&SubnetId| match catalog.subnets.get(*id) {
        Some(observed_subnet) => {
            let (zone, cidr, free) =
                (observed_subnet.location(), &observed_subnet.cidr, observed_subnet.free_addresses);
            let addresses = if free == 1 { "address" } else { "addresses" };
            format!("subnet {id}{by}: {zone}, {cidr}, {free} free {addresses}")
        }
        // The catalog lacks the subnet: EC2 does not know it, or no node needs it and it was not looked up.
        None if catalog.missing_subnets.contains_key(*id) => format!("subnet {id}: EC2 does not know this subnet"),
        None => format!("subnet {id}: not looked up"),
    };
    if ids.is_empty() {
        let known = if by.is_empty() {
            ""
        } else {
            "no subnet was found by this name or these tags, or they were not looked up"
        };
        return vec![format!("subnet{by}: {known}")];
    }
    ids.iter().map(reported).collect()
}

/// The ENIs that [`orphans`](crate::orphans) watches, and the ENIs that it leaves alone because a tag is missing.
fn orphans(input: &Input<'_>) -> Vec<String> {
    let eni_attachment = || input.attachments.iter().map(|attachment| &attachment.attachment);
    let known: BTreeSet<String> = eni_attachment().map(|eni_attachment| eni_attachment.uid.clone()).collect();
    let named: BTreeSet<EniId> = eni_attachment().filter_map(Attachment::eni).collect();
    let instances: BTreeSet<_> = input.nodes.iter().filter_map(|node| node.instance.as_ref().ok()).collect();
    let lone = orphans::lone(input.owned, &known, &named).map(|eni| {
        let id = &eni.id;
        match eni.attachment.as_ref().map(|at| at.instance.as_ref()) {
            None => format!(
                "{id} is not attached and has no ENIAttachment: it is deleted when two complete resyncs have shown this"
            ),
            Some(Some(instance)) if instances.contains(instance) => {
                format!(
                    "{id} is on {instance} and has no ENIAttachment: it is detached and deleted when two complete resyncs have \
                     shown this"
                )
            }
            Some(_) => format!("{id} is on an instance that is no Node of this cluster: it is left unchanged"),
        }
    });
    let untagged = input.owned.iter().filter(|eni| eni.attachment_uid().is_none() && !named.contains(&eni.id));
    let untagged = untagged
        .map(|eni| format!("{} has this cluster's tag and no tag of an ENIAttachment: it is left unchanged", eni.id));
    lone.chain(untagged).collect()
}

/// What a Node lacks to match a NodeENI: the labels of nodeSelector, one text each, and a term of nodeSelectorTerms. Empty: the
/// Node matches.
pub fn missing_labels(nodeeni_plan: &NodeEniPlan, node: &ObservedNode) -> Vec<String> {
    let selector = nodeeni_plan.selector.iter();
    let missing = selector.filter(|(key, value)| node.labels.get(key) != Some(value.as_str()));
    let labels = missing.map(|(key, value)| match node.labels.get(key) {
        Some(has) => format!("{key} is {has}, not {value}"),
        None => format!("no label {key}={value}"),
    });
    let terms = &nodeeni_plan.selector_terms;
    let no_term = !terms.is_empty() && !terms.iter().any(|term| term.matches(&node.labels));
    labels.chain(no_term.then(|| format!("no term matches: {}", node_selector::text(terms)))).collect()
}

//! ENIs that upstream's controller left and that are not adopted.

use super::Input;
use crate::observed::ObservedEni;
use std::collections::{BTreeMap, BTreeSet};

/// One sentence for each ENI with upstream's tags that no ENIAttachment has and no assignment adopts.
pub(super) fn left(input: &Input<'_>) -> Vec<String> {
    let new =
        || input.assignments.values().flat_map(|assignment| &assignment.create).filter(|new| new.adopts.is_some());
    let eni_attachment = || input.attachments.iter().map(|attachment| &attachment.attachment);
    let known: BTreeSet<String> = new()
        .filter_map(|new| new.spec.adopted_eni_id.clone())
        .chain(eni_attachment().filter_map(|eni_attachment| eni_attachment.eni().map(|eni| eni.to_string())))
        .collect();
    // The combinations of NodeENI, Node and subnet that have an ENI.
    let served: BTreeSet<(&str, &str, &str)> =
        new()
            .map(|new| (&new.spec.node_eni_name, &new.spec.node_name, &new.spec.request.subnet_id))
            .chain(eni_attachment().map(|eni_attachment| {
                (&eni_attachment.nodeeni, &eni_attachment.node, &eni_attachment.request.subnet_id)
            }))
            .map(|(nodeeni, node, subnet)| (nodeeni.as_str(), node.as_str(), subnet.as_str()))
            .collect();
    // The NodeENIs with terms, which ask for one ENI on a node, in whichever subnet.
    let with_terms: BTreeSet<&str> = input
        .nodeenis
        .iter()
        .filter(|nodeeni| nodeeni.spec.as_ref().is_ok_and(|spec| !spec.subnet_terms.is_empty()))
        .map(|nodeeni| nodeeni.name.as_str())
        .collect();
    let has_one = |nodeeni: &str, node: &str| {
        with_terms.contains(nodeeni) && served.iter().any(|(of, on, _)| (*of, *on) == (nodeeni, node))
    };
    let nodes: BTreeMap<_, _> =
        input.nodes.iter().filter_map(|node| Some((node.instance.as_ref().ok()?, node.name.as_str()))).collect();
    let names: BTreeSet<&str> = input.nodeenis.iter().map(|nodeeni| nodeeni.name.as_str()).collect();
    let reported = |eni: &ObservedEni| {
        let (id, nodeeni) = (&eni.id, eni.upstreams(input.cluster)?);
        let is_here = names.contains(nodeeni);
        let Some(at) = &eni.attachment else {
            return Some(if is_here {
                format!(
                    "{id} of NodeENI {nodeeni} is not attached: it is probably leaked. If no other cluster uses it: aws ec2 \
                     delete-network-interface --network-interface-id {id}"
                )
            } else {
                format!(
                    "{id} is not attached, and this cluster has no NodeENI {nodeeni}: the ENI is leaked, or belongs to another \
                     cluster"
                )
            });
        };
        let Some(instance) = &at.instance else {
            return Some(format!("{id} of a NodeENI {nodeeni} is attached to another account's instance"));
        };
        Some(match nodes.get(instance) {
            None => format!("{id} of a NodeENI {nodeeni} is attached to {instance}, which is no Node of this cluster"),
            Some(node) if !is_here => {
                format!(
                    "{id} is attached to node {node}, and this cluster has no NodeENI {nodeeni}: the ENI is probably leaked"
                )
            }
            Some(node) if served.contains(&(nodeeni, node, eni.subnet.as_ref().map_or("", |id| id.as_str()))) => {
                format!(
                    "{id} of NodeENI {nodeeni} is attached to node {node} and is not adopted: the NodeENI has another ENI in the \
                     same subnet on that node"
                )
            }
            Some(node) if has_one(nodeeni, node) => {
                format!(
                    "{id} of NodeENI {nodeeni} is attached to node {node} and is not adopted: the NodeENI has another ENI on that \
                     node, and subnetSelectorTerms ask for one"
                )
            }
            Some(node) => format!(
                "{id} of NodeENI {nodeeni} is attached to node {node} and is not adopted: the NodeENI neither matches the node \
                 nor lists the ENI in its status"
            ),
        })
    };
    input.upstreams.iter().filter(|eni| !known.contains(eni.id.as_str())).filter_map(reported).collect()
}

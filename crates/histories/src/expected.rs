//! What the specs ask for. The simulator reads the specs by the design's rules and uses none of the controller's code.

use crate::checker::model::{Model, ModelEni, ModelNode, ModelNodeEni};
use crate::highest_free_places::kept_indexes;
use crate::node_selection::selects;
use crate::script::{Placement, SubnetPlace};
use multi_eni_api::{DeviceIndexPolicy, NodeEniSpec};
use std::collections::BTreeMap;

mod attachable;
mod groups;
mod places;
mod subnet_terms;

pub use groups::{asks_for_foreign_groups, groups};
pub use places::{DesiredPlaces, Place};

use attachable::{is_in_vpc, is_near};

/// The places that a NodeENI asks for on a Node.
pub fn desired_places(
    model: &Model,
    nodeeni: &ModelNodeEni,
    node: &ModelNode,
    subnets: &[SubnetPlace],
) -> DesiredPlaces {
    let Some(spec) = &nodeeni.spec else { return DesiredPlaces::Unknown };
    if nodeeni.deleting || !selects(spec, &node.labels) {
        return DesiredPlaces::Nothing;
    }
    if node.is_unsupported {
        return DesiredPlaces::Nothing;
    }
    if node.deleting {
        return DesiredPlaces::Unknown;
    }
    if let Some(terms) = &spec.subnet_selector_terms {
        return subnet_terms::place(model, (nodeeni, spec, terms), node, subnets);
    }
    let mut listed: Vec<&SubnetPlace> = Vec::new();
    let ids = spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten());
    for id in ids {
        listed.extend(subnets.iter().find(|place| place.id == *id));
    }
    for name in spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()) {
        // A name stands for subnets of the node's VPC only.
        let is_named = |place: &&SubnetPlace| place.shown_name() == Some(name) && is_in_vpc(node, place);
        let mut named: Vec<&SubnetPlace> = subnets.iter().filter(is_named).collect();
        named.sort_by(|a, b| a.id.cmp(&b.id));
        let here = named.iter().filter(|place| is_near(node, place)).count();
        if here > 1 {
            return DesiredPlaces::Unknown;
        }
        listed.extend(named);
    }
    listed.retain(|place| is_near(node, place));
    let has_unknown = has_unknown_subnet(Some(spec), node, subnets);
    if has_unknown && listed.is_empty() {
        return DesiredPlaces::Unknown;
    }
    // The controller resolves no security groups for a node in whose zone the NodeENI has no subnet.
    if !listed.is_empty() && groups(spec, node.placement).is_none() {
        return DesiredPlaces::Unknown;
    }
    let mut places: Vec<Place> = Vec::new();
    let card = spec.network_card_index.unwrap_or(0);
    let highest_free = (spec.device_index_policy == Some(DeviceIndexPolicy::HighestFree))
        .then(|| kept_indexes(model, nodeeni, (&node.instance, card), &listed));
    for place in listed {
        if !places.iter().any(|other| other.subnet == place.id) {
            let number = i32::try_from(places.len()).unwrap_or(0);
            let index = match &highest_free {
                Some(indexes) => indexes.get(&place.id).copied().unwrap_or(-1 - number),
                None => spec.device_index + number,
            };
            // An ENI that was adopted from upstream keeps its place.
            let pinned = model.pinned(&nodeeni.uid, &node.instance, &place.id);
            let (card, index) = pinned.unwrap_or((card, index));
            places.push(Place { card, index, subnet: place.id.clone(), is_in_other_vpc: !is_in_vpc(node, place) });
        }
    }
    // An entry that EC2 does not know may stand for an ENI that exists. Such a node stays as it is.
    let is_in = |(card, index): (i32, i32), subnet: &str| {
        places.iter().any(|place| (place.card, place.index) == (card, index) && place.subnet == subnet)
    };
    if has_unknown && !model.are_all_in(&nodeeni.uid, &node.instance, is_in) {
        return DesiredPlaces::Unknown;
    }
    DesiredPlaces::These(places)
}

/// Whether the list of subnets has an entry that stands for no subnet: an ID of none, or a name that no subnet of the node's VPC has.
pub fn has_unknown_subnet(spec: Option<&NodeEniSpec>, node: &ModelNode, subnets: &[SubnetPlace]) -> bool {
    let Some(spec) = spec else { return false };
    if let Some(terms) = &spec.subnet_selector_terms {
        return subnet_terms::has_unknown(terms, subnets);
    }
    let mut ids = spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten());
    let mut names = spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten());
    ids.any(|id| !subnets.iter().any(|place| place.id == *id))
        || names.any(|name| !subnets.iter().any(|place| place.shown_name() == Some(name) && is_in_vpc(node, place)))
}

/// How many private IPv4 addresses an ENI of this spec has in a subnet. In an IPv6-only subnet it has none.
pub fn ipv4_addresses(spec: &NodeEniSpec, subnet: &str, subnets: &[SubnetPlace]) -> usize {
    if subnets.iter().any(|place| place.id == subnet && place.ipv6_only) {
        return 0;
    }
    usize::try_from(spec.private_ip_count.unwrap_or(1).max(1)).unwrap_or(1)
}

/// A slot of an instance: instance, network card, device index.
pub type Slot = (String, i32, i32);

/// All slots in which any NodeENI asks for an ENI that can be attached, each with the names of those NodeENIs and the subnet that each
/// one asks for there.
pub fn slots(model: &Model, subnets: &[SubnetPlace]) -> BTreeMap<Slot, Vec<(String, String)>> {
    let mut slots: BTreeMap<Slot, Vec<(String, String)>> = BTreeMap::new();
    for node in model.nodes.values() {
        for (name, nodeeni) in &model.nodeenis {
            let DesiredPlaces::These(places) = desired_places(model, nodeeni, node, subnets) else { continue };
            for place in places.into_iter().filter(|place| !place.is_in_other_vpc) {
                let slot = (node.instance.clone(), place.card, place.index);
                slots.entry(slot).or_default().push((name.clone(), place.subnet));
            }
        }
    }
    slots
}

/// Where in the account an ENI is, by its subnet.
pub fn placement_of(eni: &ModelEni, subnets: &[SubnetPlace]) -> Placement {
    subnets.iter().find(|place| eni.current.is_in(&place.id)).map_or(Placement::Region, |place| place.placement)
}

/// What of an attached ENI differs from its NodeENI and can be changed in place.
pub fn differs(eni: &ModelEni, spec: &NodeEniSpec, subnets: &[SubnetPlace]) -> Option<String> {
    groups_differ(eni, spec, subnets).or_else(|| differs_besides_groups(eni, spec))
}

/// How the groups of an ENI differ from those that its NodeENI names.
fn groups_differ(eni: &ModelEni, spec: &NodeEniSpec, subnets: &[SubnetPlace]) -> Option<String> {
    let desired = groups(spec, placement_of(eni, subnets)).filter(|groups| !groups.is_empty())?;
    let mut current: Vec<String> = eni.current.groups.iter().map(ToString::to_string).collect();
    current.sort();
    (current != desired).then(|| format!("its groups are {current:?}, not {desired:?}"))
}

/// Whether EC2 refuses the groups of the NodeENI for an ENI that has others: one of them is in another VPC.
pub fn keeps_its_groups(eni: &ModelEni, spec: &NodeEniSpec, subnets: &[SubnetPlace]) -> bool {
    asks_for_foreign_groups(spec, placement_of(eni, subnets)) && groups_differ(eni, spec, subnets).is_some()
}

/// What else of an attached ENI differs from its NodeENI and can be changed in place.
pub fn differs_besides_groups(eni: &ModelEni, spec: &NodeEniSpec) -> Option<String> {
    let current = &eni.current;
    if let Some(description) =
        spec.description.as_ref().filter(|text| !text.is_empty() && **text != current.description)
    {
        return Some(format!("its description is {:?}, not {description:?}", current.description));
    }
    if spec.source_dest_check.unwrap_or(true) != current.source_dest_check {
        return Some(format!("its source/destination check is {}", current.source_dest_check));
    }
    let asked = spec.connection_tracking.unwrap_or_default();
    let timeouts = [
        ("TCP", asked.tcp_established_timeout_seconds, current.connection_tracking.tcp_established_timeout_seconds),
        ("UDP stream", asked.udp_stream_timeout_seconds, current.connection_tracking.udp_stream_timeout_seconds),
        ("UDP", asked.udp_timeout_seconds, current.connection_tracking.udp_timeout_seconds),
    ];
    if let Some((name, asked, is)) = timeouts.into_iter().find(|(_, asked, is)| asked.is_some() && asked != is) {
        return Some(format!("its {name} timeout of connection tracking is {is:?}, not {asked:?}"));
    }
    if current.attachment.as_ref().is_some_and(|at| at.delete_on_termination != spec.delete_on_termination) {
        return Some(format!("its deleteOnTermination is {}", !spec.delete_on_termination));
    }
    let tags = spec.tags.iter().flatten();
    tags.into_iter()
        .find(|(key, value)| current.tags.get(key) != Some(value))
        .map(|(key, value)| format!("its tag {key} is {:?}, not {value:?}", current.tags.get(key)))
}

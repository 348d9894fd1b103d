//! What the specs ask for, read by the simulator itself: the same words as the design's, and none of the product's code.

use crate::checker::model::{Model, NodeEniTruth, NodeTruth};
use crate::environment::{GROUPS, group, group_name, zone};
use crate::script::SubnetPlace;
use multi_eni_api::NodeEniSpec;
use std::collections::BTreeMap;

/// A place for an ENI on a node: network card, device index, subnet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Network card.
    pub card: i32,
    /// Device index.
    pub index: i32,
    /// The subnet.
    pub subnet: String,
}

/// What one NodeENI asks for on one Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the selector does not match, or either is being deleted.
    Nothing,
    /// Exactly these. Empty: none of its subnets is in the node's zone.
    These(Vec<Place>),
    /// That cannot be known: nothing new, and nothing is taken away.
    Unknown,
}

impl Asked {
    /// The places, as far as they are known.
    pub fn places(self) -> Vec<Place> {
        match self {
            Self::These(places) => places,
            Self::Nothing | Self::Unknown => Vec::new(),
        }
    }
}

/// What this NodeENI asks for on this Node.
pub fn asked(model: &Model, nodeeni: &NodeEniTruth, node: &NodeTruth, subnets: &[SubnetPlace]) -> Asked {
    let Some(spec) = &nodeeni.spec else { return Asked::Unknown };
    if nodeeni.deleting || !spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value)) {
        return Asked::Nothing;
    }
    if node.deleting {
        return Asked::Unknown;
    }
    let mut wanted: Vec<&SubnetPlace> = Vec::new();
    let ids = spec.subnet_id.iter().chain(spec.subnet_ids.iter().flatten());
    for id in ids {
        let Some(place) = subnets.iter().find(|place| place.id == *id) else { return Asked::Unknown };
        wanted.push(place);
    }
    for name in spec.subnet_name.iter().chain(spec.subnet_names.iter().flatten()) {
        let mut named: Vec<&SubnetPlace> = subnets.iter().filter(|place| place.name.as_ref() == Some(name)).collect();
        named.sort_by(|a, b| a.id.cmp(&b.id));
        let here = named.iter().filter(|place| zone(&place.zone) == node.zone).count();
        if named.is_empty() || here > 1 {
            return Asked::Unknown;
        }
        wanted.extend(named);
    }
    wanted.retain(|place| zone(&place.zone) == node.zone);
    // Where there is no subnet nobody asks for groups.
    if !wanted.is_empty() && groups(spec).is_none() {
        return Asked::Unknown;
    }
    let mut places: Vec<Place> = Vec::new();
    let card = spec.network_card_index.unwrap_or(0);
    for place in wanted {
        if !places.iter().any(|other| other.subnet == place.id) {
            let index = spec.device_index + i32::try_from(places.len()).unwrap_or(0);
            // What was taken over from upstream keeps its place.
            let pinned = model.pinned(&nodeeni.uid, &node.instance, &place.id);
            let (card, index) = pinned.unwrap_or((card, index));
            places.push(Place { card, index, subnet: place.id.clone() });
        }
    }
    Asked::These(places)
}

/// The security groups that a spec asks for, by ID, sorted; none: the VPC's default one. None if one of its names stands
/// for no group.
pub fn groups(spec: &NodeEniSpec) -> Option<Vec<String>> {
    let by_name = |name: &String| (1..=GROUPS).find(|number| group_name(*number) == *name).map(group);
    let named = spec.security_group_names.iter().flatten().map(by_name).collect::<Option<Vec<String>>>()?;
    let mut groups: Vec<String> = spec.security_group_ids.iter().flatten().cloned().chain(named).collect();
    groups.sort();
    groups.dedup();
    Some(groups)
}

/// A slot of an instance: instance, network card, device index.
pub type Slot = (String, i32, i32);

/// All slots that anybody asks for, and who does: NodeENI names, with the subnet that each wants there.
pub fn slots(model: &Model, subnets: &[SubnetPlace]) -> BTreeMap<Slot, Vec<(String, String)>> {
    let mut slots: BTreeMap<Slot, Vec<(String, String)>> = BTreeMap::new();
    for node in model.nodes.values() {
        for (name, nodeeni) in &model.nodeenis {
            let Asked::These(places) = asked(model, nodeeni, node, subnets) else { continue };
            for place in places {
                let slot = (node.instance.clone(), place.card, place.index);
                slots.entry(slot).or_default().push((name.clone(), place.subnet));
            }
        }
    }
    slots
}

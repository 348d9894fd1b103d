//! Checks that EC2 is as the specs ask: every slot for which a NodeENI asks has an ENI of such a NodeENI, and this cluster has no
//! other ENIs. Where no controller could reach that state, for example in a full subnet (`room.rs`), the check allows what is there.

use super::occupants::{has_any_on, is_for, occupant};
use super::room::{is_crowded, is_refused_for_good, lacks_a_place, lacks_addresses};
use super::stalled_rollouts::{lacks_one_of, stalled};
use crate::checker::model::{ModelEni, ModelNode};
use crate::checker::{Invariant, State};
use crate::expected::{self, DesiredPlaces, Place, Slot, desired_places};
use crate::network_cards::is_beyond_its_card;
use multi_eni_api::NodeEniSpec;
use multi_eni_api::names::{TAG_NODEENI, TAG_NODEENI_UID};
use multi_eni_plan::attachment::Attachment;
use std::collections::BTreeSet;

type Problem = (Invariant, String);

pub(super) fn problems(state: &State) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |how: String| problems.push((Invariant::Converges, how));
    let model = &state.model;
    let stalled = stalled(state);
    for (slot, contenders) in expected::slots(model, &state.subnets) {
        let (instance, card, index) = &slot;
        let Some(eni) = occupant(state, &slot) else {
            if is_crowded(state, &slot) {
                continue;
            }
            // An ENIAttachment keeps its slot although its subnet has no room. No controller can repair that.
            let holder = model
                .attachments
                .values()
                .map(|attachment| &attachment.attachment)
                .find(|attachment| attachment.slot() == (slot.1, slot.2) && is_for(attachment, instance));
            // Its NodeENI's places may also be unknown. The controller then removes nothing.
            let is_excused = |attachment: &Attachment| {
                is_unknown(state, attachment)
                    || lacks_addresses(state, attachment)
                    || is_refused_for_good(state, attachment)
            };
            if holder.is_some_and(is_excused) {
                continue;
            }
            // An ENI without an ENIAttachment may also be stuck in the slot. The places of its NodeENI are unknown, so it stays.
            if stuck_in(state, &slot).is_some_and(|eni| may_be_desired(state, eni)) {
                continue;
            }
            let uid = |name: &String| model.nodeenis.get(name).map(|nodeeni| nodeeni.uid.clone());
            // An outdated ENI stays as long as the rollout waits for other nodes, or another place of the NodeENI is taken.
            let is_kept = |uid: &str| {
                let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid);
                let node = model.nodes.values().find(|node| node.instance == *instance);
                let desired =
                    nodeeni.zip(node).map(|(nodeeni, node)| desired_places(model, nodeeni, node, &state.subnets));
                desired.is_some_and(|desired| lacks_one_of(state, uid, instance, &desired.places()))
            };
            let waits = |uid: String| has_any_on(state, &uid, instance) && (stalled.contains(&uid) || is_kept(&uid));
            if contenders.iter().filter_map(|(name, _)| uid(name)).any(waits) {
                continue;
            }
            say(format!("nothing is attached to {instance} at {card}/{index}, the slot of {}", names(&contenders)));
            continue;
        };
        let Some(uid) = &eni.made_for else { continue };
        let attachment =
            model.uids.get(uid).and_then(|name| model.attachments.get(name)).map(|attachment| &attachment.attachment);
        let Some(attachment) = attachment else {
            // The ENI holds the slot for its NodeENI, whose places are unknown now.
            if !may_be_desired(state, eni) {
                say(format!("{} at {instance} {card}/{index} has no ENIAttachment", eni.current.id));
            }
            continue;
        };
        let holder = contenders.iter().find(|(name, subnet)| {
            model.nodeenis.get(name).is_some_and(|nodeeni| nodeeni.uid == attachment.nodeeni_uid)
                && eni.current.is_in(subnet)
        });
        let Some((name, _)) = holder else {
            if superfluous(state, eni, &stalled).is_none() {
                // The ENI may hold the slot, because the places of its NodeENI are unknown now.
                continue;
            }
            say(format!(
                "{} of {} is at {instance} {card}/{index}, the slot of {}",
                eni.current.id,
                attachment.nodeeni,
                names(&contenders)
            ));
            continue;
        };
        let spec = model.nodeenis.get(name).and_then(|nodeeni| nodeeni.spec.as_ref());
        if let Some(how) = spec.and_then(|spec| differs(state, eni, spec)) {
            say(format!("{} of {name}: {how}", eni.current.id));
        }
        let stays = attachment.adopted.is_some()
            || stalled.contains(&attachment.nodeeni_uid)
            || has_impossible_place(state, &attachment.nodeeni_uid, instance);
        if let Some(how) = spec.filter(|_| !stays).and_then(|spec| has_other_addresses(state, eni, attachment, spec)) {
            say(format!("{} of {name}: {how}", eni.current.id));
        }
        if spec.is_some_and(|spec| !is_handed_on(attachment, spec)) {
            say(format!("{} does not have the node settings of {name}", attachment.name));
        }
    }
    for eni in model.enis.values().filter(|eni| eni.made_for.is_some()) {
        if let Some(how) = superfluous(state, eni, &stalled) {
            say(format!("{} {how}", eni.current.id));
        }
    }
    for attachment in model.attachments.values().filter(|attachment| attachment.attachment.deleting.is_some()) {
        say(format!("ENIAttachment {} is still being deleted", attachment.attachment.name));
    }
    for (name, _) in model.nodeenis.iter().filter(|(_, nodeeni)| nodeeni.deleting) {
        say(format!("NodeENI {name} is still being deleted"));
    }
    problems
}

/// Whether the places of the ENIAttachment's NodeENI on its Node are unknown.
fn is_unknown(state: &State, attachment: &Attachment) -> bool {
    let (nodeeni, node) = (state.model.nodeenis.get(&attachment.nodeeni), state.model.nodes.get(&attachment.node));
    nodeeni.zip(node).is_some_and(|(nodeeni, node)| {
        expected::desired_places(&state.model, nodeeni, node, &state.subnets) == DesiredPlaces::Unknown
    })
}

/// The ENI of this cluster without an ENIAttachment that is in this slot, or attaching to it.
fn stuck_in<'a>(state: &'a State, (instance, card, index): &Slot) -> Option<&'a ModelEni> {
    state.model.enis.values().filter(|eni| eni.orphaned.is_some()).find(|eni| {
        eni.current.attachment.as_ref().is_some_and(|at| {
            at.instance.as_ref().is_some_and(|on| on.as_str() == instance) && (at.card, at.index) == (*card, *index)
        })
    })
}

/// Whether the places of the ENI's NodeENI on its node are unknown. The controller then neither removes nor adopts the ENI.
fn may_be_desired(state: &State, eni: &ModelEni) -> bool {
    let model = &state.model;
    let on = eni.current.attachment.as_ref().and_then(|at| at.instance.as_ref());
    let node = on.and_then(|instance| model.nodes.values().find(|node| node.instance == instance.as_str()));
    let of_uid = eni.current.tags.get(TAG_NODEENI_UID).and_then(|uid| model.nodeenis.values().find(|n| n.uid == uid));
    // A NodeENI that was created again under the same name counts too.
    let of_name = || eni.current.tags.get(TAG_NODEENI).and_then(|name| model.nodeenis.get(name));
    of_uid
        .or_else(of_name)
        .zip(node)
        .is_some_and(|(nodeeni, node)| desired_places(model, nodeeni, node, &state.subnets) == DesiredPlaces::Unknown)
}

/// What of an attached ENI differs from its NodeENI and can be repaired. EC2 refuses groups of another VPC.
fn differs(state: &State, eni: &ModelEni, spec: &NodeEniSpec) -> Option<String> {
    if expected::keeps_its_groups(eni, spec, &state.subnets) {
        return expected::differs_besides_groups(eni, spec);
    }
    expected::differs(eni, spec, &state.subnets)
}

/// Whether a NodeENI asks for a place on an instance that never works: a device index beyond its network card, or a subnet of another
/// VPC. An ENI of the NodeENI there may stay then, because its successor has no place.
fn has_impossible_place(state: &State, uid: &str, instance: &str) -> bool {
    let model = &state.model;
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid);
    let node = model.nodes.values().find(|node| node.instance == instance);
    let desired = nodeeni.zip(node).map(|(nodeeni, node)| desired_places(model, nodeeni, node, &state.subnets));
    let places = desired.map(DesiredPlaces::places).unwrap_or_default();
    let is_impossible =
        |place: &Place| place.is_in_other_vpc || is_beyond_its_card(&state.cards, place.card, place.index);
    places.iter().any(is_impossible)
}

fn names(contenders: &[(String, String)]) -> String {
    contenders.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" or ")
}

/// What of an ENI's addresses differs from its NodeENI. Only another ENI can repair that.
fn has_other_addresses(state: &State, eni: &ModelEni, attachment: &Attachment, spec: &NodeEniSpec) -> Option<String> {
    let none_is_zero = |count: Option<i32>| count.unwrap_or(0);
    let (has, request) = (eni.current.private_ips.len(), &attachment.request);
    let desired = expected::ipv4_addresses(spec, &request.subnet_id, &state.subnets);
    if desired != has {
        return Some(format!("it has {has} private addresses, not {desired}"));
    }
    // Prefixes and IPv6 addresses are compared by the request, because EC2 assigns all of them or fails.
    [
        ("IPv4 prefixes", request.ipv4_prefix_count, spec.ipv4_prefix_count),
        ("IPv6 addresses", request.ipv6_address_count, spec.ipv6_address_count),
        ("IPv6 prefixes", request.ipv6_prefix_count, spec.ipv6_prefix_count),
    ]
    .into_iter()
    .find(|(_, requested, desired)| none_is_zero(*requested) != none_is_zero(*desired))
    .map(|(what, requested, desired)| format!("its request has {requested:?} {what}, not {desired:?}"))
}

/// Whether an ENIAttachment has the settings of its NodeENI for the node agent.
fn is_handed_on(attachment: &Attachment, spec: &NodeEniSpec) -> bool {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let settings = &attachment.node_settings;
    settings.mtu == spec.mtu.filter(|mtu| *mtu != 0)
        && settings.enable_dpdk.unwrap_or(false) == spec.enable_dpdk.unwrap_or(false)
        && settings.dpdk_driver == text(&spec.dpdk_driver)
        && settings.dpdk_resource_name == text(&spec.dpdk_resource_name)
        && settings.dpdk_pci_address == text(&spec.dpdk_pci_address)
        && settings.node_config == spec.node_config.clone().filter(|config| !config.is_empty())
}

/// Whether an ENI for which the NodeENI does not ask may stay on its Node, because a place for which it asks is not free: another
/// ENI is in the place, or an adopted ENI keeps it for another subnet of the same list.
fn stays_for_want_of_a_place(state: &State, attachment: &Attachment, node: &ModelNode, places: &[Place]) -> bool {
    let slots: BTreeSet<(i32, i32)> = places.iter().map(|place| (place.card, place.index)).collect();
    let is_listed = places.iter().any(|place| place.subnet == attachment.request.subnet_id);
    lacks_one_of(state, &attachment.nodeeni_uid, &node.instance, places) || slots.len() < places.len() && is_listed
}

/// Why an ENI of this cluster should not exist; None if it should or may exist.
fn superfluous(state: &State, eni: &ModelEni, stalled: &BTreeSet<String>) -> Option<String> {
    if eni.untagged.is_some() {
        return Some("does not carry the tags of its ENIAttachment".to_owned());
    }
    let model = &state.model;
    let name = eni.made_for.as_ref().and_then(|uid| model.uids.get(uid));
    let Some(attachment) = name.and_then(|name| model.attachments.get(name)).map(|attachment| &attachment.attachment)
    else {
        return (!may_be_desired(state, eni)).then(|| "has no ENIAttachment".to_owned());
    };
    let instance = attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let node = model.nodes.get(&attachment.node).filter(|node| node.instance == instance);
    let Some(node) = node else {
        return Some(format!("exists for Node {}, which is not on {instance}", attachment.node));
    };
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == attachment.nodeeni_uid);
    let Some(nodeeni) = nodeeni else {
        return Some(format!("exists for NodeENI {}, which was deleted", attachment.nodeeni));
    };
    let desired = match desired_places(model, nodeeni, node, &state.subnets) {
        DesiredPlaces::These(places) if !places.is_empty() && stalled.contains(&nodeeni.uid) => true,
        DesiredPlaces::Unknown => true,
        DesiredPlaces::Nothing => false,
        DesiredPlaces::These(places) => {
            places
                .iter()
                .any(|place| (place.card, place.index) == attachment.slot() && eni.current.is_in(&place.subnet))
                || stays_for_want_of_a_place(state, attachment, node, &places)
        }
    };
    if !desired {
        return Some(format!("exists, and NodeENI {} does not ask for it on {}", attachment.nodeeni, attachment.node));
    }
    let (card, index) = attachment.slot();
    let crowded = lacks_a_place(state, attachment);
    let taken_by_another = || occupant(state, &(instance, card, index)).is_some_and(|other| other.made_for.is_none());
    if model.in_place(attachment).is_none() && !crowded && !taken_by_another() {
        return Some(format!("is not attached in the slot of {}", attachment.name));
    }
    None
}

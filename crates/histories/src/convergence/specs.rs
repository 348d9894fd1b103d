//! Checks that EC2 is as the specs ask: every slot for which a NodeENI asks has an ENI of such a NodeENI, and this cluster has no
//! other ENIs. Where no controller could reach that state, for example in a full subnet, the check allows what is there.

use crate::checker::model::{ModelEni, ModelNode};
use crate::checker::{Invariant, State, most_unavailable};
use crate::expected::{self, DesiredPlaces, Place, Slot, desired_places};
use crate::network_cards::is_beyond_its_card;
use crate::node_selection::selects;
use multi_eni_api::NodeEniSpec;
use multi_eni_api::names::{TAG_NODEENI, TAG_NODEENI_UID};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::AttachmentState;
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
            if holder.is_some_and(|attachment| is_unknown(state, attachment) || lacks_addresses(state, attachment)) {
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
        if let Some(how) = spec.and_then(|spec| expected::differs(eni, spec)) {
            say(format!("{} of {name}: {how}", eni.current.id));
        }
        let stays = attachment.adopted.is_some()
            || stalled.contains(&attachment.nodeeni_uid)
            || has_index_beyond_its_card(state, &attachment.nodeeni_uid, instance);
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

/// Whether the ENIAttachment's subnet has no room for its ENI.
pub(super) fn lacks_addresses(state: &State, attachment: &Attachment) -> bool {
    has_no_block(state, attachment) || is_full(state, &attachment.nodeeni, &attachment.request.subnet_id)
}

/// Whether EC2's last answer was that the subnet has no whole block left, to this ENIAttachment or to one that tries for all. The
/// state of a subnet does not show how its addresses lie.
fn has_no_block(state: &State, attachment: &Attachment) -> bool {
    let asks_for_blocks = |attachment: &Attachment| attachment.request.ipv4_prefix_count.is_some_and(|count| count > 0);
    let is_refused = |other: &Attachment| {
        let says_so = other.status.last_error.as_ref().is_some_and(|error| {
            error.code == "InsufficientCidrBlocks"
                || error.message.contains("sufficient free Ipv4 addresses or prefixes")
        });
        other.request.subnet_id == attachment.request.subnet_id && says_so
    };
    asks_for_blocks(attachment)
        && state
            .model
            .attachments
            .values()
            .any(|other| asks_for_blocks(&other.attachment) && is_refused(&other.attachment))
}

/// Whether a subnet has no room for what a NodeENI asks for.
fn is_full(state: &State, nodeeni: &str, subnet: &str) -> bool {
    /// The addresses of a /28, and of a /24, minus the five that EC2 keeps.
    const TINY: usize = 11;
    const WHOLE: usize = 251;
    let Some(place) = state.subnets.iter().find(|place| place.id == subnet) else { return false };
    let spec = state.model.nodeenis.get(nodeeni).and_then(|nodeeni| nodeeni.spec.as_ref());
    let Some(spec) = spec else { return false };
    if place.ipv6_only {
        // EC2 refuses what needs IPv4 addresses there, and their number limits nothing.
        return asks_for_ipv4(spec);
    }
    let in_subnet = state.model.enis.values().filter(|eni| eni.current.is_in(subnet));
    let taken: usize = in_subnet.map(|eni| eni.current.private_ips.len() + 16 * prefixes(state, eni)).sum();
    let blocks = usize::try_from(spec.ipv4_prefix_count.unwrap_or(0)).unwrap_or(0);
    let desired = usize::try_from(spec.private_ip_count.unwrap_or(1).max(1)).unwrap_or(1) + 16 * blocks;
    let has_prefixes = place.tiny && spec.ipv4_prefix_count.is_some_and(|count| count > 0);
    has_prefixes || taken + desired > if place.tiny { TINY } else { WHOLE }
}

/// Whether a spec asks for IPv4 addresses besides the primary one, or for IPv4 prefixes.
fn asks_for_ipv4(spec: &NodeEniSpec) -> bool {
    spec.private_ip_count.is_some_and(|count| count > 1) || spec.ipv4_prefix_count.is_some_and(|count| count > 0)
}

/// Whether EC2 refuses each Create for an ENIAttachment, because it asks for IPv4 addresses in an IPv6-only subnet.
pub(super) fn is_refused_for_good(state: &State, attachment: &Attachment) -> bool {
    let spec = state.model.nodeenis.get(&attachment.nodeeni).and_then(|nodeeni| nodeeni.spec.as_ref());
    let is_ipv6_only = |subnet: &str| state.subnets.iter().any(|place| place.id == subnet && place.ipv6_only);
    spec.is_some_and(asks_for_ipv4) && is_ipv6_only(&attachment.request.subnet_id)
}

/// How many IPv4 prefixes an ENI has, by its ENIAttachment's request.
fn prefixes(state: &State, eni: &ModelEni) -> usize {
    let name = eni.made_for.as_ref().and_then(|uid| state.model.uids.get(uid));
    let attachment = name.and_then(|name| state.model.attachments.get(name));
    attachment
        .and_then(|attachment| attachment.attachment.request.ipv4_prefix_count)
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0)
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

/// Whether a NodeENI asks for a device index beyond its network card on an instance. No ENI of the NodeENI there is replaced then.
fn has_index_beyond_its_card(state: &State, uid: &str, instance: &str) -> bool {
    let model = &state.model;
    let nodeeni = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid);
    let node = model.nodes.values().find(|node| node.instance == instance);
    let desired = nodeeni.zip(node).map(|(nodeeni, node)| desired_places(model, nodeeni, node, &state.subnets));
    let places = desired.map(DesiredPlaces::places).unwrap_or_default();
    places.iter().any(|place| is_beyond_its_card(&state.cards, place.card, place.index))
}

/// Whether the network card of a slot is full, does not exist or has no such device index, which no controller can repair. ENIAttachments count, because
/// they keep their places. A slot that has an ENI, also one that is attaching, has room.
fn is_crowded(state: &State, (instance, card, index): &Slot) -> bool {
    let Some(most) = usize::try_from(*card).ok().and_then(|card| state.cards.get(card)) else { return true };
    let attached = state.model.enis.values().filter_map(|eni| eni.current.attachment.as_ref());
    let attached = attached.filter(|at| at.instance.as_ref().is_some_and(|on| on.as_str() == instance));
    let attached: BTreeSet<(i32, i32)> = attached.map(|at| (at.card, at.index)).collect();
    if attached.contains(&(*card, *index)) {
        return false;
    }
    if is_beyond_its_card(&state.cards, *card, *index) {
        return true;
    }
    let attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    let attachment = attachment.filter(|attachment| is_for(attachment, instance));
    // The other slots in use: a full card has no room for one more.
    let others = attachment.map(Attachment::slot).chain(attached).filter(|slot| *slot != (*card, *index));
    let slots: BTreeSet<(i32, i32)> = others.collect();
    // With `deviceIndexPolicy: highestFree` an ENI has no index before one is free below the card's maximum.
    let has_free_index = || {
        let most = i32::try_from(*most).unwrap_or(i32::MAX);
        (i32::from(*card == 0)..most).any(|index| !slots.contains(&(*card, index)))
    };
    slots.iter().filter(|(on, _)| on == card).count() >= usize::try_from(*most).unwrap_or(usize::MAX)
        || *index < 0 && !has_free_index()
}

/// Whether the instance has no room for the ENI of an ENIAttachment.
pub(super) fn lacks_a_place(state: &State, attachment: &Attachment) -> bool {
    let (card, index) = attachment.slot();
    attachment.instance.as_ref().is_some_and(|on| is_crowded(state, &(on.to_string(), card, index)))
}

fn names(contenders: &[(String, String)]) -> String {
    contenders.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" or ")
}

/// The ENI that is completely attached in a slot.
pub(super) fn occupant<'a>(state: &'a State, slot: &Slot) -> Option<&'a ModelEni> {
    state.model.enis.values().find(|eni| {
        eni.current.attachment.as_ref().is_some_and(|at| {
            at.instance.as_ref().is_some_and(|instance| instance.as_str() == slot.0)
                && (at.card, at.index) == (slot.1, slot.2)
                && at.state == AttachmentState::Attached
        })
    })
}

/// Whether an ENI was made for an ENIAttachment of that NodeENI.
pub(super) fn is_of(state: &State, eni: &ModelEni, nodeeni_uid: &str) -> bool {
    let name = eni.made_for.as_ref().and_then(|uid| state.model.uids.get(uid));
    name.and_then(|name| state.model.attachments.get(name))
        .is_some_and(|attachment| attachment.attachment.nodeeni_uid == nodeeni_uid)
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

/// The UIDs of the NodeENIs whose rollout is stalled. It is computed once, because it takes long with many nodes.
fn stalled(state: &State) -> BTreeSet<String> {
    let uids = state.model.nodeenis.values().map(|nodeeni| nodeeni.uid.clone());
    uids.filter(|uid| is_stalled(state, uid)).collect()
}

/// Whether a NodeENI's rollout waits for nodes whose ENIs no controller can bring. Outdated ENIs then stay, and their
/// replacements wait.
fn is_stalled(state: &State, uid: &str) -> bool {
    let model = &state.model;
    let spec = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid).and_then(|nodeeni| nodeeni.spec.as_ref());
    // The controller does not replace a working ENI for a network card that no instance has.
    let card = spec.and_then(|spec| spec.network_card_index).and_then(|card| usize::try_from(card).ok());
    if card.is_some_and(|card| card >= state.cards.len()) {
        return true;
    }
    let most = max_unavailable(state, uid);
    let mine = model
        .attachments
        .values()
        .map(|attachment| &attachment.attachment)
        .filter(|attachment| attachment.nodeeni_uid == uid);
    let stuck = mine.filter(|attachment| model.in_place(attachment).is_none());
    let stuck = stuck.filter(|attachment| lacks_addresses(state, attachment) || lacks_a_place(state, attachment));
    let nodes = stuck.map(|attachment| attachment.node.as_str()).chain(kept_out(state, uid));
    nodes.collect::<BTreeSet<_>>().len() >= most
}

/// How many nodes a NodeENI's rollout may make unavailable.
fn max_unavailable(state: &State, uid: &str) -> usize {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid) else { return 1 };
    let is_matched = |node: &&ModelNode| nodeeni.spec.as_ref().is_some_and(|spec| selects(spec, &node.labels));
    let matched = model.nodes.values().filter(is_matched).count();
    most_unavailable(&nodeeni.object["spec"]["rollout"]["maxUnavailable"], matched)
}

/// Nodes on which a place of a NodeENI is taken or full, and nodes without any ENI of it on which its places are unknown.
fn kept_out<'a>(state: &'a State, uid: &str) -> Vec<&'a str> {
    let model = &state.model;
    let Some(nodeeni) = model.nodeenis.values().find(|nodeeni| nodeeni.uid == uid) else { return Vec::new() };
    let is_kept_out = |node: &&ModelNode| match desired_places(model, nodeeni, node, &state.subnets) {
        DesiredPlaces::Nothing => false,
        DesiredPlaces::Unknown => !node.deleting && !has_any_on(state, uid, &node.instance),
        DesiredPlaces::These(places) => lacks_one_of(state, uid, &node.instance, &places),
    };
    model.nodes.iter().filter(|(_, node)| is_kept_out(node)).map(|(name, _)| name.as_str()).collect()
}

/// Whether one of these places is taken by another ENI, or full.
fn lacks_one_of(state: &State, uid: &str, instance: &str, places: &[Place]) -> bool {
    places.iter().any(|place| {
        let slot = (instance.to_owned(), place.card, place.index);
        let anothers = state.model.attachments.values().map(|attachment| &attachment.attachment).any(|attachment| {
            attachment.nodeeni_uid != uid
                && attachment.slot() == (place.card, place.index)
                && is_for(attachment, instance)
        });
        let taken = occupant(state, &slot).map_or_else(|| is_crowded(state, &slot), |eni| !is_of(state, eni, uid));
        taken || anothers
    })
}

/// Whether an ENI for which the NodeENI does not ask may stay on its Node, because a place for which it asks is not free: another
/// ENI is in the place, or an adopted ENI keeps it for another subnet of the same list.
fn stays_for_want_of_a_place(state: &State, attachment: &Attachment, node: &ModelNode, places: &[Place]) -> bool {
    let slots: BTreeSet<(i32, i32)> = places.iter().map(|place| (place.card, place.index)).collect();
    let is_listed = places.iter().any(|place| place.subnet == attachment.request.subnet_id);
    lacks_one_of(state, &attachment.nodeeni_uid, &node.instance, places) || slots.len() < places.len() && is_listed
}

/// Whether that NodeENI has an ENIAttachment for that instance.
fn has_any_on(state: &State, uid: &str, instance: &str) -> bool {
    let mut attachment = state.model.attachments.values().map(|attachment| &attachment.attachment);
    attachment.any(|attachment| attachment.nodeeni_uid == uid && is_for(attachment, instance))
}

fn is_for(attachment: &Attachment, instance: &str) -> bool {
    attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
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

//! Judges whether a replica was allowed to change an ENI or an object: `nothing-foreign`, `nothing-unasked`, `finalizers-hold`,
//! `orphans-wait`, `force-waits`, `device-return`. It judges by the model, not by what the replica may have seen.
//!
//! A replica's view may be outdated. Therefore an action counts as a violation only if everything that could excuse it has not
//! changed for [`MAX_STALENESS`].

use super::device_return;
use super::eni_change_event::EniChange;
use super::invariant::Invariant;
use super::max_staleness::MAX_STALENESS;
use super::model::{ModelAttachment, ModelEni};
use super::no_successor;
use super::settled::is_well;
use super::state::State;
use crate::expected::{DesiredPlaces, Place, desired_places, ipv4_addresses};
use crate::script::Millis;
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::{ENIATTACHMENT_FINALIZER, NODEENI_FINALIZER, TAG_ATTACHMENT_UID, TAG_NODEENI_UID};
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::ec2::{AttachmentStatus, CallRecord, Eni};
use multi_eni_sim::kube::ObjectChange;
use serde_json::Value;

/// How long EC2's lag and the time between a lookup and its use may be, together.
const LAG: Millis = 60_000;

/// How long an orphan is left alone. The checker has its own number, so that it notices a different one in the controller.
const ORPHANS_WAIT: Millis = 180_000;

/// A call has changed an interface.
pub fn call(state: &mut State, change: &EniChange<'_>, record: &CallRecord) {
    let (at, Some(before), after) = (change.at, change.before, change.after) else { return };
    let Some(model_eni) = state.model.enis.get(&before.id).cloned() else { return };
    let (action, actor) = (&record.action, &record.user_agent);
    let foreign = match (&model_eni.made_for, model_eni.untagged) {
        (None, _) => true,
        (Some(_), Some(since)) => at > since + MAX_STALENESS,
        (Some(_), None) => false,
    };
    if foreign && action == "CreateTags" && state.model.may_be_taken_over(at, &model_eni.current) {
        return;
    }
    if foreign {
        return state.broke(
            at,
            Invariant::NothingForeign,
            format!("{actor} changes {} by {action}, and the ENI does not belong to this cluster", before.id),
        );
    }
    let owner = |eni: Option<&Eni>| eni.and_then(|eni| eni.tags.get(TAG_ATTACHMENT_UID)).cloned();
    let (had, has) = (owner(Some(before)), owner(after));
    // A request that was sent for an ENIAttachment may take effect after someone removed the ENIAttachment.
    let was_torn =
        has.as_ref().and_then(|uid| state.model.torn.get(uid)).is_some_and(|(torn, _)| at <= torn + MAX_STALENESS);
    if after.is_some()
        && had != has
        && !was_torn
        && let Some(had) = had.filter(|uid| state.model.uids.contains_key(uid))
    {
        let how = format!("{actor} takes {} from ENIAttachment {had} by {action}", before.id);
        return state.broke(at, Invariant::NothingForeign, how);
    }
    let takes_away = match action.as_str() {
        "DetachNetworkInterface" => before.attachment.as_ref().is_some_and(|a| a.status == AttachmentStatus::Attached),
        "DeleteNetworkInterface" => after.is_none(),
        _ => false,
    };
    if action == "DetachNetworkInterface" {
        if record.force {
            forced(state, at, record, before);
        } else {
            detached(state, at, before);
        }
    }
    if !takes_away {
        return;
    }
    let uid = model_eni.made_for.clone().unwrap_or_default();
    let eni_attachment = state.model.uids.get(&uid).and_then(|name| state.model.attachments.get(name)).cloned();
    match eni_attachment {
        None => {
            let since = model_eni.orphaned.unwrap_or(at);
            if !model_eni.left_leaving && is_desired_there(state, at, before, &model_eni) {
                let how = format!(
                    "{actor}: {action} of {}, which has no ENIAttachment, and its NodeENI asks for it in its slot",
                    before.id
                );
                return state.broke(at, Invariant::NothingUnasked, how);
            }
            // The first of the two resyncs may have begun shortly before the ENI lost its ENIAttachment.
            if !model_eni.left_leaving && at + 10_000 < since + ORPHANS_WAIT {
                let how =
                    format!("{actor}: {action} of {}, which lost its ENIAttachment only at {since} ms", before.id);
                state.broke(at, Invariant::OrphansWait, how);
            }
        }
        Some(eni_attachment)
            if eni_attachment.attachment.deleting.is_none() && is_well(state, at, &eni_attachment.attachment) =>
        {
            let how = format!("{actor}: {action} of {}, which works and fits its NodeENI", before.id);
            state.broke(at, Invariant::NothingUnasked, how);
        }
        Some(eni_attachment) if action == "DetachNetworkInterface" && !record.force => {
            device_return::detached(state, at, actor, before, &eni_attachment);
        }
        Some(_) => {}
    }
}

/// Whether an ENI without an ENIAttachment is in a place for which the NodeENI of its tags asks, and nothing of that has changed
/// for long.
fn is_desired_there(state: &State, at: Millis, eni: &Eni, model_eni: &ModelEni) -> bool {
    let model = &state.model;
    let (Some(on), Some(uid)) = (&eni.attachment, eni.tags.get(TAG_NODEENI_UID)) else { return false };
    let Some(nodeeni) = model.nodeenis.values().find(|nodeeni| nodeeni.uid == *uid) else { return false };
    let Some((name, node)) = model.nodes.iter().find(|(_, node)| node.instance == on.instance_id) else {
        return false;
    };
    let changed = |of: &std::collections::BTreeMap<String, Millis>, key: &str| of.get(key).copied().unwrap_or(0);
    let disturbed = [
        model_eni.disturbed,
        model_eni.state_since,
        model_eni.retagged.unwrap_or(0),
        changed(&model.nodes_changed, name),
        changed(&model.nodeenis_changed, uid),
        changed(&model.instances_changed, &on.instance_id),
    ];
    let settled = disturbed.into_iter().all(|since| at > since + MAX_STALENESS);
    let slot = (on.network_card_index, on.device_index);
    let slot = (i32::try_from(slot.0).unwrap_or(-1), i32::try_from(slot.1).unwrap_or(-1));
    let another = model.attachments.values().map(|eni_attachment| &eni_attachment.attachment).any(|eni_attachment| {
        eni_attachment.slot() == slot
            && eni_attachment.instance.as_ref().is_some_and(|instance| instance.as_str() == on.instance_id)
    });
    let (card, index) = slot;
    // An attached ENI is in the VPC of its instance.
    let place = Place { card, index, subnet: eni.subnet_id.clone(), is_in_other_vpc: false };
    let desired = desired_places(model, nodeeni, node, &state.subnets);
    let asks = matches!(&desired, DesiredPlaces::These(places) if places.contains(&place));
    let spec = nodeeni.spec.as_ref();
    let same = spec.is_some_and(|s| {
        ipv4_addresses(s, &eni.subnet_id, &state.subnets) == eni.private_ips.len()
            && s.ipv4_prefix_count.is_none()
            && s.ipv6_address_count.is_none()
            && s.ipv6_prefix_count.is_none()
    });
    settled && asks && same && !another
}

/// A forced detach is allowed only when a plain Detach, which EC2 accepted, has had its grace. The age of the deletion of the
/// ENIAttachment does not count.
fn forced(state: &mut State, at: Millis, record: &CallRecord, before: &Eni) {
    let (Some(model_eni), Some(attachment)) = (state.model.enis.get(&before.id), &before.attachment) else { return };
    let accepted = model_eni.detached.as_ref().filter(|(id, _)| *id == attachment.id).map(|(_, at)| *at);
    let leaving = (attachment.status == AttachmentStatus::Detaching).then_some(model_eni.state_since);
    let since = accepted.into_iter().chain(leaving).min();
    if since.is_some_and(|since| at >= since + state.force_after) {
        return;
    }
    let actor = &record.user_agent;
    let how = match since {
        None => format!("{actor} detaches {} by force, and no plain Detach came first", before.id),
        Some(since) => {
            format!("{actor} detaches {} by force, {} s after the detach began", before.id, (at - since) / 1000)
        }
    };
    state.broke(at, Invariant::ForceWaits, how);
}

/// EC2 has accepted a plain Detach.
fn detached(state: &mut State, at: Millis, before: &Eni) {
    let attachment = before.attachment.as_ref().map(|attachment| attachment.id.clone());
    if let (Some(model_eni), Some(id)) = (state.model.enis.get_mut(&before.id), attachment)
        && model_eni.detached.as_ref().is_none_or(|(detached, _)| *detached != id)
    {
        model_eni.detached = Some((id, at));
    }
}

/// A NodeENI has changed.
pub fn nodeeni(state: &mut State, at: Millis, change: &ObjectChange<'_>, by_replica: bool) {
    if !by_replica || !loses(change, NODEENI_FINALIZER) {
        return;
    }
    let uid = uid(change.before);
    // A Create whose answer was lost may take effect after the replica stopped waiting for it. The replica cannot know of the
    // ENIAttachment when it releases the NodeENI. The ENIAttachment then has no owner, and the controller cleans it up.
    let sent = state.repeats.sent(change.actor, &format!("patch nodeenis.networking.k8s.aws {}", change.name));
    let knowable = |eni_attachment: &&ModelAttachment| sent.is_none_or(|sent| eni_attachment.since < sent);
    let of = |eni_attachment: &&ModelAttachment| eni_attachment.attachment.nodeeni_uid == uid;
    if let Some(eni_attachment) = state.model.attachments.values().filter(of).find(knowable) {
        let how = format!(
            "{} removes the finalizer of NodeENI {}, and its ENIAttachment {} still exists",
            change.actor, change.name, eni_attachment.attachment.name
        );
        state.broke(at, Invariant::FinalizersHold, how);
    }
}

/// An ENIAttachment has changed.
pub fn attachment(state: &mut State, at: Millis, change: &ObjectChange<'_>, by_replica: bool) {
    if !by_replica {
        return;
    }
    let uid = uid(change.before);
    // A lookup need not yet show tags that someone removed and has just put back.
    let shows = |eni: &&ModelEni| eni.untagged.is_none() && eni.retagged.is_none_or(|since| at > since + LAG);
    let left = state.model.made_for(&uid).find(shows).map(|eni| eni.current.id.clone());
    if let Some(eni) = left.filter(|_| loses(change, ENIATTACHMENT_FINALIZER)) {
        let how = format!("{} removes the finalizer of {}, and its {eni} still exists", change.actor, change.name);
        return state.broke(at, Invariant::FinalizersHold, how);
    }
    if change.before.is_none()
        && let Some(node) = change.after.and_then(|o| o.pointer("/spec/nodeName")).and_then(Value::as_str)
        && state.model.nodes.get(node).is_some_and(|node| node.is_unsupported)
    {
        let how = format!("{} creates {} for {node}, which can never have an ENI", change.actor, change.name);
        return state.broke(at, Invariant::NothingUnasked, how);
    }
    if let Some(subnet) = unattachable_subnet(state, change) {
        let how = format!(
            "{} creates {} for {subnet}, which is in another VPC or on another Outpost",
            change.actor, change.name
        );
        return state.broke(at, Invariant::NothingUnasked, how);
    }
    let deleting = |object: Option<&Value>| object.is_none_or(|o| o.pointer("/metadata/deletionTimestamp").is_some());
    let begins = change.before.is_some() && !deleting(change.before) && deleting(change.after);
    let object = change.before.filter(|_| begins).and_then(|o| serde_json::from_value::<ENIAttachment>(o.clone()).ok());
    let Some(eni_attachment) = object.as_ref().map(Attachment::read) else { return };
    if is_well(state, at, &eni_attachment) {
        let how = format!("{} deletes {}, whose ENI works and fits its NodeENI", change.actor, change.name);
        state.broke(at, Invariant::NothingUnasked, how);
    } else if no_successor::is_lost_for_nothing(state, at, &eni_attachment) {
        let how = format!("{} deletes {}, whose ENI is in use and can have no successor", change.actor, change.name);
        state.broke(at, Invariant::NothingUnasked, how);
    } else if let Some(pod) = user(state, at, &eni_attachment) {
        let how = format!("{} deletes {}, which Pod {pod} uses", change.actor, change.name);
        state.broke(at, Invariant::NothingUnasked, how);
    }
}

/// The subnet of a new ENIAttachment whose ENI EC2 never attaches: it is in another VPC than the instance, or not on its Outpost. Neither
/// ever changes, and the controller looks both up before it creates anything.
fn unattachable_subnet(state: &State, change: &ObjectChange<'_>) -> Option<String> {
    let spec = change.after.filter(|_| change.before.is_none())?.get("spec")?;
    let subnet = spec.pointer("/request/subnetID")?.as_str()?;
    let of_instance = state.model.placements.get(spec.get("instanceID")?.as_str()?).copied().unwrap_or_default();
    let of_subnet = state.subnets.iter().find(|place| place.id == subnet)?.placement;
    let fits = of_subnet.is_in_vpc_of(of_instance) && of_subnet.is_on_outpost_of(of_instance);
    (!fits).then(|| subnet.to_owned())
}

/// The Pod that has long used the ENI, if the node exists and only the node's labels can be the reason to delete the ENI.
fn user(state: &State, at: Millis, eni_attachment: &Attachment) -> Option<String> {
    let (model, staleness) = (&state.model, state.pods_known?);
    let instance = eni_attachment.instance.as_ref().map(ToString::to_string).unwrap_or_default();
    let node = model.nodes.get(&eni_attachment.node).filter(|node| node.instance == instance && !node.deleting)?;
    let nodeeni =
        model.nodeenis.get(&eni_attachment.nodeeni).filter(|nodeeni| nodeeni.uid == eni_attachment.nodeeni_uid)?;
    let spec_stands = model.nodeenis_changed.get(&nodeeni.uid).is_some_and(|changed| at > changed + MAX_STALENESS);
    // A Pod cannot use an ENI that was never reported as attached.
    let was_attached = is_true(&eni_attachment.status.conditions, types::ATTACHED);
    let is_deselected = eni_attachment.deselected_since.is_some()
        && desired_places(model, nodeeni, node, &state.subnets) == DesiredPlaces::Nothing
        && !nodeeni.deleting;
    let uses = |(since, on, of): &(Millis, String, String)| {
        at > since + staleness && *on == eni_attachment.node && *of == eni_attachment.nodeeni
    };
    let pod = model.pods.iter().find(|(_, pod)| uses(pod)).map(|(name, _)| name.clone());
    pod.filter(|_| was_attached && is_deselected && spec_stands && model.in_place(eni_attachment).is_some())
}

fn uid(object: Option<&Value>) -> String {
    object.and_then(|o| o.pointer("/metadata/uid")).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether the change removes the finalizer.
fn loses(change: &ObjectChange<'_>, finalizer: &str) -> bool {
    let has = |object: Option<&Value>| {
        let list = object.and_then(|o| o.pointer("/metadata/finalizers")).and_then(Value::as_array);
        list.into_iter().flatten().any(|f| f.as_str() == Some(finalizer))
    };
    has(change.before) && !has(change.after)
}

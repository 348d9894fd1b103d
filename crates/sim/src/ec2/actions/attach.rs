//! AttachNetworkInterface: the checks of interface, instance, slot and limits, and the start of the attachment.

use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::catalog;
use crate::ec2::faults::Fault;
use crate::ec2::ids::Kind;
use crate::ec2::model::{Attachment, AttachmentStatus, Eni, Instance, InstanceState, Stuck};
use crate::ec2::state::{Event, State};
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] =
    &["DeviceIndex", "EnaQueueCount", "EnaSrdSpecification", "InstanceId", "NetworkCardIndex", "NetworkInterfaceId"];

pub(in crate::ec2) fn attach(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let params = &call.params;
    let (eni_id, instance_id) = (params.required("NetworkInterfaceId")?, params.required("InstanceId")?);
    Kind::Eni.check(eni_id)?;
    Kind::Instance.check(instance_id)?;
    let index = params.count("DeviceIndex")?.ok_or_else(|| ApiError::missing("DeviceIndex"))?;
    let card = params.count("NetworkCardIndex")?.unwrap_or(0);

    let mut eni = state.eni_known(eni_id)?;
    let instance = state.instances.get(instance_id).ok_or_else(|| ApiError::no_instance(instance_id))?;
    ApiError::check_owner(eni.other_owner.as_deref())?;
    if let Some(managed) = [(eni.managed, eni_id), (instance.managed, instance_id)].iter().find(|(managed, _)| *managed)
    {
        return Err(ApiError::managed(managed.1));
    }
    if eni.attachment.is_some() {
        return Err(ApiError::new("InvalidNetworkInterface.InUse", format!("Interface: [{eni_id}] in use.")));
    }
    check_instance(instance)?;
    check_place(&eni, instance)?;
    let attached = state.enis_of_instance(instance_id);
    check_slot(&attached, instance, card, index)?;
    check_limits(&attached, &eni, instance, (card, index))?;

    let stuck = match call.fault {
        Some(Fault::StuckAttaching(stuck)) => Some(stuck),
        _ if instance.unusable_slots.contains(&(card, index)) => Some(Stuck::UntilDetached),
        _ => None,
    };
    let id = state.ids.next("eni-attach");
    eni.attachment = Some(Attachment {
        id: id.clone(),
        instance_id: instance_id.to_owned(),
        network_card_index: card,
        device_index: index,
        status: AttachmentStatus::Attaching,
        delete_on_termination: false,
        attach_time: state.now,
        stuck,
    });
    state.put(eni);
    let delay = match call.fault {
        Some(Fault::SlowTransition(delay)) => delay,
        _ => state.draw(&state.settings.attach_delay.clone()),
    };
    state.schedule(delay, Event::Attached(id.clone()));
    Ok(Response {
        body: vec![Element::leaf("attachmentId", id), Element::leaf("networkCardIndex", card)],
        ..Response::default()
    })
}

/// Only running and stopped instances take interfaces.
fn check_instance(instance: &Instance) -> Result<(), ApiError> {
    match instance.state {
        InstanceState::Running | InstanceState::Stopped => Ok(()),
        InstanceState::Pending | InstanceState::Stopping | InstanceState::ShuttingDown | InstanceState::Terminated => {
            let (id, state) = (&instance.id, instance.state.as_str());
            Err(ApiError::new(
                "IncorrectState",
                format!("Instance '{id}' is not in a valid state for this operation: it is '{state}'."),
            ))
        }
    }
}

/// Zone, VPC and Outpost must be the same. Since 2023, AWS also attaches across VPCs, as a separate feature that this project ignores.
fn check_place(eni: &Eni, instance: &Instance) -> Result<(), ApiError> {
    if eni.zone != instance.zone {
        return Err(ApiError::combination(
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        ));
    }
    if eni.vpc_id != instance.vpc_id {
        return Err(ApiError::combination(
            "You may not attach a network interface to an instance if they are not in the same VPC",
        ));
    }
    // EC2's words and code are not recorded.
    if eni.outpost != instance.outpost {
        return Err(ApiError::combination(
            "You may not attach a network interface to an instance if they are not on the same Outpost",
        ));
    }
    Ok(())
}

/// A device index is unique per network card. Index 0 of card 0 belongs to the primary interface, which cannot be detached.
fn check_slot(attached: &[&Eni], instance: &Instance, card: u32, index: u32) -> Result<(), ApiError> {
    let taken = attached
        .iter()
        .filter_map(|eni| eni.attachment.as_ref())
        .any(|attachment| (attachment.network_card_index, attachment.device_index) == (card, index));
    if taken {
        return Err(ApiError::value(format!(
            "Instance '{}' already has an interface attached at device index '{index}'.",
            instance.id
        )));
    }
    Ok(())
}

/// Checks the instance type's limits of interfaces per card and addresses per interface, and that EFA is possible.
fn check_limits(attached: &[&Eni], eni: &Eni, instance: &Instance, (card, index): (u32, u32)) -> Result<(), ApiError> {
    let name = &instance.instance_type;
    let limits = catalog::instance_type(name)
        .ok_or_else(|| ApiError::new("InternalError", format!("The simulator does not know {name}")))?;
    let on_card = attached
        .iter()
        .filter(|eni| eni.attachment.as_ref().is_some_and(|attachment| attachment.network_card_index == card))
        .count();
    let Some(most) = usize::try_from(card).ok().and_then(|card| limits.cards.get(card)) else {
        return Err(ApiError::value(format!("Network card index {card} does not exist on {name}")));
    };
    let index_is_too_high = limits.cards.len() > 1 && index >= *most;
    if index_is_too_high {
        // The words of EC2 are not known (aws/aws-parallelcluster#4278 has only the outcome).
        return Err(ApiError::value(format!("Invalid device index {index} for network card {card} on {name}")));
    }
    if on_card >= usize::try_from(*most).unwrap_or(usize::MAX) {
        let count = if limits.cards.len() > 1 { on_card } else { attached.len() } + 1;
        return Err(ApiError::new(
            "AttachmentLimitExceeded",
            format!("Interface count {count} exceeds the limit for {name}"),
        ));
    }
    // A prefix counts as one address.
    if eni.private_ips.len() + eni.ipv4_prefixes.len() > usize::try_from(limits.ipv4_per_interface).unwrap_or(0) {
        let count = eni.private_ips.len() + eni.ipv4_prefixes.len();
        let interface = eni.id.replacen("eni-", "interface-", 1);
        let message = format!("Address count {count} on {interface} exceeds the limit for {name}");
        return Err(ApiError::new("InvalidInterface.IpAddressLimitExceeded", message));
    }
    // "You can't attach an EFA to a running instance" (EC2 user guide). The error code is not documented.
    if eni.interface_type.starts_with("efa") && instance.state == InstanceState::Running {
        return Err(ApiError::new("UnsupportedOperation", "EFA interfaces may not be attached to a running instance"));
    }
    Ok(())
}

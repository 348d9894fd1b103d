//! Changes of the account that no EC2 call of a client makes: another party creates, attaches, changes or deletes resources.
//!
//! The methods keep EC2's rules where they use the actions. Most of them take effect at once.

use super::account::Ec2;
use super::actions::{self, Call};
use super::api_error::ApiError;
use super::model::{Attachment, AttachmentStatus, Creator, Eni, Instance, InstanceState};
use super::params::Params;
use super::setup_error::Result;
use super::state::{Event, State};

impl Ec2 {
    /// Changes an instance in any way. For example, another AWS service may become its manager.
    pub fn hand_change_instance(&self, id: &str, change: impl FnOnce(&mut Instance)) -> Result<()> {
        self.with(|state| {
            change(state.instances.get_mut(id).ok_or_else(|| ApiError::no_instance(id))?);
            state.call_log.touch();
            Ok(())
        })
    }

    /// Stops an instance. Its interfaces stay attached. Slots that forced detaches left unusable become usable again.
    pub fn stop_instance(&self, id: &str) -> Result<()> {
        self.set_instance_state(id, InstanceState::Stopped)
    }

    /// Starts a stopped instance.
    pub fn start_instance(&self, id: &str) -> Result<()> {
        self.set_instance_state(id, InstanceState::Running)
    }

    /// Sets an instance's state, for example to `pending`, without the usual transitions.
    pub fn set_instance_state(&self, id: &str, to: InstanceState) -> Result<()> {
        self.with(|state| {
            let instance = state.instances.get_mut(id).ok_or_else(|| ApiError::no_instance(id))?;
            instance.state = to;
            if to == InstanceState::Stopped {
                instance.unusable_slots.clear();
            }
            state.call_log.touch();
            Ok(())
        })
    }

    /// Leaves an existing instance out of the next `times` answers of DescribeInstances.
    pub fn leave_out(&self, instance: &str, times: u32) {
        self.with(|state| state.left_out.insert(instance.to_owned(), times));
    }

    /// Terminates an instance after the shutdown delay of the settings. Interfaces with deleteOnTermination are deleted; the
    /// others become `available`.
    pub fn terminate_instance(&self, id: &str) -> Result<()> {
        self.with(|state| {
            let instance = state.instances.get_mut(id).ok_or_else(|| ApiError::no_instance(id))?;
            instance.state = InstanceState::ShuttingDown;
            let delay = state.settings.shutdown_delay;
            if delay.is_zero() {
                state.finish_termination(id);
            } else {
                state.schedule(delay, Event::Terminated(id.to_owned()));
            }
            Ok(())
        })
    }

    /// Another party creates an interface; returns its ID.
    pub fn hand_create(&self, subnet: &str, tags: &[(&str, &str)]) -> Result<String> {
        self.hand_create_with_addresses(subnet, tags, 1)
    }

    /// Another party, for example the VPC CNI, creates an interface with this number of private IPv4 addresses; returns its ID.
    pub fn hand_create_with_addresses(&self, subnet: &str, tags: &[(&str, &str)], addresses: u32) -> Result<String> {
        self.with(|state| {
            let mut params = Params::of([("SubnetId", subnet), ("Description", "by hand")]);
            if addresses > 1 {
                params.set("SecondaryPrivateIpAddressCount".to_owned(), (addresses - 1).to_string());
            }
            for (number, (key, value)) in (1..).zip(tags) {
                params.set("TagSpecification.1.ResourceType".to_owned(), "network-interface".to_owned());
                params.set(format!("TagSpecification.1.Tag.{number}.Key"), (*key).to_owned());
                params.set(format!("TagSpecification.1.Tag.{number}.Value"), (*value).to_owned());
            }
            Ok(create_eni(state, &Call::by_hand(params), Creator::Hand)?.id)
        })
    }

    /// Another party, for example the VPC CNI, attaches an interface to a free slot. The interface is attached at once.
    pub fn hand_attach(&self, eni: &str, instance: &str, card: u32, index: u32) -> Result<()> {
        self.with(|state| {
            let found = state.eni(eni).cloned().ok_or_else(|| ApiError::no_eni(eni))?;
            if found.attachment.is_some() {
                return Err(ApiError::new("InvalidNetworkInterface.InUse", eni).into());
            }
            let Some(host) = state.instances.get(instance) else {
                return Err(ApiError::no_instance(instance).into());
            };
            if host.zone != found.zone {
                return Err(ApiError::value(format!("{eni} is in {}, and {instance} is not", found.zone)).into());
            }
            if (&host.vpc_id, &host.outpost) != (&found.vpc_id, &found.outpost) {
                let message = format!("{eni} is in another VPC than {instance}, or not on its Outpost");
                return Err(ApiError::value(message).into());
            }
            let attached = state.enis_of_instance(instance).into_iter().filter_map(|eni| eni.attachment.as_ref());
            if attached.into_iter().any(|at| (at.network_card_index, at.device_index) == (card, index)) {
                return Err(ApiError::value(format!("'{instance}' already has an interface at {card}/{index}")).into());
            }
            attach_at_once(state, found, instance, (card, index), false);
            Ok(())
        })
    }

    /// Another party detaches an interface. A forced detach ends at once, a plain one after the usual delay.
    pub fn hand_detach(&self, eni: &str, force: bool) -> Result<()> {
        self.with(|state| {
            let found = state.eni(eni).ok_or_else(|| ApiError::no_eni(eni))?;
            let attachment = found.attachment.as_ref().ok_or_else(|| ApiError::no_attachment(eni))?.id.clone();
            let params = Params::of([("AttachmentId", &attachment), ("Force", if force { "true" } else { "false" })]);
            actions::detach(state, &Call::by_hand(params))?;
            Ok(())
        })
    }

    /// Another party deletes an interface.
    pub fn hand_delete(&self, eni: &str) -> Result<()> {
        self.with(|state| {
            actions::delete(state, &Call::by_hand(Params::of([("NetworkInterfaceId", eni)])))?;
            Ok(())
        })
    }

    /// Another party changes an interface in any way, for example its tags or its requester.
    pub fn hand_change(&self, eni: &str, change: impl FnOnce(&mut Eni)) -> Result<()> {
        self.with(|state| {
            let mut found = state.eni(eni).cloned().ok_or_else(|| ApiError::no_eni(eni))?;
            change(&mut found);
            state.put(found);
            Ok(())
        })
    }
}

/// Creates an interface by CreateNetworkInterface.
pub(super) fn create_eni(state: &mut State, call: &Call, by: Creator) -> Result<Eni> {
    let id = actions::create(state, call, by)?.eni_id.unwrap_or_default();
    Ok(state.eni(&id).cloned().ok_or_else(|| ApiError::no_eni(&id))?)
}

/// Attaches an interface to a slot (card, index), without checks and without the usual delay.
pub(super) fn attach_at_once(
    state: &mut State,
    mut eni: Eni,
    instance: &str,
    (network_card_index, device_index): (u32, u32),
    delete_on_termination: bool,
) {
    eni.attachment = Some(Attachment {
        id: state.ids.next("eni-attach"),
        instance_id: instance.to_owned(),
        network_card_index,
        device_index,
        status: AttachmentStatus::Attached,
        delete_on_termination,
        attach_time: state.now,
        stuck: None,
    });
    state.put(eni);
}

//! Building an account, and what people do to it by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::Ec2;
use super::actions::{self, Call};
use super::addresses::Pool;
use super::catalog;
use super::model::{Attachment, AttachmentStatus, Creator, Eni, Instance, InstanceState, SecurityGroup, Subnet};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Due, State, SubnetEntry};

/// Why something could not be done to the account.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct WorldError {
    /// EC2's code.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl From<Refusal> for WorldError {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code.into_owned(), message: refusal.message }
    }
}

type Result<T> = std::result::Result<T, WorldError>;

impl Ec2 {
    /// Adds a VPC with its default security group, whose ID is answered.
    pub fn add_vpc(&self, id: &str) -> String {
        self.with(|state| {
            let group = state.ids.next("sg");
            state.vpcs.insert(id.to_owned(), group.clone());
            insert_group(state, &group, id, "default");
            group
        })
    }

    /// Adds a subnet; `name` becomes its tag Name. The VPC is added if it is new.
    pub fn add_subnet(&self, id: &str, vpc: &str, zone: &str, cidr: &str, name: Option<&str>) -> Result<()> {
        let pool = Pool::parse(cidr).ok_or_else(|| Refusal::value(format!("not an IPv4 /16 to /28: {cidr}")))?;
        if self.with(|state| !state.vpcs.contains_key(vpc)) {
            self.add_vpc(vpc);
        }
        let about = Subnet {
            id: id.to_owned(),
            vpc_id: vpc.to_owned(),
            zone: zone.to_owned(),
            cidr: cidr.to_owned(),
            ipv6_cidr: None,
            tags: name.map(|name| ("Name".to_owned(), name.to_owned())).into_iter().collect(),
            available_addresses: pool.available(),
        };
        self.with(|state| state.subnets.insert(id.to_owned(), SubnetEntry { about, pool }));
        Ok(())
    }

    /// Gives a subnet an IPv6 /64.
    pub fn set_ipv6_cidr(&self, subnet: &str, cidr: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| Refusal::no_subnet(subnet))?;
            entry.pool.set_ipv6(cidr).ok_or_else(|| Refusal::value(format!("not an IPv6 block: {cidr}")))?;
            entry.about.ipv6_cidr = Some(cidr.to_owned());
            Ok(())
        })
    }

    /// Sets a subnet's tag Name.
    pub fn name_subnet(&self, subnet: &str, name: &str) -> Result<()> {
        self.with(|state| {
            let entry = state.subnets.get_mut(subnet).ok_or_else(|| Refusal::no_subnet(subnet))?;
            entry.about.tags.insert("Name".to_owned(), name.to_owned());
            Ok(())
        })
    }

    /// Adds a security group.
    pub fn add_security_group(&self, id: &str, vpc: &str, name: &str) {
        self.with(|state| insert_group(state, id, vpc, name));
    }

    /// Removes a security group or a subnet, whether or not it is in use.
    pub fn remove_place(&self, id: &str) {
        self.with(|state| {
            state.groups.remove(id);
            state.subnets.remove(id);
        });
    }

    /// Starts an instance, running at once, with a primary interface at card 0 index 0 that goes when it terminates.
    pub fn run_instance(&self, id: &str, instance_type: &str, subnet: &str) -> Result<()> {
        self.with(|state| {
            catalog::instance_type(instance_type)
                .ok_or_else(|| Refusal::new("InvalidInstanceType", format!("not in the catalog: {instance_type}")))?;
            let place = state.subnets.get(subnet).ok_or_else(|| Refusal::no_subnet(subnet))?.about.clone();
            let instance = Instance {
                id: id.to_owned(),
                instance_type: instance_type.to_owned(),
                subnet_id: place.id,
                vpc_id: place.vpc_id,
                zone: place.zone,
                state: InstanceState::Running,
                tags: BTreeMap::new(),
                launched: state.now,
                managed: false,
                unusable_slots: BTreeSet::new(),
            };
            state.instances.insert(id.to_owned(), instance);
            let call = Call::by_hand(Params::of([("SubnetId", subnet), ("Description", "primary")]));
            let primary = match created(state, &call, Creator::Instance) {
                Ok(primary) => primary,
                Err(refusal) => {
                    state.instances.remove(id);
                    return Err(refusal);
                }
            };
            attach_at_once(state, primary, id, 0, 0, true);
            Ok(())
        })
    }

    /// Changes an instance in any way: makes another AWS service manage it.
    pub fn hand_change_instance(&self, id: &str, change: impl FnOnce(&mut Instance)) -> Result<()> {
        self.with(|state| {
            change(state.instances.get_mut(id).ok_or_else(|| Refusal::no_instance(id))?);
            state.ledger.touch();
            Ok(())
        })
    }

    /// Stops an instance: its interfaces stay, slots spoilt by forced detaches are usable again.
    pub fn stop_instance(&self, id: &str) -> Result<()> {
        self.set_instance_state(id, InstanceState::Stopped)
    }

    /// Starts a stopped instance.
    pub fn start_instance(&self, id: &str) -> Result<()> {
        self.set_instance_state(id, InstanceState::Running)
    }

    /// Puts an instance into a state, `pending` for example, without what leads there.
    pub fn set_instance_state(&self, id: &str, to: InstanceState) -> Result<()> {
        self.with(|state| {
            let instance = state.instances.get_mut(id).ok_or_else(|| Refusal::no_instance(id))?;
            instance.state = to;
            if to == InstanceState::Stopped {
                instance.unusable_slots.clear();
            }
            state.ledger.touch();
            Ok(())
        })
    }

    /// So many answers of DescribeInstances leave this instance out, though it is there.
    pub fn leave_out(&self, instance: &str, times: u32) {
        self.with(|state| state.left_out.insert(instance.to_owned(), times));
    }

    /// Terminates an instance, after the settings' shutdown delay. Its interfaces go or become `available`, by their
    /// deleteOnTermination.
    pub fn terminate_instance(&self, id: &str) -> Result<()> {
        self.with(|state| {
            let instance = state.instances.get_mut(id).ok_or_else(|| Refusal::no_instance(id))?;
            instance.state = InstanceState::ShuttingDown;
            let delay = state.settings.shutdown_delay;
            if delay.is_zero() {
                state.finish_termination(id);
            } else {
                state.schedule(delay, Due::Terminated(id.to_owned()));
            }
            Ok(())
        })
    }

    /// Somebody creates an interface; its ID.
    pub fn hand_create(&self, subnet: &str, tags: &[(&str, &str)]) -> Result<String> {
        self.with(|state| {
            let mut params = Params::of([("SubnetId", subnet), ("Description", "by hand")]);
            for (number, (key, value)) in (1..).zip(tags) {
                params.set("TagSpecification.1.ResourceType".to_owned(), "network-interface".to_owned());
                params.set(format!("TagSpecification.1.Tag.{number}.Key"), (*key).to_owned());
                params.set(format!("TagSpecification.1.Tag.{number}.Value"), (*value).to_owned());
            }
            Ok(created(state, &Call::by_hand(params), Creator::Hand)?.id)
        })
    }

    /// Somebody (the VPC CNI, say) attaches an interface: attached at once, at any free slot.
    pub fn hand_attach(&self, eni: &str, instance: &str, card: u32, index: u32) -> Result<()> {
        self.with(|state| {
            let found = state.eni(eni).cloned().ok_or_else(|| Refusal::no_eni(eni))?;
            if found.attachment.is_some() {
                return Err(Refusal::new("InvalidNetworkInterface.InUse", eni).into());
            }
            let Some(there) = state.instances.get(instance) else {
                return Err(Refusal::no_instance(instance).into());
            };
            if there.zone != found.zone {
                return Err(Refusal::value(format!("{eni} is in {}, and {instance} is not", found.zone)).into());
            }
            if state.snapshot().attached_to(instance).contains_key(&(card, index)) {
                return Err(Refusal::value(format!("'{instance}' already has an interface at {card}/{index}")).into());
            }
            attach_at_once(state, found, instance, card, index, false);
            Ok(())
        })
    }

    /// Somebody detaches an interface, asynchronously unless forced.
    pub fn hand_detach(&self, eni: &str, force: bool) -> Result<()> {
        self.with(|state| {
            let found = state.eni(eni).ok_or_else(|| Refusal::no_eni(eni))?;
            let attachment = found.attachment.as_ref().ok_or_else(|| Refusal::no_attachment(eni))?.id.clone();
            let params = Params::of([("AttachmentId", &attachment), ("Force", if force { "true" } else { "false" })]);
            actions::detach(state, &Call::by_hand(params))?;
            Ok(())
        })
    }

    /// Somebody deletes an interface.
    pub fn hand_delete(&self, eni: &str) -> Result<()> {
        self.with(|state| {
            actions::delete(state, &Call::by_hand(Params::of([("NetworkInterfaceId", eni)])))?;
            Ok(())
        })
    }

    /// Somebody changes an interface in any way: retags it, makes another service its requester.
    pub fn hand_change(&self, eni: &str, change: impl FnOnce(&mut Eni)) -> Result<()> {
        self.with(|state| {
            let mut found = state.eni(eni).cloned().ok_or_else(|| Refusal::no_eni(eni))?;
            change(&mut found);
            state.put(found);
            Ok(())
        })
    }
}

fn insert_group(state: &mut State, id: &str, vpc: &str, name: &str) {
    let group =
        SecurityGroup { id: id.to_owned(), name: name.to_owned(), vpc_id: vpc.to_owned(), tags: BTreeMap::new() };
    state.groups.insert(id.to_owned(), group);
}

fn created(state: &mut State, call: &Call, by: Creator) -> Result<Eni> {
    let id = actions::create(state, call, by)?.eni_id.unwrap_or_default();
    Ok(state.eni(&id).cloned().ok_or_else(|| Refusal::no_eni(&id))?)
}

fn attach_at_once(state: &mut State, mut eni: Eni, instance: &str, card: u32, index: u32, with_instance: bool) {
    eni.attachment = Some(Attachment {
        id: state.ids.next("eni-attach"),
        instance_id: instance.to_owned(),
        network_card_index: card,
        device_index: index,
        status: AttachmentStatus::Attached,
        delete_on_termination: with_instance,
        attach_time: state.now,
        stuck: None,
    });
    state.put(eni);
}

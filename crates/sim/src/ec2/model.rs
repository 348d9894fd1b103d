//! What exists in the simulated account, as plain data.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

/// Everything in the account at one moment: the truth, without eventual consistency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// Network interfaces by ID.
    pub enis: BTreeMap<String, Eni>,
    /// Instances by ID, terminated ones for an hour.
    pub instances: BTreeMap<String, Instance>,
    /// Subnets by ID.
    pub subnets: BTreeMap<String, Subnet>,
    /// Security groups by ID.
    pub groups: BTreeMap<String, SecurityGroup>,
}

impl Snapshot {
    /// The interfaces attached (attaching, attached or detaching) to an instance, by (network card, device index).
    pub fn attached_to(&self, instance: &str) -> BTreeMap<(u32, u32), &Eni> {
        self.enis
            .values()
            .filter_map(|eni| eni.attachment.as_ref().map(|attachment| (eni, attachment)))
            .filter(|(_, attachment)| attachment.instance_id == instance)
            .map(|(eni, attachment)| ((attachment.network_card_index, attachment.device_index), eni))
            .collect()
    }

    /// The interfaces that carry this tag.
    pub fn tagged<'a>(&'a self, key: &'a str, value: &'a str) -> impl Iterator<Item = &'a Eni> {
        self.enis.values().filter(move |eni| eni.tags.get(key).is_some_and(|found| found == value))
    }
}

/// An elastic network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eni {
    /// `eni-…`
    pub id: String,
    /// Its subnet.
    pub subnet_id: String,
    /// The subnet's VPC.
    pub vpc_id: String,
    /// The subnet's Availability Zone.
    pub zone: String,
    /// At most 255 characters.
    pub description: String,
    /// Security group IDs, in the order they were given.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `interface`, `efa`, `efa-only` or `trunk`.
    pub interface_type: String,
    /// Unique and locally administered.
    pub mac_address: String,
    /// The primary address first.
    pub private_ips: Vec<Ipv4Addr>,
    /// The first addresses of its /28 blocks.
    pub ipv4_prefixes: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub ipv6_addresses: Vec<Ipv6Addr>,
    /// On unless switched off.
    pub source_dest_check: bool,
    /// Made and kept by another AWS service: callers may neither detach nor delete it.
    pub requester_managed: bool,
    /// Another AWS service manages it (`operator.managed`): Describes leave it out unless they ask for managed resources.
    pub managed: bool,
    /// What answers show of it otherwise than usual.
    pub shape: Shape,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: Creator,
    /// The token its Create call carried.
    pub client_token: Option<String>,
    /// Where it is attached, from `attaching` to the end of `detaching`.
    pub attachment: Option<Attachment>,
}

impl Eni {
    /// `in-use` as long as there is an attachment, in whatever state; else `available`.
    pub fn status(&self) -> &'static str {
        if self.attachment.is_some() { "in-use" } else { "available" }
    }
}

/// What EC2's answers leave out of an interface, or show otherwise: the recorded kinds of other services' interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Elements that are left out, by their names in the answer.
    pub without: std::collections::BTreeSet<&'static str>,
    /// Elements whose text is another one, by their names in the answer.
    pub texts: BTreeMap<&'static str, String>,
}

/// Who made a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creator {
    /// A CreateNetworkInterface call.
    Call,
    /// Somebody by hand: [`super::Ec2::hand_create`].
    Hand,
    /// EC2 itself, as an instance's primary interface.
    Instance,
}

/// An attachment of a network interface to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `eni-attach-…`
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// The network card.
    pub network_card_index: u32,
    /// The device index on that card.
    pub device_index: u32,
    /// Where it is in its life.
    pub status: AttachmentStatus,
    /// False after AttachNetworkInterface, which cannot set it.
    pub delete_on_termination: bool,
    /// When Attach was answered.
    pub attach_time: Timestamp,
    /// Set by a fault: it does not become attached by itself.
    pub stuck: Option<Stuck>,
}

/// What releases an attachment that a fault holds in `attaching`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// A plain detach.
    UntilDetached,
    /// Only a forced detach; a plain one stays in `detaching`.
    UntilForced,
}

/// EC2's `attachment.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachmentStatus {
    /// Attach was answered; the interface is not there yet.
    Attaching,
    /// There.
    Attached,
    /// Detach was answered; it still holds its index.
    Detaching,
}

impl AttachmentStatus {
    /// As EC2 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attaching => "attaching",
            Self::Attached => "attached",
            Self::Detaching => "detaching",
        }
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`
    pub id: String,
    /// Its type; limits come from [`super::catalog`].
    pub instance_type: String,
    /// The primary interface's subnet.
    pub subnet_id: String,
    /// That subnet's VPC.
    pub vpc_id: String,
    /// Its Availability Zone.
    pub zone: String,
    /// Its state.
    pub state: InstanceState,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When it was launched.
    pub launched: Timestamp,
    /// Another AWS service manages it: Describes leave it out unless they ask for managed resources.
    pub managed: bool,
    /// (card, index) slots that a forced detach left unusable until the instance stops.
    pub unusable_slots: std::collections::BTreeSet<(u32, u32)>,
}

/// EC2's instance states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    /// Being launched or started.
    Pending,
    /// Running.
    Running,
    /// Being stopped.
    Stopping,
    /// Stopped: interfaces stay attached.
    Stopped,
    /// Being terminated.
    ShuttingDown,
    /// Gone, still described for an hour.
    Terminated,
}

impl InstanceState {
    /// As EC2 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// EC2's numeric code for the state.
    pub fn code(self) -> u32 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`
    pub id: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its Availability Zone.
    pub zone: String,
    /// Its IPv4 block.
    pub cidr: String,
    /// Its IPv6 /64, if it has one.
    pub ipv6_cidr: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Addresses still free (EC2 keeps five).
    pub available_addresses: u64,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-…`
    pub id: String,
    /// Its name, unique in its VPC.
    pub name: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

//! The resources of a simulated account, as plain data: interfaces, attachments, instances, subnets and groups.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

/// Everything in the account at one time, without eventual consistency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The time of the snapshot.
    pub at: Timestamp,
    /// Network interfaces by ID.
    pub enis: BTreeMap<String, Eni>,
    /// Instances by ID. Terminated ones are included for an hour.
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
    /// The subnet.
    pub subnet_id: String,
    /// The subnet's VPC.
    pub vpc_id: String,
    /// The subnet's Availability Zone.
    pub zone: String,
    /// The ARN of the subnet's Outpost.
    pub outpost: Option<String>,
    /// The description, of at most 255 characters.
    pub description: String,
    /// Security group IDs, in the order they were given.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// `interface`, `efa`, `efa-only` or `trunk`.
    pub interface_type: String,
    /// The MAC address, unique and locally administered.
    pub mac_address: String,
    /// The private IPv4 addresses, the primary one first.
    pub private_ips: Vec<Ipv4Addr>,
    /// The /28 prefixes, each by its first address.
    pub ipv4_prefixes: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub ipv6_addresses: Vec<Ipv6Addr>,
    /// The /80 prefixes, each by its first address.
    pub ipv6_prefixes: Vec<Ipv6Addr>,
    /// Whether EC2 checks source and destination of packets. The default is yes.
    pub source_dest_check: bool,
    /// The timeouts of connection tracking that a call has set.
    pub connection_tracking: ConnectionTracking,
    /// Another AWS service made the interface: callers may neither detach nor delete it.
    pub requester_managed: bool,
    /// Another AWS service manages the interface (`operator.managed`). Describes omit it unless they ask for managed resources.
    pub managed: bool,
    /// The account that has the interface, if it is another one. It is shown, and this account may not change it.
    pub other_owner: Option<String>,
    /// How answers show the interface.
    pub shape: Shape,
    /// The time of creation.
    pub created: Timestamp,
    /// The creator.
    pub created_by: Creator,
    /// The client token of the Create call.
    pub client_token: Option<String>,
    /// The attachment, from the start of `attaching` to the end of `detaching`.
    pub attachment: Option<Attachment>,
}

impl Eni {
    /// `in-use` while there is an attachment, in whatever status; else `available`.
    pub fn status(&self) -> &'static str {
        if self.attachment.is_some() { "in-use" } else { "available" }
    }
}

/// Timeouts of connection tracking, in seconds. None: EC2's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTracking {
    /// Of an established TCP connection.
    pub tcp_established: Option<u32>,
    /// Of a UDP flow with several requests and responses.
    pub udp_stream: Option<u32>,
    /// Of another UDP flow.
    pub udp: Option<u32>,
}

/// What EC2's answers omit or replace in an interface, as recorded for interfaces of other services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Elements that are omitted, by their names in the answer.
    pub without: std::collections::BTreeSet<&'static str>,
    /// Elements whose text is replaced, by their names in the answer.
    pub texts: BTreeMap<&'static str, String>,
}

/// The creator of a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creator {
    /// A CreateNetworkInterface call.
    Call,
    /// A test, by hand: [`super::Ec2::hand_create`].
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
    /// The status.
    pub status: AttachmentStatus,
    /// False after AttachNetworkInterface, which cannot set it.
    pub delete_on_termination: bool,
    /// The time at which Attach took effect.
    pub attach_time: Timestamp,
    /// Set if the attachment does not leave `attaching` by itself, because of a fault or an unusable slot.
    pub stuck: Option<Stuck>,
}

/// What releases an attachment that a fault holds in `attaching`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// A plain or a forced detach.
    UntilDetached,
    /// Only a forced detach. After a plain one, the attachment stays in `detaching`.
    UntilForced,
}

/// EC2's `attachment.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachmentStatus {
    /// Attach was answered; the interface is not attached yet.
    Attaching,
    /// The interface is attached.
    Attached,
    /// Detach was answered; the slot is still occupied.
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
    /// The instance type. Its limits come from [`super::catalog`].
    pub instance_type: String,
    /// The primary interface's subnet.
    pub subnet_id: String,
    /// That subnet's VPC.
    pub vpc_id: String,
    /// Its Availability Zone.
    pub zone: String,
    /// The ARN of that subnet's Outpost.
    pub outpost: Option<String>,
    /// The state.
    pub state: InstanceState,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The launch time.
    pub launched: Timestamp,
    /// Another AWS service manages the instance. Describes omit it unless they ask for managed resources.
    pub managed: bool,
    /// The (card, index) slots that forced detaches left unusable until the instance stops.
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
    /// Stopped. Interfaces stay attached.
    Stopped,
    /// Being terminated.
    ShuttingDown,
    /// Terminated. EC2 describes the instance for another hour.
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
    /// The ARN of its Outpost; None in the Region itself.
    pub outpost: Option<String>,
    /// The IPv4 block. Empty in an IPv6-only subnet.
    pub cidr: String,
    /// The IPv6 /64 block, if there is one.
    pub ipv6_cidr: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The number of free addresses. EC2 reserves five.
    pub available_addresses: u64,
    /// The account that shares the subnet with this one, if it is shared. Its tags are then not visible.
    pub shared_by: Option<String>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-…`
    pub id: String,
    /// The name, unique in the VPC.
    pub name: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

//! Observed state as plain data: Nodes, subnets, security groups, instance types, and ENIs as EC2 showed them last. The cache and
//! the store fill these types and the decisions read them. Nothing is decided here.

mod catalog;
mod cluster;
mod eni;
mod instance;
mod location;
mod neighbour;
mod node;
mod observation;

pub use catalog::{CatalogLookup, Ec2Catalog, InstanceLimits, ObservedSubnet, TaggedGroups};
pub use cluster::Cluster;
pub use eni::{AttachmentState, ObservedAttachment, ObservedEni, ObservedIpv6, UNKNOWN_INDEX};
pub use instance::{InstanceInterfaces, PrimaryAddresses, Unshown};
pub use location::{Location, NodeOutpost};
pub use neighbour::Neighbour;
pub use node::{NotOnEc2, ObservedNode, Unattachable, ZONE_LABEL};
pub use observation::{Missed, Observation};

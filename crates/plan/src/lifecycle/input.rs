//! What one step depends on.

use super::call_history::CallHistory;
use crate::attachment::Attachment;
use crate::gates::permission::PermissionGate;
use crate::gates::quota::QuotaGate;
use crate::gates::subnet::SubnetGate;
use crate::instance::InstanceObservation;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::observed::{Cluster, Ec2Catalog, Observation};
use crate::settings::Settings;
use jiff::Timestamp;

/// Everything that one step depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Who we are.
    pub cluster: &'a Cluster,
    /// The attachment.
    pub attachment: &'a Attachment,
    /// What EC2 shows of it.
    pub observation: &'a Observation,
    /// Other ENIAttachments that are to take the same ENI over, or have it.
    pub rivals: &'a [&'a Attachment],
    /// What its NodeENI asks for now: what can be changed in place. None if that cannot be known: nothing is changed.
    pub spec: Option<&'a EniSpec>,
    /// Its Node has a deletionTimestamp or is gone.
    pub node_leaving: bool,
    /// The instance's state, if it was looked at.
    pub instance: Option<InstanceObservation>,
    /// Why no instance can be asked about, if that is so.
    pub states_failure: Option<&'a LookupFailure>,
    /// When EC2 last showed an ENI or an instance of this cluster, or this process was otherwise proven to be in the account and Region
    /// of the cluster.
    pub home_shown: Option<Timestamp>,
    /// Subnets and groups.
    pub catalog: &'a Ec2Catalog,
    /// What this process remembers of its own calls.
    pub call_history: &'a CallHistory,
    /// The Region's quota of ENIs.
    pub quota: &'a QuotaGate,
    /// What EC2 refuses to all, and when one may try.
    pub permissions: &'a PermissionGate,
    /// Subnets that are full.
    pub subnets: &'a SubnetGate,
    /// Graces.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

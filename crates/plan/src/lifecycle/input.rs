//! The input of one step.

use super::agreement::Agreement;
use super::call_history::CallHistory;
use crate::attachment::Attachment;
use crate::gates::instance_type::{InstanceTypeGate, Subject};
use crate::gates::permission::PermissionGate;
use crate::gates::quota::QuotaGate;
use crate::gates::subnet::SubnetGate;
use crate::instance_life::InstanceObservation;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::observed::{Cluster, Ec2Catalog, Observation, ObservedNode};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};

/// Everything that one step depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// This cluster.
    pub cluster: &'a Cluster,
    /// The ENIAttachment.
    pub attachment: &'a Attachment,
    /// What EC2 shows of its ENI.
    pub observation: &'a Observation,
    /// Other ENIAttachments that are to adopt the same ENI, or have it.
    pub rivals: &'a [&'a Attachment],
    /// What its NodeENI asks for now, for changes in place. None: the spec is not known, and nothing is changed.
    pub spec: Option<&'a EniSpec>,
    /// The Node of its instance that counts. None: it is gone.
    pub node: Option<&'a ObservedNode>,
    /// The boots that the Nodes of its instance show: one, unless a Node is stale.
    pub boot_ids: &'a [&'a str],
    /// Since when the node agent's report has been about earlier settings, as this process has seen it. None: it is not, or this process
    /// has just begun to look.
    pub report_outdated_since: Option<Timestamp>,
    /// The state of its instance, if it was looked up.
    pub instance: Option<InstanceObservation>,
    /// Why instance states cannot be looked up, if a lookup fails.
    pub states_failure: Option<&'a LookupFailure>,
    /// When EC2 last showed an ENI or an instance of this cluster, or this process was otherwise proven to be in the
    /// account and Region of the cluster.
    pub home_shown: Option<Timestamp>,
    /// How long the last whole resync took; zero before the first.
    pub resync_took: SignedDuration,
    /// The known subnets and security groups.
    pub catalog: &'a Ec2Catalog,
    /// What the step before this one found of the values that the NodeENI asks for. The default: nothing.
    pub agreement: Agreement,
    /// This process's calls for the ENIAttachment.
    pub call_history: &'a CallHistory,
    /// The gate of the Region's quota of ENIs.
    pub quota: &'a QuotaGate,
    /// The gate of missing permissions: what EC2 refuses to all, and when one call may try.
    pub permissions: &'a PermissionGate,
    /// The gate of limits of instance types, and what they mean for this ENI. None: the type or its limits do not matter now.
    pub instance_type: Option<(&'a InstanceTypeGate, Subject<'a>)>,
    /// The gate of full subnets.
    pub subnets: &'a SubnetGate,
    /// Times and limits.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

impl Input<'_> {
    /// Whether its Node has a deletionTimestamp or is gone.
    pub(super) fn is_node_leaving(&self) -> bool {
        self.node.is_none_or(|node| node.deleting)
    }
}

//! The input of the decision for one Node: the desired objects, the observed state, the permits and the settings. The decision
//! reads nothing else and changes none of it.

use super::attach_refusals::AttachRefusals;
use crate::attachment::Attachment;
use crate::confirmation::TermEdits;
use crate::gates::instance_type::InstanceTypeGate;
use crate::gates::subnet::SubnetGate;
use crate::instance_life::InstanceObservation;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::NodeEni;
use crate::observed::{Cluster, Ec2Catalog, InstanceInterfaces, ObservedEni, ObservedNode};
use crate::pods::Pods;
use crate::removals::RemovalPermits;
use crate::rollout::Permits;
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{InstanceId, SecurityGroupId};

/// Everything that the decision for one Node depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The identity of this cluster on EC2.
    pub cluster: &'a Cluster,
    /// The Node; None if it is gone.
    pub node: Option<&'a ObservedNode>,
    /// The other Nodes of the same instance.
    pub others: &'a [&'a ObservedNode],
    /// All NodeENIs, in any order.
    pub nodeenis: &'a [&'a NodeEni],
    /// The ENIAttachments of the Node's instance, whatever Node name they carry, and the ENIAttachments that carry the Node's
    /// name and whose instance has no Node.
    pub attachments: &'a [&'a Attachment],
    /// The known subnets, security groups and instance types.
    pub catalog: &'a Ec2Catalog,
    /// The Region in which this process calls EC2, if it is known.
    pub region: Option<&'a str>,
    /// The ENIs on the instance by the last lookup; None if no lookup has ended.
    pub instance: Option<&'a InstanceInterfaces>,
    /// The last observed state of an instance, if it was looked up. Only instances of Nodes that are gone, or whose primary
    /// interface EC2 does not show, are looked up.
    pub states: &'a dyn Fn(&InstanceId) -> Option<InstanceObservation>,
    /// Why lookups of instance states fail, if they do.
    pub states_failure: Option<&'a LookupFailure>,
    /// The Pods of this Node that may use an ENI.
    pub pods: Pods<'a>,
    /// Whether an ENIAttachment of any node has this ENI.
    pub is_held: &'a dyn Fn(&ObservedEni) -> bool,
    /// Whether EC2 shows the ENI of an ENIAttachment as attached. The status of the ENIAttachment may be older.
    pub is_attached: &'a dyn Fn(&Attachment) -> bool,
    /// Whether EC2 answered a Create of this process with an ENI for this ENIAttachment. The status may not name the ENI yet: it
    /// is written with the answer of the Attach, which may wait for minutes.
    pub is_created: &'a dyn Fn(&Attachment) -> bool,
    /// The nodes on which each NodeENI may replace outdated ENIs now.
    pub permits: &'a Permits,
    /// The nodes on which each NodeENI may lose ENIs now because of labels or an edit.
    pub removals: &'a RemovalPermits,
    /// When the subnet terms of NodeENIs were edited.
    pub term_edits: &'a TermEdits,
    /// The security groups of the ENI of an ENIAttachment, as EC2 shows them. Empty if EC2 does not show the ENI.
    pub groups_of: &'a dyn Fn(&Attachment) -> Vec<SecurityGroupId>,
    /// The ENIAttachments that EC2 refused to attach with an error that lasts.
    pub refused_attach: &'a AttachRefusals,
    /// What this process knows of full subnets.
    pub subnet_gate: &'a SubnetGate,
    /// What this process knows of limits of instance types that a refused Attach showed.
    pub instance_type_gate: &'a InstanceTypeGate,
    /// The grace periods and intervals.
    pub settings: &'a Settings,
    /// The present time.
    pub now: Timestamp,
}

impl Input<'_> {
    /// Whether something may use the ENI of this ENIAttachment, by its status or by what EC2 shows. A status may be older than
    /// what EC2 shows.
    pub(super) fn is_in_use(&self, attachment: &Attachment) -> bool {
        attachment.is_in_use(|| (self.is_attached)(attachment))
    }

    /// The age of this lookup: the time since it began.
    pub(super) fn age(&self, interfaces: &InstanceInterfaces) -> SignedDuration {
        self.now.duration_since(interfaces.as_of)
    }
}

//! What the decision for one Node depends on.

use super::attach_refused::AttachRefusals;
use crate::attachment::Attachment;
use crate::instance::InstanceObservation;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::NodeEni;
use crate::observed::{Cluster, Ec2Catalog, InstanceInterfaces, ObservedEni, ObservedNode};
use crate::pods::Pods;
use crate::removals::RemovalPermits;
use crate::rollout::Permits;
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::InstanceId;

/// Everything that the decision for one Node depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Who we are.
    pub cluster: &'a Cluster,
    /// The Node; None once it is gone.
    pub node: Option<&'a ObservedNode>,
    /// Other Nodes of its instance.
    pub others: &'a [&'a ObservedNode],
    /// All NodeENIs, in any order.
    pub nodeenis: &'a [&'a NodeEni],
    /// The ENIAttachments of its instance, whatever Node's name they carry; and those that carry its name and whose instance has
    /// no Node.
    pub attachments: &'a [&'a Attachment],
    /// Subnets and groups.
    pub catalog: &'a Ec2Catalog,
    /// The Region that is called, where it is known.
    pub region: Option<&'a str>,
    /// What is on the instance now, if it was looked at.
    pub instance: Option<&'a InstanceInterfaces>,
    /// States of instances that were looked at: of Nodes that are gone.
    pub states: &'a dyn Fn(&InstanceId) -> Option<InstanceObservation>,
    /// Why no instance can be asked about, if that is so.
    pub states_failure: Option<&'a LookupFailure>,
    /// Pods of this Node.
    pub pods: Pods<'a>,
    /// Whether an ENIAttachment, on whatever node, has this ENI.
    pub is_held: &'a dyn Fn(&ObservedEni) -> bool,
    /// Whether EC2 shows the ENI of an ENIAttachment attached, whatever its status says yet.
    pub is_attached: &'a dyn Fn(&Attachment) -> bool,
    /// Where replacement may go on.
    pub permits: &'a Permits,
    /// Where what is no longer asked for may go.
    pub removals: &'a RemovalPermits,
    /// What EC2 refused to attach for good.
    pub refused_attach: &'a AttachRefusals,
    /// Graces.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

impl Input<'_> {
    /// Something may use its ENI. A status may be behind what EC2 shows.
    pub(super) fn is_in_use(&self, attachment: &Attachment) -> bool {
        attachment.is_in_use(|| (self.is_attached)(attachment))
    }

    /// How long ago that lookup began.
    pub(super) fn age(&self, interfaces: &InstanceInterfaces) -> SignedDuration {
        self.now.duration_since(interfaces.as_of)
    }
}

//! The events by which the handle tells the controller what to reconcile. They carry keys only; the controller reads the cache.

use multi_eni_api::ids::{InstanceId, SubnetId};
use std::collections::BTreeSet;

/// What changed in the cache, or which lookup was answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// The ENI of this ENIAttachment changed, or a lookup of the ENI was answered.
    Eni {
        /// The UID of the ENIAttachment.
        attachment_uid: String,
    },
    /// A lookup of this instance was answered, or lookups of instance states began to fail or fail differently.
    Instance(InstanceId),
    /// A lookup of these subnets by ID was answered, also if it showed nothing new.
    Subnets(BTreeSet<SubnetId>),
    /// Subnets, security groups or instance types changed, or a failure of their lookups.
    Ec2Catalog,
    /// A name resolves to other subnets or groups, or the set of subnets that EC2 does not know changed.
    Names,
    /// A resync is complete.
    Resynced,
    /// EC2 stops answering an action with success, answers it again, or fails with another error code.
    DescribeOutage,
}

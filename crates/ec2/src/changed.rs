//! What the handle reports to the controller.

use multi_eni_api::ids::InstanceId;

/// What changed in the view, or was answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// Something about the ENI of this ENIAttachment.
    Eni {
        /// The UID of the ENIAttachment.
        attachment_uid: String,
    },
    /// An instance was looked at.
    Instance(InstanceId),
    /// Subnets or groups.
    Ec2Catalog,
    /// What a name of subnets or groups stands for, or which subnets there are.
    Names,
    /// A whole sweep has ended.
    Resynced,
    /// EC2 begins to give no answer to what is asked of it, or gives answers again.
    Silence,
}

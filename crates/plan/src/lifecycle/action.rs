//! The next action for one ENIAttachment, and the step that reports it.

use super::change::Change;
use jiff::Timestamp;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};

/// The one next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// CreateNetworkInterface as the ENIAttachment asks for it, with this token and all its [`tags`](super::tags).
    Create {
        /// ClientToken.
        token: String,
        /// An earlier Create of this token may have made the ENI. EC2 answers a repeated one as it answered the first, whatever has
        /// been done to the ENI since.
        may_repeat: bool,
    },
    /// AttachNetworkInterface.
    Attach {
        /// The ENI.
        eni: EniId,
        /// The instance.
        instance: InstanceId,
        /// Network card.
        card: i32,
        /// Device index.
        index: i32,
    },
    /// ModifyNetworkInterfaceAttribute or CreateTags: repair in place.
    Modify {
        /// The ENI.
        eni: EniId,
        /// What.
        change: Change,
    },
    /// DetachNetworkInterface.
    Detach {
        /// The ENI.
        eni: EniId,
        /// EC2's attachment ID.
        attachment: String,
        /// By force: a last resort.
        force: bool,
    },
    /// DeleteNetworkInterface.
    Delete {
        /// The ENI.
        eni: EniId,
    },
    /// Begin the next Create attempt: its number is stored before it is made.
    NextAttempt,
    /// EC2 is clean: remove the finalizer.
    Release,
    /// Look on EC2 by the ENIAttachment's UID tag.
    LookupByTag,
    /// Look on EC2 by the ENI's ID.
    LookupById(EniId),
    /// Describe its subnet: it was full.
    LookupSubnet(SubnetId),
    /// Look whether its instance lives.
    LookupInstance(InstanceId),
    /// Nothing now.
    Wait,
    /// Nothing at all: it is as it should be.
    Settled,
}

/// The decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The next thing to do.
    pub action: Action,
    /// The status as it should read now.
    pub status: EniAttachmentStatus,
    /// When to step again, if nothing changes before.
    pub recheck: Option<Timestamp>,
}

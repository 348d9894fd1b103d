//! The next action for one ENIAttachment, and the step that reports it.

use super::agreement::Agreement;
use super::cause::Cause;
use super::in_place_change::Change;
use crate::device_return::DeviceReturn;
use jiff::Timestamp;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};

/// The next action for one ENIAttachment.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// CreateNetworkInterface with the ENIAttachment's request, this token and all its [`tags`](super::tags).
    Create {
        /// ClientToken.
        token: String,
        /// An earlier Create with this token may have made the ENI. EC2 then repeats the answer of that Create, which
        /// does not show later changes of the ENI.
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
        /// The change.
        change: Change,
        /// Why the ENI needs it.
        cause: Cause,
    },
    /// DetachNetworkInterface.
    Detach {
        /// The ENI.
        eni: EniId,
        /// EC2's attachment ID.
        attachment: String,
        /// Whether to force the detach, which is a last resort.
        force: bool,
    },
    /// DeleteNetworkInterface.
    Delete {
        /// The ENI.
        eni: EniId,
    },
    /// Begin the next attempt of the Create. The number of the attempt is stored before its Create is sent.
    NextAttempt,
    /// Remove the finalizer: nothing is left to do on EC2.
    Release,
    /// Look up the ENI by its tag with the ENIAttachment's UID.
    LookupByTag,
    /// Look up the ENI by its ID.
    LookupById(EniId),
    /// Describe the subnet, to learn whether it has room.
    LookupSubnet(SubnetId),
    /// Look up the state of the instance.
    LookupInstance(InstanceId),
    /// No action now: the ENIAttachment waits.
    Wait,
    /// No action, and nothing to wait for.
    Settled,
}

/// The decision for one ENIAttachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The next action.
    pub action: Action,
    /// The status that the ENIAttachment should have now.
    pub status: EniAttachmentStatus,
    /// When to decide again, if nothing changes before.
    pub recheck: Option<Timestamp>,
    /// What comes before the Detach of an ENI that is to go: the node agent gives its device back.
    pub device_return: Option<DeviceReturn>,
    /// What EC2 has shown of the values that the NodeENI asks for: for the next step.
    pub agreement: Agreement,
}

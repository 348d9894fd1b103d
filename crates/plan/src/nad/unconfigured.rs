//! What the node agent says of an ENI that it has not configured, as far as a definition depends on it. It is given the ENIAttachment.

use crate::agent_report::of_eni;
use crate::attachment::Attachment;
use multi_eni_api::conditions::types;
use multi_eni_api::configured_reason::ConfiguredReason;
use multi_eni_api::node_status::NodeStatus;
use std::fmt;

/// The agent's condition Configured while it is False.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfigured {
    reason: String,
    message: String,
}

impl fmt::Display for Unconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Another writer may have filled the texts: each stays on its line.
        let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        write!(f, "{}: {}", plain(&self.reason), plain(&self.message))
    }
}

/// The agent's report, if it is about this ENI.
pub(super) fn report(attachment: &Attachment) -> Option<&NodeStatus> {
    of_eni(attachment, attachment.status.mac_address.as_deref())
}

/// What the agent says of the ENI, if its report is about this ENI and the condition Configured is False.
pub(super) fn unconfigured(attachment: &Attachment) -> Option<Unconfigured> {
    report(attachment)?;
    let mut conditions = attachment.status.conditions.iter();
    let configured =
        conditions.find(|condition| condition.type_ == types::CONFIGURED && condition.status == "False")?;
    Some(Unconfigured { reason: configured.reason.clone(), message: configured.message.clone() })
}

impl Unconfigured {
    /// The reason. None: an agent of another version has written it.
    pub(super) fn reason(&self) -> Option<ConfiguredReason> {
        ConfiguredReason::parse(&self.reason)
    }

    /// Whether the agent sets no such link up. A link with routes of others is up, and a step that failed may be another one.
    pub(super) fn leaves_the_link_down(&self) -> bool {
        match self.reason() {
            None => false,
            Some(
                ConfiguredReason::Configured
                | ConfiguredReason::ConfiguredByOther
                | ConfiguredReason::InUse
                | ConfiguredReason::HasDefaultRoute
                | ConfiguredReason::ManagedByOther
                | ConfiguredReason::ForeignRule
                | ConfiguredReason::ForeignRoute
                | ConfiguredReason::StepFailed
                | ConfiguredReason::StepNotTaken,
            ) => false,
            Some(
                ConfiguredReason::NotManaged
                | ConfiguredReason::BoundToDriver
                | ConfiguredReason::Restored
                | ConfiguredReason::WaitingForEni
                | ConfiguredReason::LinkAbsent
                | ConfiguredReason::SeveralLinks
                | ConfiguredReason::InvalidNodeConfig
                | ConfiguredReason::IsPort
                | ConfiguredReason::MtuOutOfBounds
                | ConfiguredReason::InterfaceNameTaken
                | ConfiguredReason::NoAddresses
                | ConfiguredReason::SubnetUnknown
                | ConfiguredReason::NoIpv6
                | ConfiguredReason::RouteCoversNode
                | ConfiguredReason::DriverChanging
                | ConfiguredReason::DriverUnknown
                | ConfiguredReason::DriverMissing
                | ConfiguredReason::NoIommu
                | ConfiguredReason::GroupInUse
                | ConfiguredReason::PciAddressMismatch
                | ConfiguredReason::NotPci
                | ConfiguredReason::NotOurs
                | ConfiguredReason::SysfsReadOnly
                | ConfiguredReason::LinkInUse
                | ConfiguredReason::DeviceHeld
                | ConfiguredReason::BindFailed
                | ConfiguredReason::RestoreFailed
                | ConfiguredReason::LinkNotBack,
            ) => true,
        }
    }
}

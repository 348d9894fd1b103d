//! Why an ENI with a `dpdkResourceName` is not offered to pods, as data and as a sentence.

use crate::device_plugin::resource_name::{NotAResourceName, ResourceName};
use std::fmt;

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Kubelet would refuse the name.
    Name(NotAResourceName),
    /// The ENI is the node's primary interface.
    Primary,
    /// The interface is configured, and its PCI device is not known.
    NoDevice,
    /// The interface is not configured, and its PCI device is not known. The reason of the condition Configured says why.
    NotConfigured(String),
    /// Somebody else's entry in the configuration of the SR-IOV network device plugin has the resource.
    Taken {
        /// The file.
        path: String,
        /// The resource.
        resource: ResourceName,
    },
    /// The agent cannot offer anything now.
    Failed(String),
}

impl Refusal {
    /// Whether the condition Configured does not say it already.
    pub fn is_news(&self) -> bool {
        match self {
            Self::Name(_) | Self::Primary | Self::NoDevice | Self::Taken { .. } | Self::Failed(_) => true,
            Self::NotConfigured(_) => false,
        }
    }

    /// Whether an event of the kernel or of the API server comes when it ends. No event comes when a file has changed.
    pub fn ends_with_event(&self) -> bool {
        match self {
            Self::Name(_) | Self::Primary | Self::NoDevice | Self::NotConfigured(_) => true,
            Self::Taken { .. } | Self::Failed(_) => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "{error}"),
            Self::Primary => write!(f, "it is the primary interface of the node"),
            Self::NoDevice => write!(f, "the agent knows no PCI device of it"),
            Self::NotConfigured(reason) => {
                write!(f, "the agent knows no PCI device of it, and the interface is not configured ({reason})")
            }
            Self::Taken { path, resource } => write!(f, "{path} has an entry of somebody else for {resource}"),
            Self::Failed(why) => write!(f, "{why}"),
        }
    }
}

/// An ENI that is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Name of the ENIAttachment.
    pub attachment: String,
    /// UID of the ENIAttachment.
    pub uid: String,
    /// Why.
    pub why: Refusal,
}

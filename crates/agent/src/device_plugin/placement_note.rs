//! What a person should know of a device that is not offered as its ENIAttachment asks, in words.

use crate::device_plugin::resource_name::ResourceName;
use crate::pci_address::PciAddress;
use std::fmt;

/// Why a device is not offered as its ENIAttachment asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A pod has it by the name of before.
    Kept {
        /// The resource in whose pool it stays.
        resource: ResourceName,
        /// The resource that is asked for.
        asked: ResourceName,
    },
    /// A pod has it by another device plugin, or by a name that this agent did not give.
    OfOthers {
        /// The resource by which the pod has it.
        resource: String,
    },
    /// A pod has it with a device node that is not the device's any more.
    OldNode {
        /// The node that the pod has.
        given: String,
        /// The node of now.
        now: Option<String>,
    },
    /// Another device has the same device node.
    SharedNode {
        /// The node.
        node: String,
        /// The device that is offered, or that a pod has.
        with: PciAddress,
        /// Whether a pod has the other device.
        is_held: bool,
    },
    /// A pod has its device node by another device, which had that node before, or is not offered any more.
    NodeOfPod {
        /// The node.
        node: String,
        /// The other device.
        with: PciAddress,
    },
}

impl Note {
    /// Whether it ends with a pod. No event comes then, so that kubelet has to be asked.
    pub fn ends_with_pod(&self) -> bool {
        match self {
            Self::Kept { .. } | Self::OfOthers { .. } | Self::OldNode { .. } | Self::NodeOfPod { .. } => true,
            Self::SharedNode { is_held, .. } => *is_held,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { resource, asked } => write!(
                f,
                "pods get the ENI as {resource} and not yet as {asked}, because a pod has it by that name: it moves when the pod has ended"
            ),
            Self::OfOthers { resource } => write!(f, "no pod gets the ENI now, because a pod has it as {resource}"),
            Self::OldNode { given, now } => {
                let now = now.as_ref().map_or("there is no device node".to_owned(), |now| format!("it is {now}"));
                write!(f, "no pod gets the ENI now, because a pod has it as {given}, and by now {now}: delete that pod")
            }
            Self::SharedNode { node, with, is_held } => {
                let whose = if *is_held { "a pod has" } else { "pods can get" };
                write!(
                    f,
                    "no pod gets the ENI, because its device is in one IOMMU group with {with}, which {whose}: only one program can open {node}"
                )
            }
            Self::NodeOfPod { node, with } => write!(
                f,
                "no pod gets the ENI, because a pod has its device node {node} by the device {with}: only one program can open it"
            ),
        }
    }
}

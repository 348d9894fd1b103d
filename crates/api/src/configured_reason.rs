//! The reasons of the condition Configured of an ENIAttachment. The node agent writes them, and the controller's decisions read them, so
//! both sides have them from this one list.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A reason of the condition Configured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ConfiguredReason {
            $($(#[$doc])* $name,)*
        }

        impl ConfiguredReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason as the condition has it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Everything that is asked for is so.
    Configured = "Configured",
    /// Another program did all of it, or has set all rules and routes.
    ConfiguredByOther = "ConfiguredByOther",
    /// A pod or another network namespace has the link.
    InUse = "InUse",
    /// The mode is `none`.
    NotManaged = "NotManaged",
    /// The device has its driver for DPDK.
    BoundToDriver = "BoundToDriver",
    /// The ENIAttachment is being deleted, and the device has its kernel driver and its link again.
    Restored = "Restored",
    /// The ENIAttachment has no MAC address yet.
    WaitingForEni = "WaitingForENI",
    /// No physical link has the MAC address.
    LinkAbsent = "LinkAbsent",
    /// Several physical links have the MAC address.
    SeveralLinks = "SeveralLinks",
    /// The ENIAttachment cannot be followed.
    InvalidNodeConfig = "InvalidNodeConfig",
    /// The link has a default route of the node.
    HasDefaultRoute = "HasDefaultRoute",
    /// The link is a port of a bond, a bridge or a VRF.
    IsPort = "IsPort",
    /// Another program manages the link, and not everything that is asked for is so.
    ManagedByOther = "ManagedByOther",
    /// The device cannot have the MTU.
    MtuOutOfBounds = "MTUOutOfBounds",
    /// Another link has the name, or another ENI of the node wants it.
    InterfaceNameTaken = "InterfaceNameTaken",
    /// The ENIAttachment has no address.
    NoAddresses = "NoAddresses",
    /// The ENIAttachment has no CIDR of the subnet with the ENI's address.
    SubnetUnknown = "SubnetUnknown",
    /// The ENI has IPv6 addresses, and IPv6 is off on the link.
    NoIpv6 = "NoIPv6",
    /// A route of the table main would take the node's own network.
    RouteCoversNode = "RouteCoversNode",
    /// Another program sends the ENI's traffic to another table.
    ForeignRule = "ForeignRule",
    /// Another program uses the ENI's table.
    ForeignRoute = "ForeignRoute",
    /// The device is on its way to a driver for DPDK, or back.
    DriverChanging = "DriverChanging",
    /// `dpdkDriver` names no driver that the agent knows.
    DriverUnknown = "DriverUnknown",
    /// The driver is not loaded.
    DriverMissing = "DriverMissing",
    /// vfio-pci needs an IOMMU, or its mode without one.
    NoIommu = "NoIommu",
    /// The kernel uses another device of the IOMMU group.
    GroupInUse = "GroupInUse",
    /// `dpdkPCIAddress` is not the ENI's device.
    PciAddressMismatch = "PCIAddressMismatch",
    /// The link is not on a PCI device.
    NotPci = "NotPCI",
    /// Another program has bound the device of `dpdkPCIAddress`.
    NotOurs = "NotOurs",
    /// The agent may not write the device's files.
    SysfsReadOnly = "SysfsReadOnly",
    /// Others use the link that was to be bound.
    LinkInUse = "LinkInUse",
    /// A process holds the device.
    DeviceHeld = "DeviceHeld",
    /// The device could not be bound.
    BindFailed = "BindFailed",
    /// The device could not be given back.
    RestoreFailed = "RestoreFailed",
    /// The device has its kernel driver, and no link of it is in the node's network namespace.
    LinkNotBack = "LinkNotBack",
    /// The kernel refused a step.
    StepFailed = "StepFailed",
    /// A step had no effect.
    StepNotTaken = "StepNotTaken",
}

impl ConfiguredReason {
    /// The reason with this text. None: an agent of another version has written it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for ConfiguredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_text_of_its_own_which_the_api_server_accepts() {
        for reason in ConfiguredReason::ALL {
            assert_eq!(ConfiguredReason::parse(reason.as_str()), Some(*reason));
            assert!(reason.as_str().chars().all(|c| c.is_ascii_alphanumeric()), "{reason}");
        }
        assert_eq!(ConfiguredReason::parse("NotConfigured"), None);
    }
}

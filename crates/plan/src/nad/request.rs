//! What definitions are asked for. Data only.

use super::host_device::Ipam;

/// The CNI plugin of the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// The Pod gets the link of the ENI. One definition for each NodeENI.
    HostDevice {
        /// Where the Pod's address comes from. None: static by an alternative name, and dhcp by a resource.
        ipam: Option<Ipam>,
    },
    /// Several Pods have addresses of one ENI. One definition for each ENI.
    Ipvlan,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The plugin.
    pub plugin: Plugin,
    /// The namespace of the definitions.
    pub namespace: &'a str,
    /// Only NodeENIs that have an ENIAttachment on this Node and, with ipvlan, only these ENIs.
    pub node: Option<&'a str>,
}

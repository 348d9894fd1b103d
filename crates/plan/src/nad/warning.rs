//! What a user must know of a definition that is printed and does not work, or not on each node, as data and as a sentence.

use super::unconfigured::Unconfigured;
use crate::counted::first_of;
use std::fmt;

/// A definition, and why it does not do what its reader expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The node agent has not configured an ENI.
    NotConfigured {
        /// The NodeENI.
        nodeeni: String,
        /// The Node of the ENI.
        node: String,
        /// What the agent says.
        said: Unconfigured,
        /// What the definition does there.
        effect: Effect,
    },
    /// Two NodeENIs ask for one alternative name on one node.
    OneName {
        /// The name.
        name: String,
        /// The two NodeENIs.
        nodeenis: [String; 2],
        /// The Nodes.
        nodes: Vec<String>,
        /// Both have an ENI there. If not, one has no ENI yet, and selects the Nodes.
        is_certain: bool,
    },
    /// A NodeENI with an alternative name has several ENIs on one node.
    SeveralEnis {
        /// The NodeENI.
        nodeeni: String,
        /// The name.
        name: String,
        /// The Nodes.
        nodes: Vec<String>,
    },
    /// Several NodeENIs have one resource, and the Pod's annotation has the address.
    PoolOfAddresses {
        /// The resource.
        resource: String,
        /// The NodeENIs.
        nodeenis: Vec<String>,
    },
    /// Several NodeENIs have one resource; the devices of some have a driver for DPDK.
    PoolOfDrivers {
        /// The resource.
        resource: String,
        /// The NodeENIs with a driver for DPDK.
        with_driver: Vec<String>,
        /// The other NodeENIs.
        with_link: Vec<String>,
    },
}

/// What a definition does on a node whose ENI is not configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Another link has the name.
    OtherLink(String),
    /// The link does not have the name.
    NoName(String),
    /// The link has the name.
    AsItIs,
    /// Kubelet does not give the device to Pods.
    NotOffered,
    /// The link is not as it is asked for.
    Uncertain,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherLink(name) => {
                write!(
                    f,
                    "There the definition gives a pod the link that has the name {name}, which is not that of this ENI, or none"
                )
            }
            Self::NoName(name) => {
                write!(f, "There the link does not have the name {name}, and the definition gives it to no pod")
            }
            Self::AsItIs => f.write_str("There the definition gives a pod the link as it is"),
            Self::NotOffered => f.write_str("There kubelet gives the ENI to no pod"),
            Self::Uncertain => f.write_str("The definition has this link as it is"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |names: &[String]| first_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        match self {
            Self::NotConfigured { nodeeni, node, said, effect } => {
                write!(f, "NodeENI {nodeeni} on node {node}: the node agent reports {said}. {effect}")
            }
            Self::OneName { name, nodeenis: [one, other], nodes, is_certain } => {
                let nodes = first(nodes);
                write!(f, "NodeENI {one} and NodeENI {other} both ask for the interfaceName {name}, and ")?;
                match is_certain {
                    true => write!(f, "have ENIs on {nodes}: there only one of the links gets the name")?,
                    false => {
                        write!(f, "select {nodes}: if both get an ENI there, only one of the links gets the name")?
                    }
                }
                f.write_str(
                    ", and a definition with the name gives a pod that link: give each NodeENI a name of its own",
                )
            }
            Self::SeveralEnis { nodeeni, name, nodes } => write!(
                f,
                "NodeENI {nodeeni} has several ENIs on {}, and an interfaceName needs one ENI on a node: only one of the links gets the \
                 name {name}, and the definition gives no pod the others: make a NodeENI for each subnet",
                first(nodes)
            ),
            Self::PoolOfAddresses { resource, nodeenis } => write!(
                f,
                "the NodeENIs {} have one resource {resource}, so kubelet may give a pod the ENI of any of them, whatever its definition. \
                 With static, the pod may get an address or a gateway of another ENI: use --ipam dhcp, or a resource for each NodeENI",
                first(nodeenis)
            ),
            Self::PoolOfDrivers { resource, with_driver, with_link } => write!(
                f,
                "one resource {resource} is that of the NodeENIs {}, with a driver for DPDK, and of {}, with a link, so kubelet may give a \
                 pod the ENI of any of them, whatever its definition: give them two resources",
                first(with_driver),
                first(with_link)
            ),
        }
    }
}

//! NetworkAttachmentDefinitions by which Multus gives the ENIs of a NodeENI to Pods, for `multi-eni nad`. This file is given the parsed
//! objects and returns documents, or the reason why there is none. It applies nothing.

mod ascii_json;
mod cni;
mod definition;
mod host_device;
mod ipv4;
mod ipvlan;
mod left_out;
mod namespace;
mod outdated;
mod reported;
mod request;
mod text;
mod together;
mod unconfigured;
mod warning;

#[cfg(test)]
mod tests;

pub use definition::Definition;
pub use host_device::Ipam;
pub use left_out::{LeftOut, Reason};
pub use namespace::namespace;
pub use outdated::{Outdated, Present};
pub use request::{Plugin, Request};
pub use text::{json, yaml};
pub use together::{Placed, together};
pub use unconfigured::Unconfigured;
pub use warning::{Effect, Warning};

use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;

/// Why there is no definition of the CNI plugin macvlan.
pub const NO_MACVLAN: &str = "macvlan does not work on EC2: EC2 delivers to an ENI only frames for the ENI's own MAC address, and each \
                              macvlan interface has another one; use host-device or ipvlan";

/// The definitions of one NodeENI, and what has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The definitions.
    pub definitions: Vec<Definition>,
    /// What has no definition.
    pub left_out: Vec<LeftOut>,
    /// ENIs of which the definitions have data, and that are not as the spec asks.
    pub outdated: Vec<Outdated>,
    /// Definitions that do not work, or not on each node.
    pub warnings: Vec<Warning>,
}

/// The definitions of a NodeENI, and what a user must know of them.
pub fn answer(nodeeni: &NodeEni, present: &Present<'_>, request: &Request<'_>) -> Answer {
    let answer = definitions(nodeeni, present.attachments, request);
    let outdated = outdated::outdated(nodeeni, present, request, &answer.definitions);
    let warnings = reported::warnings(nodeeni, present.attachments, request, &answer.definitions);
    Answer { outdated, warnings, ..answer }
}

/// The definitions of a NodeENI. `attachments`: all its ENIAttachments.
fn definitions(nodeeni: &NodeEni, attachments: &[&Attachment], request: &Request<'_>) -> Answer {
    let is_asked = |attachment: &&&Attachment| request.node.is_none_or(|node| attachment.node == node);
    let asked: Vec<&Attachment> = attachments.iter().filter(is_asked).copied().collect();
    if request.node.is_some() && asked.is_empty() {
        return Answer::default();
    }
    let without = |reason: Reason| Answer {
        left_out: vec![LeftOut { nodeeni: nodeeni.name.clone(), node: None, reason }],
        ..Answer::default()
    };
    let spec = match &nodeeni.spec {
        _ if nodeeni.deleting => return without(Reason::Deleting),
        Err(error) => return without(Reason::Unreadable(error.to_string())),
        Ok(spec) => spec,
    };
    match request.plugin {
        Plugin::HostDevice { ipam } => {
            let host_device =
                host_device::HostDevice { nodeeni: &nodeeni.name, settings: &spec.node_settings, attachments };
            match host_device.definition(request.namespace, ipam) {
                Ok(definition) => Answer { definitions: vec![definition], ..Answer::default() },
                Err(reason) => without(reason),
            }
        }
        Plugin::Ipvlan if spec.node_settings.enable_dpdk == Some(true) => without(Reason::DpdkHasNoLink),
        Plugin::Ipvlan if asked.is_empty() => without(Reason::NoAttachment),
        Plugin::Ipvlan => {
            let mut answer = Answer::default();
            for attachment in asked {
                match ipvlan::definition(attachment, request.namespace) {
                    Ok(definition) => answer.definitions.push(definition),
                    Err(reason) => {
                        let node = Some(attachment.node.clone());
                        answer.left_out.push(LeftOut { nodeeni: nodeeni.name.clone(), node, reason });
                    }
                }
            }
            answer
        }
    }
}

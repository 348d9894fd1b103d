//! Warnings of the ENIs of one NodeENI: those that the node agent has not configured, and several on one node with one name. It is given
//! the parsed objects and the definitions that are printed.

use super::definition::Definition;
use super::host_device::{Way, interface_name, way};
use super::outdated::reached;
use super::request::{Plugin, Request};
use super::unconfigured::{Unconfigured, report, unconfigured};
use super::warning::{Effect, Warning};
use crate::attachment::Attachment;
use crate::nodeeni::NodeEni;
use multi_eni_api::NodeSettings;
use multi_eni_api::configured_reason::ConfiguredReason;
use std::collections::BTreeMap;

/// The warnings of a NodeENI. `attachments`: its ENIAttachments.
pub(super) fn warnings(
    nodeeni: &NodeEni,
    attachments: &[&Attachment],
    request: &Request<'_>,
    definitions: &[Definition],
) -> Vec<Warning> {
    let (Ok(spec), false) = (&nodeeni.spec, definitions.is_empty()) else { return Vec::new() };
    let settings = &spec.node_settings;
    let is_asked = |attachment: &&&Attachment| {
        let is_on_node = request.node.is_none_or(|node| attachment.node == node);
        let has_definition = match request.plugin {
            Plugin::HostDevice { .. } => true,
            Plugin::Ipvlan => definitions.iter().any(|definition| definition.name == attachment.name),
        };
        is_on_node && has_definition && attachment.deleting.is_none() && attachment.unreadable.is_none()
    };
    let asked: Vec<&Attachment> = attachments.iter().filter(is_asked).copied().collect();
    let mut all: Vec<Warning> = several(nodeeni, settings, request.plugin, &asked).into_iter().collect();
    for attachment in asked {
        // A report about another name or resource is about what the ENI was asked for before.
        let is_about_this = reached(settings, request.plugin) == reached(&attachment.node_settings, request.plugin);
        if let Some(said) = unconfigured(attachment).filter(|_| is_about_this) {
            let effect = effect(settings, request.plugin, attachment, &said);
            all.push(Warning::NotConfigured {
                nodeeni: nodeeni.name.clone(),
                node: attachment.node.clone(),
                said,
                effect,
            });
        }
    }
    all
}

fn effect(settings: &NodeSettings, plugin: Plugin, attachment: &Attachment, said: &Unconfigured) -> Effect {
    match (plugin, way(settings)) {
        (Plugin::Ipvlan, _) => Effect::Uncertain,
        (Plugin::HostDevice { .. }, Way::Resource { .. } | Way::Driver) => Effect::NotOffered,
        (Plugin::HostDevice { .. }, Way::Link) => {
            let name = interface_name(settings).unwrap_or_default();
            let shown = report(attachment).and_then(|report| report.alternative_name.as_ref());
            match said.reason() {
                Some(ConfiguredReason::InterfaceNameTaken) => Effect::OtherLink(name),
                _ if shown == Some(&name) => Effect::AsItIs,
                _ => Effect::NoName(name),
            }
        }
    }
}

/// The warning of several ENIs of the NodeENI on one node, if a definition has the name of their links.
fn several(nodeeni: &NodeEni, settings: &NodeSettings, plugin: Plugin, asked: &[&Attachment]) -> Option<Warning> {
    let is_by_name = matches!(plugin, Plugin::HostDevice { .. }) && way(settings) == Way::Link;
    let name = interface_name(settings).filter(|_| is_by_name)?;
    let mut enis: BTreeMap<&str, usize> = BTreeMap::new();
    for attachment in asked {
        *enis.entry(&attachment.node).or_default() += 1;
    }
    let nodes: Vec<String> = enis.into_iter().filter(|(_, enis)| *enis > 1).map(|(node, _)| node.to_owned()).collect();
    (!nodes.is_empty()).then(|| Warning::SeveralEnis { nodeeni: nodeeni.name.clone(), name, nodes })
}

//! ENIs from which a definition has its data, and that are not, or will not stay, as the spec of the NodeENI asks. It compares what the
//! definition is made of with the spec. It does not ask EC2, and decides nothing.

use super::definition::Definition;
use super::host_device::{Way, has_gateway, way};
use super::request::{Plugin, Request};
use crate::attachment::Attachment;
use crate::counted::first_of;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::Ec2Catalog;
use crate::spec_differences::spec_differences;
use crate::string_map::StringMap;
use multi_eni_api::NodeSettings;
use multi_eni_api::node_config::{NodeConfig, NodeMode, mode_of};
use std::fmt;

/// What is there beside the NodeENI.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    /// All ENIAttachments of the NodeENI.
    pub attachments: &'a [&'a Attachment],
    /// The labels of a Node.
    pub labels: &'a dyn Fn(&str) -> Option<&'a StringMap>,
    /// The NodeENI is that of a file, and is not applied.
    pub is_from_file: bool,
    /// The spec that the file would replace.
    pub before: Option<&'a EniSpec>,
}

/// ENIs of one NodeENI of which a definition has data, and that are not as the spec asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The NodeENI.
    nodeeni: String,
    /// The spec is that of a file.
    is_from_file: bool,
    /// What is not as the spec asks.
    cause: Cause,
    /// What the definition has of these ENIs.
    part: Part,
    /// The ENIs, each with its Node and its subnet.
    enis: Vec<String>,
}

/// Why an ENI is not as the spec asks, or may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// The spec does not select the Node.
    Deselected,
    /// These are fixed when an ENI is created.
    Replaced(Vec<String>),
    /// Only EC2 shows whether the ENI stays.
    Undecided,
    /// The node agent changes these in place: what the spec asks for, and what is so now.
    InPlace { asked: String, now: String },
}

/// What a definition has of an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing.
    Nothing,
    /// The gateway of its subnet. The annotations of Pods have its addresses.
    Gateway,
    /// Its addresses, its gateway, the name of its link and that of its ENIAttachment.
    Whole,
}

/// The ENIs of which the definitions have data, by what is not as the spec asks.
pub(super) fn outdated(
    nodeeni: &NodeEni,
    present: &Present<'_>,
    request: &Request<'_>,
    definitions: &[Definition],
) -> Vec<Outdated> {
    let (Ok(spec), false) = (&nodeeni.spec, definitions.is_empty()) else { return Vec::new() };
    let has_definition = |attachment: &Attachment| match request.plugin {
        Plugin::HostDevice { .. } => attachment.deleting.is_none() && attachment.unreadable.is_none(),
        Plugin::Ipvlan => definitions.iter().any(|definition| definition.name == attachment.name),
    };
    let part = part(&spec.node_settings, request.plugin);
    let mut all: Vec<Outdated> = Vec::new();
    for attachment in present.attachments.iter().copied().filter(|attachment| has_definition(attachment)) {
        for cause in causes(spec, attachment, present, request.plugin) {
            let eni = attachment.status.eni_id.as_deref().unwrap_or("no ENI yet");
            let place = format!("{} ({eni} in {})", attachment.node, attachment.request.subnet_id);
            match all.iter_mut().find(|outdated| outdated.cause == cause) {
                Some(outdated) => outdated.enis.push(place),
                None => all.push(Outdated {
                    nodeeni: nodeeni.name.clone(),
                    is_from_file: present.is_from_file,
                    cause,
                    part,
                    enis: vec![place],
                }),
            }
        }
    }
    all
}

fn part(settings: &NodeSettings, plugin: Plugin) -> Part {
    match plugin {
        Plugin::Ipvlan => Part::Whole,
        Plugin::HostDevice { ipam } if has_gateway(settings, ipam) => Part::Gateway,
        Plugin::HostDevice { .. } => Part::Nothing,
    }
}

fn causes(spec: &EniSpec, attachment: &Attachment, present: &Present<'_>, plugin: Plugin) -> Vec<Cause> {
    if (present.labels)(&attachment.node).is_some_and(|labels| !spec.matches(labels)) {
        return vec![Cause::Deselected];
    }
    let differences = spec_differences(&Ec2Catalog::default(), spec, None, attachment);
    if !differences.is_empty() {
        return vec![Cause::Replaced(differences)];
    }
    let is_undecided = present.before.is_some_and(|before| places(before) != places(spec));
    let (asked, now) = (reached(&spec.node_settings, plugin), reached(&attachment.node_settings, plugin));
    let in_place = (asked != now).then_some(Cause::InPlace { asked, now });
    is_undecided.then_some(Cause::Undecided).into_iter().chain(in_place).collect()
}

/// What of the spec decides in which subnet and at which index the ENI of a node is.
fn places(spec: &EniSpec) -> impl PartialEq + '_ {
    (&spec.subnets, &spec.subnet_terms, spec.index, spec.index_policy, spec.card)
}

/// What a definition of this plugin relies on, of the settings that the node agent follows.
pub(super) fn reached(settings: &NodeSettings, plugin: Plugin) -> String {
    let mode = mode_of(settings.node_config.as_ref());
    match plugin {
        Plugin::Ipvlan => format!("the mode {}", word(mode)),
        Plugin::HostDevice { .. } => {
            let config = settings.node_config.as_ref().and_then(|config| NodeConfig::parse(config).ok());
            let name = config.and_then(|config| config.interface_name).filter(|_| mode != NodeMode::None);
            match (way(settings), name) {
                (Way::Resource { name, is_dpdk: true }, _) => format!("the resource {name}, with a driver for DPDK"),
                (Way::Resource { name, is_dpdk: false }, _) => format!("the resource {name}"),
                (Way::Driver, _) => "a driver for DPDK".to_owned(),
                (Way::Link, Some(name)) => format!("the alternative name {name}"),
                (Way::Link, None) => "no alternative name".to_owned(),
            }
        }
    }
}

fn word(mode: NodeMode) -> &'static str {
    match mode {
        NodeMode::None => "none",
        NodeMode::Link => "link",
        NodeMode::Addresses => "addresses",
    }
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enis: Vec<&str> = self.enis.iter().map(String::as_str).collect();
        let (nodeeni, enis) = (&self.nodeeni, first_of(&enis));
        let next = if self.is_from_file { "once the file is applied, the" } else { "the" };
        let has = match self.part {
            Part::Nothing => "the definition has nothing of this ENI",
            Part::Gateway => "the definition has the gateway of this subnet",
            Part::Whole => "the definition has the addresses of this ENI and the name of its link",
        };
        let then = match self.part {
            Part::Nothing => "the definition stays right",
            Part::Gateway => {
                "when the new ENI is attached, print the definition anew, and give the pods addresses of the new ENI"
            }
            Part::Whole => "when the new ENI is attached and the node agent has reported, print the definition anew",
        };
        match &self.cause {
            Cause::Deselected => write!(
                f,
                "NodeENI {nodeeni}: the spec does not select {enis}, and {has}: {next} controller removes the ENI; end the pods \
                 that use it first"
            ),
            Cause::Replaced(differences) => write!(
                f,
                "NodeENI {nodeeni}: the spec asks for another ENI than {enis}: {}. Now {has}; {next} controller replaces the ENI: {then}",
                differences.join(", and ")
            ),
            Cause::Undecided => write!(
                f,
                "NodeENI {nodeeni}: the file changes the subnets or the device index, and whether the ENI of {enis} stays is not known here: \
                 multi-eni plan -f shows it. Now {has}; if the ENI is replaced: {then}"
            ),
            Cause::InPlace { asked, now } => write!(
                f,
                "NodeENI {nodeeni}: the spec asks for {asked}, and {enis} has {now}: {next} node agent changes the ENI in place; {} when \
                 the ENI is Ready again",
                match self.part {
                    Part::Nothing | Part::Gateway => "use the definition",
                    Part::Whole => "print the definition anew",
                }
            ),
        }
    }
}

//! The definition of ipvlan for one ENI. It has the addresses that this ENI owns and the name of its link, so that it is of use on one
//! node only.

use super::cni::{CniPlugin, IpamPlugin, Range, Route};
use super::definition::Definition;
use super::ipv4::Network;
use super::left_out::Reason;
use super::unconfigured::{Unconfigured, report, unconfigured};
use crate::attachment::Attachment;
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::node_config::{NodeMode, mode_of};
use multi_eni_api::node_status::NodeStatus;

/// The longest name of a link.
const LONGEST_LINK: usize = 15;

/// The definition for the ENI of this ENIAttachment. It has the ENIAttachment's name, by which the controller finds its Pods.
pub(super) fn definition(attachment: &Attachment, namespace: &str) -> Result<Definition, Reason> {
    let status = &attachment.status;
    if attachment.deleting.is_some() {
        return Err(Reason::Deleting);
    }
    if let Some(why) = &attachment.unreadable {
        return Err(Reason::Unreadable(why.clone()));
    }
    if status.phase != Phase::Attached {
        return Err(Reason::NotAttached(format!("{:?}", status.phase)));
    }
    if mode_of(attachment.node_settings.node_config.as_ref()) == NodeMode::None {
        return Err(Reason::LinkOfModeNone);
    }
    let report = report(attachment).ok_or(Reason::NotReported)?;
    let master = master(report)?;
    if let Some(said) = unconfigured(attachment).filter(Unconfigured::leaves_the_link_down) {
        return Err(Reason::LinkDown(said.to_string()));
    }
    let subnet = attachment.request.subnet_cidr.as_deref().ok_or(Reason::NoSubnet)?;
    let network = Network::parse(subnet)?;
    let range = |owned: &Network| Range {
        subnet: subnet.to_owned(),
        range_start: owned.first(),
        range_end: owned.last(),
        gateway: network.gateway(),
    };
    let addresses = addresses(attachment, report)?;
    if addresses.is_empty() {
        return Err(Reason::NoAddresses);
    }
    let eni = status.eni_id.as_deref().unwrap_or("its ENI");
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let comments = vec![
        format!(
            "NodeENI {} on node {}: pods share {eni}, whose link is {master}.",
            attachment.nodeeni, attachment.node
        ),
        format!("Only for pods on this node. EC2 drops packets from addresses that {eni} does not own;"),
        format!("these are its own: {}.", shown.join(", ")),
        "Another ENI in its place has other addresses: print the definition anew then.".to_owned(),
    ];
    let ipam = IpamPlugin::HostLocal {
        ranges: vec![addresses.iter().map(range).collect()],
        routes: vec![Route::default_by(None)],
    };
    let plugins = vec![CniPlugin::Ipvlan { master, mode: "l2", ipam }, CniPlugin::Sbr];
    Ok(Definition::new(&attachment.name, namespace, plugins, comments))
}

/// The kernel's name of the link.
fn master(report: &NodeStatus) -> Result<String, Reason> {
    let is_name = |name: &&str| name.len() <= LONGEST_LINK && name.chars().all(|c| c.is_ascii_graphic() && c != '/');
    let said = || report.message.clone().unwrap_or_else(|| "it does not say why".to_owned());
    let name = report.link_name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| Reason::NoLink(said()))?;
    Some(name)
        .filter(is_name)
        .map(str::to_owned)
        .ok_or_else(|| Reason::NoLink(format!("{name:?} is no name of a link")))
}

/// The addresses that the ENI owns and the node itself does not have: its prefixes, and single addresses.
fn addresses(attachment: &Attachment, report: &NodeStatus) -> Result<Vec<Network>, Reason> {
    let status = &attachment.status;
    let is_the_nodes = mode_of(attachment.node_settings.node_config.as_ref()) == NodeMode::Addresses;
    let single = status.private_ips.iter().filter(|text| !is_the_nodes && !report.addresses.contains(text));
    let prefixes = status.ipv4_prefixes.iter().map(|text| Network::parse(text));
    prefixes.chain(single.map(|text| Network::parse_address(text))).collect()
}

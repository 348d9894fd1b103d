//! The link of each attached ENI, as plain data. It is given the simulated account, and it reads nothing else.

use multi_eni_sim::ec2::{AttachmentStatus, Eni, Snapshot, Subnet};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The IPv4 subnet of an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetV4 {
    /// The router's address: the first of the subnet.
    pub gateway: Ipv4Addr,
    /// The length of the prefix.
    pub length: u8,
}

/// An ENI as a veth: one end is in the namespace of its node, the other in the router's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniLink {
    /// The node.
    pub node: String,
    /// Name of the link on the node.
    pub name: String,
    /// Name of the other end on the router.
    pub router_name: String,
    /// The MAC address of the ENI.
    pub mac: String,
    /// Whether it is the node's primary interface. Nobody but the sandbox configures that one.
    pub is_primary: bool,
    /// Addresses of both families.
    pub addresses: Vec<IpAddr>,
    /// Delegated prefixes of both families.
    pub prefixes: Vec<String>,
    /// The IPv4 subnet. None in an IPv6-only subnet.
    pub subnet: Option<SubnetV4>,
    /// Whether the router drops packets whose source the ENI does not own.
    pub has_source_check: bool,
}

impl EniLink {
    /// What the ENI owns, as networks.
    pub fn owned(&self) -> impl Iterator<Item = String> {
        let hosts = self.addresses.iter().map(|ip| format!("{ip}/{}", if ip.is_ipv6() { 128 } else { 32 }));
        hosts.chain(self.prefixes.iter().cloned())
    }
}

/// The links of the ENIs that are attached to the nodes, by ID of the ENI. The keys of `nodes` are instance IDs.
pub fn eni_links(account: &Snapshot, nodes: &BTreeMap<String, String>) -> BTreeMap<String, EniLink> {
    let link = |eni: &Eni| {
        let attachment = eni.attachment.as_ref().filter(|at| at.status == AttachmentStatus::Attached)?;
        let node = nodes.get(&attachment.instance_id)?;
        let (card, index) = (attachment.network_card_index, attachment.device_index);
        let v4 = eni.private_ips.iter().copied().map(IpAddr::from);
        let v6 = eni.ipv6_addresses.iter().copied().map(IpAddr::from);
        let v4_prefixes = eni.ipv4_prefixes.iter().map(|ip| format!("{ip}/28"));
        let v6_prefixes = eni.ipv6_prefixes.iter().map(|ip| format!("{ip}/80"));
        Some(EniLink {
            node: node.clone(),
            name: link_name(card, index),
            router_name: router_name(&eni.id),
            mac: eni.mac_address.clone(),
            is_primary: (card, index) == (0, 0),
            addresses: v4.chain(v6).collect(),
            prefixes: v4_prefixes.chain(v6_prefixes).collect(),
            subnet: account.subnets.get(&eni.subnet_id).and_then(subnet_v4),
            has_source_check: eni.source_dest_check,
        })
    };
    account.enis.iter().filter_map(|(id, eni)| Some((id.clone(), link(eni)?))).collect()
}

/// The name of the link on the node, in the style of the kernel's names on EC2: the primary interface is ens5.
fn link_name(card: u32, index: u32) -> String {
    format!("ens{}", card.saturating_mul(100).saturating_add(index).saturating_add(5))
}

/// A name of at most 15 characters, which is the limit of the kernel.
fn router_name(eni: &str) -> String {
    let digits: Vec<char> = eni.chars().filter(char::is_ascii_alphanumeric).collect();
    let last = digits.iter().skip(digits.len().saturating_sub(14));
    std::iter::once(&'v').chain(last).collect()
}

fn subnet_v4(subnet: &Subnet) -> Option<SubnetV4> {
    let (network, length) = subnet.cidr.split_once('/')?;
    let network: Ipv4Addr = network.parse().ok()?;
    Some(SubnetV4 { gateway: Ipv4Addr::from_bits(network.to_bits().checked_add(1)?), length: length.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_sim::clock::SimClock;
    use multi_eni_sim::ec2::{Ec2, Settings};

    #[test]
    fn an_attached_eni_has_a_link_and_a_detached_one_has_none() {
        let ec2 = Ec2::new(SimClock::starting_at(jiff::Timestamp::UNIX_EPOCH), Settings::default());
        ec2.add_vpc("vpc-00000001");
        ec2.add_subnet("subnet-00000001", "vpc-00000001", "eu-central-1a", "10.0.7.0/24", None).unwrap();
        ec2.run_instance("i-00000001", "m5.4xlarge", "subnet-00000001").unwrap();
        let nodes = BTreeMap::from([("i-00000001".to_owned(), "node1".to_owned())]);
        let primary: Vec<EniLink> = eni_links(&ec2.snapshot(), &nodes).into_values().collect();
        assert_eq!(primary.len(), 1);
        assert_eq!((primary[0].name.as_str(), primary[0].is_primary), ("ens5", true));
        assert_eq!(primary[0].subnet, Some(SubnetV4 { gateway: Ipv4Addr::new(10, 0, 7, 1), length: 24 }));
        let eni = ec2.hand_create("subnet-00000001", &[]).unwrap();
        assert_eq!(eni_links(&ec2.snapshot(), &nodes).len(), 1, "it is not attached");
        ec2.hand_attach(&eni, "i-00000001", 0, 2).unwrap();
        let link = eni_links(&ec2.snapshot(), &nodes).remove(&eni).unwrap();
        assert_eq!((link.node.as_str(), link.name.as_str(), link.is_primary), ("node1", "ens7", false));
        assert_eq!(link.mac, ec2.snapshot().enis[&eni].mac_address);
        assert_eq!(link.addresses, [IpAddr::from(ec2.snapshot().enis[&eni].private_ips[0])]);
        ec2.hand_detach(&eni, true).unwrap();
        assert_eq!(eni_links(&ec2.snapshot(), &nodes).len(), 1);
        assert_eq!(eni_links(&ec2.snapshot(), &BTreeMap::new()).len(), 0, "other instances have no namespace");
    }

    #[test]
    fn names_fit_into_15_characters_and_do_not_repeat() {
        for (eni, name) in [("eni-056034fb35cd4c5de", "v034fb35cd4c5de"), ("eni-1", "veni1")] {
            assert_eq!(router_name(eni), name);
        }
        assert_ne!(link_name(0, 2), link_name(1, 2));
    }
}

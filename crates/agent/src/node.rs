//! What the agent sees on the node, as plain data: links, addresses, routes, rules, and which program manages a link. The netlink
//! module and the files under `--sysfs-root`, `--sysctl-root` and `--run-dir` are its sources. This file decides nothing.

use crate::text_form::text_form;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The table `main` of the kernel.
pub const TABLE_MAIN: u32 = 254;
/// The table `local` of the kernel.
pub const TABLE_LOCAL: u32 = 255;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// A text that is no Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address such as 02:00:00:00:00:01")]
pub struct NotAMac(String);

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let error = || NotAMac(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(bytes)) }
    }
}

text_form!(Mac);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address with the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// The length of the prefix.
    pub prefix_len: u8,
}

impl Cidr {
    /// One address alone: /32 or /128.
    pub fn host(address: IpAddr) -> Self {
        Self { address, prefix_len: family_bits(address) }
    }

    /// Every address of the family.
    pub fn everything(is_ipv6: bool) -> Self {
        let address =
            if is_ipv6 { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
        Self { address, prefix_len: 0 }
    }

    /// Whether every address of the other is in this one.
    pub fn contains(&self, other: &Self) -> bool {
        let is_longer = self.prefix_len <= other.prefix_len;
        let shift = u32::from(family_bits(self.address).saturating_sub(self.prefix_len));
        match (self.address, other.address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                is_longer && own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                is_longer && own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether all bits after the prefix are zero, as the kernel requires of destinations.
    pub fn is_network(&self) -> bool {
        let host_bits = u32::from(family_bits(self.address).saturating_sub(self.prefix_len));
        match self.address {
            IpAddr::V4(address) => {
                host_bits == 32 && address.is_unspecified() || address.to_bits().trailing_zeros() >= host_bits
            }
            IpAddr::V6(address) => {
                host_bits == 128 && address.is_unspecified() || address.to_bits().trailing_zeros() >= host_bits
            }
        }
    }
}

fn family_bits(address: IpAddr) -> u8 {
    if address.is_ipv6() { 128 } else { 32 }
}

/// A text that is no CIDR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CIDR such as 10.0.0.0/24 or 2001:db8::/64")]
pub struct NotACidr(String);

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let error = || NotACidr(text.to_owned());
        let (address, prefix_len) = text.split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        // A number as Rust reads it may have a sign and leading zeros. The schema of NodeENI refuses both.
        let is_plain =
            prefix_len.bytes().all(|byte| byte.is_ascii_digit()) && (prefix_len == "0" || !prefix_len.starts_with('0'));
        let prefix_len: u8 = prefix_len.parse().map_err(|_| error())?;
        let is_cidr = is_plain && prefix_len <= family_bits(address);
        if is_cidr { Ok(Self { address, prefix_len }) } else { Err(error()) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// A network interface of the node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// The kernel's index.
    pub index: u32,
    /// The name.
    pub name: String,
    /// Alternative names.
    pub alt_names: Vec<String>,
    /// The MAC address that it has now.
    pub mac: Option<Mac>,
    /// The MAC address that the device came with.
    pub permanent_mac: Option<Mac>,
    /// The device below, such as the PCI address 0000:00:06.0. Virtual links have none.
    pub parent_device: Option<String>,
    /// The driver of the device below.
    pub driver: Option<String>,
    /// The NUMA node of the device below.
    pub numa_node: Option<u32>,
    /// The kind of a virtual link, such as veth. Physical links have none.
    pub kind: Option<String>,
    /// Whether the link is set up.
    pub is_up: bool,
    /// Whether the link is the loopback.
    pub is_loopback: bool,
    /// The MTU.
    pub mtu: u32,
    /// The smallest MTU of the device.
    pub min_mtu: Option<u32>,
    /// The largest MTU of the device.
    pub max_mtu: Option<u32>,
    /// The bond, bridge or VRF that the link is a port of.
    pub controller: Option<u32>,
    /// Index of the link that this one is on top of, such as the link below a VLAN, if that link is in the same network namespace.
    pub lower: Option<u32>,
    /// The sysctl `accept_ra` of the link. None: the kernel has no IPv6 for the link.
    pub accept_ra: Option<i32>,
    /// Whether the sysctl `disable_ipv6` of the link is set. The kernel then takes no IPv6 address.
    pub is_ipv6_disabled: bool,
    /// The program that manages the link, if it is another one.
    pub managed_by: Option<Manager>,
}

/// A program that manages a link, as its own files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// systemd-networkd, with the file that matches the link.
    Networkd {
        /// Path of the `.network` file.
        file: Option<String>,
    },
    /// NetworkManager.
    NetworkManager,
    /// amazon-ec2-net-utils, which writes configuration for systemd-networkd.
    Ec2NetUtils {
        /// The directory with its drop-ins.
        directory: String,
    },
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Networkd { file: Some(file) } => write!(f, "systemd-networkd ({file})"),
            Self::Networkd { file: None } => write!(f, "systemd-networkd"),
            Self::NetworkManager => write!(f, "NetworkManager"),
            Self::Ec2NetUtils { directory } => write!(f, "amazon-ec2-net-utils ({directory})"),
        }
    }
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Index of the link.
    pub link: u32,
    /// The address and its prefix.
    pub cidr: Cidr,
    /// Who set the address, if the kernel tells (Linux 5.18 and newer).
    pub protocol: u8,
    /// Whether the address is valid in the whole network, and not on the link or the host alone.
    pub is_global: bool,
}

/// A unicast route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The table.
    pub table: u32,
    /// The destination.
    pub destination: Cidr,
    /// The gateway. None: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub link: u32,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// Who set the route.
    pub protocol: u8,
    /// The metric.
    pub metric: u32,
}

impl Route {
    /// Whether the route is the default route of its table.
    pub fn is_default(&self) -> bool {
        self.destination.prefix_len == 0
    }
}

/// A rule of policy routing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The source that the rule matches. Rules for every source have none.
    pub source: Option<Cidr>,
    /// Whether the rule is for IPv6.
    pub is_ipv6: bool,
    /// The table that the rule looks up.
    pub table: u32,
    /// The priority: lower numbers come first.
    pub priority: u32,
    /// Who set the rule.
    pub protocol: u8,
    /// Whether the rule matches by the source alone and looks up a table. Other rules have more conditions or another action.
    pub is_plain: bool,
}

/// The state of the node's network, as last observed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// All links.
    pub links: Vec<Link>,
    /// All addresses.
    pub addresses: Vec<Address>,
    /// All unicast routes, except those of the table local.
    pub routes: Vec<Route>,
    /// All rules.
    pub rules: Vec<Rule>,
    /// The devices of the ledger's links that still have a driver although no link of the node has them as its parent.
    pub devices_without_link: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_read_in_both_cases_and_nothing_else_is() {
        let mac: Mac = "02:0A:0b:00:00:fF".parse().unwrap();
        assert_eq!(mac.to_string(), "02:0a:0b:00:00:ff");
        for wrong in
            ["", "02:0a:0b:00:00", "02:0a:0b:00:00:ff:01", "02:0a:0b:00:00:zz", "2:a:b:0:0:f", "+2:00:00:00:00:00x"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cidr_needs_a_length_that_its_family_has() {
        assert_eq!("10.1.0.0/16".parse::<Cidr>().unwrap().to_string(), "10.1.0.0/16");
        assert_eq!("2001:db8::/64".parse::<Cidr>().unwrap().to_string(), "2001:db8::/64");
        for wrong in [
            "10.1.0.0",
            "10.1.0.0/33",
            "2001:db8::/129",
            "10.1.0.0/-1",
            "x/1",
            "10.1.0.0/016",
            "10.1.0.0/+16",
            "010.1.0.0/16",
            "192.168.001.0/24",
            "2001:db8::/064",
        ] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_network_contains_its_own_addresses_alone() {
        for (network, other, contains) in [
            ("10.0.1.0/24", "10.0.1.11/32", true),
            ("10.0.1.11/32", "10.0.1.11/32", true),
            ("10.0.1.0/24", "10.0.2.11/32", false),
            ("10.0.1.11/32", "10.0.1.0/24", false),
            ("0.0.0.0/0", "10.0.1.0/24", true),
            ("2001:db8::/32", "2001:db8::1/128", true),
            ("::/0", "10.0.1.0/24", false),
        ] {
            let (network, other): (Cidr, Cidr) = (network.parse().unwrap(), other.parse().unwrap());
            assert_eq!(network.contains(&other), contains, "{network} {other}");
        }
    }

    #[test]
    fn a_network_has_no_host_bits() {
        for (text, is_network) in [
            ("10.1.0.0/16", true),
            ("10.1.2.0/16", false),
            ("0.0.0.0/0", true),
            ("10.0.0.1/32", true),
            ("128.0.0.0/0", false),
            ("2001:db8::/64", true),
            ("2001:db8::1/64", false),
            ("::/0", true),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().is_network(), is_network, "{text}");
        }
    }
}

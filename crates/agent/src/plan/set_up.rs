//! The steps for one ENI whose link is there and has no obstacle.

use super::desired::Desired;
use super::own_protocols::OwnProtocols;
use super::step::Step;
use crate::ledger::LedgerEntry;
use crate::netlink::Change;
use crate::node::{Address, Cidr, Link, Mac, Node};
use crate::wanted::WantedEni;
use std::net::IpAddr;

/// What is known of one ENI and its link.
pub(super) struct SetUp<'a> {
    pub node: &'a Node,
    pub link: &'a Link,
    pub mac: Mac,
    pub wanted: &'a WantedEni,
    /// Empty in the mode `link`.
    pub desired: &'a Desired,
    /// The entry of the ledger, if the agent has changed the link before.
    pub entry: Option<&'a LedgerEntry>,
    pub own: OwnProtocols<'a>,
}

impl SetUp<'_> {
    /// The steps of the link, in order. Those for routes and rules are the planner's.
    pub(super) fn link_steps(&self) -> Vec<Step> {
        let changes: Vec<Step> =
            [self.accept_ra(), self.mtu(), self.up(), self.names(), self.addresses()].into_iter().flatten().collect();
        let (first, last) = self.entries();
        let remember = |entry: &LedgerEntry| Step::Remember(entry.clone());
        // The ledger has both the old and the new things while the link changes.
        let is_recorded = self.entry == Some(&first) && self.own.is_recorded();
        let before = (!is_recorded).then(|| remember(&first));
        let after = (first != last).then(|| remember(&last));
        before.into_iter().chain(changes).chain(after).collect()
    }

    /// The entry of the ledger during the changes and after them.
    fn entries(&self) -> (LedgerEntry, LedgerEntry) {
        let mut last = self.entry.cloned().unwrap_or_else(|| LedgerEntry {
            mac: self.mac,
            uid: None,
            parent_device: None,
            was_up: self.link.is_up,
            mtu_before: self.link.mtu,
            accept_ra_before: self.link.accept_ra,
            mtu: None,
            alt_names: Vec::new(),
            addresses: Vec::new(),
        });
        last.uid = Some(self.wanted.uid.clone());
        last.parent_device.clone_from(&self.link.parent_device);
        let old = last.clone();
        last.mtu = self.wanted.mtu;
        last.alt_names =
            self.wanted.interface_name.iter().filter(|name| !self.has_from_elsewhere(name)).cloned().collect();
        last.addresses =
            self.desired.addresses.iter().filter(|ip| !self.has_address_from_elsewhere(ip)).copied().collect();
        let mut first = last.clone();
        first.mtu = last.mtu.or(old.mtu.filter(|mtu| *mtu == self.link.mtu && *mtu != old.mtu_before));
        let names = old.alt_names.into_iter().filter(|name| self.link.alt_names.contains(name));
        first.alt_names.extend(names.filter(|name| !last.alt_names.contains(name)));
        let is_there = |ip: &IpAddr| self.addresses_of_link().any(|address| address.cidr.address == *ip);
        first.addresses.extend(old.addresses.into_iter().filter(|ip| !last.addresses.contains(ip) && is_there(ip)));
        (first, last)
    }

    /// Whether the link has the name already and the agent did not set it.
    fn has_from_elsewhere(&self, name: &String) -> bool {
        let is_there = &self.link.name == name || self.link.alt_names.contains(name);
        is_there && self.entry.is_none_or(|entry| !entry.alt_names.contains(name))
    }

    /// Whether the link has the address already and the agent did not set it.
    fn has_address_from_elsewhere(&self, ip: &IpAddr) -> bool {
        let mut there = self.addresses_of_link().filter(|address| address.cidr.address == *ip);
        there.any(|address| !is_ours(self.node, address, self.entry, self.own))
    }

    /// With router advertisements the kernel would add a second default route to the table main.
    fn accept_ra(&self) -> Vec<Step> {
        match self.link.accept_ra {
            Some(value) if value != 0 => vec![Step::SetAcceptRa { name: self.link.name.clone(), value: 0 }],
            _ => Vec::new(),
        }
    }

    fn mtu(&self) -> Vec<Step> {
        // An MTU that is no longer asked for goes back, unless somebody else has changed it.
        let former = self.entry.filter(|entry| entry.mtu == Some(self.link.mtu)).map(|entry| entry.mtu_before);
        let mtu = self.wanted.mtu.or(former).unwrap_or(self.link.mtu);
        if mtu == self.link.mtu { Vec::new() } else { kernel(Change::SetMtu { link: self.link.index, mtu }) }
    }

    fn up(&self) -> Vec<Step> {
        if self.link.is_up { Vec::new() } else { kernel(Change::SetUp { link: self.link.index, up: true }) }
    }

    fn names(&self) -> Vec<Step> {
        let (link, wanted) = (self.link.index, self.wanted.interface_name.as_ref());
        let ours = self.entry.iter().flat_map(|entry| &entry.alt_names);
        let old = ours.filter(|old| wanted != Some(old) && self.link.alt_names.contains(old));
        let new = wanted.filter(|name| !self.link.alt_names.contains(name) && &self.link.name != *name);
        let remove = old.map(|name| Step::Kernel(Change::RemoveAltName { link, name: name.clone() }));
        let add = new.map(|name| Step::Kernel(Change::AddAltName { link, name: name.clone() }));
        remove.chain(add).collect()
    }

    fn addresses(&self) -> Vec<Step> {
        let link = self.link.index;
        let surplus = self.addresses_of_link().filter(|address| {
            is_ours(self.node, address, self.entry, self.own) && !self.desired.addresses.contains(&address.cidr.address)
        });
        let remove = surplus.map(|address| Step::Kernel(Change::RemoveAddress { link, cidr: address.cidr }));
        let missing =
            self.desired.addresses.iter().filter(|ip| !self.addresses_of_link().any(|a| a.cidr.address == **ip));
        let add = missing
            .map(|ip| Step::Kernel(Change::AddAddress { link, cidr: Cidr::host(*ip), protocol: self.own.current() }));
        // With the last IPv4 address of a link the kernel removes all IPv4 routes on it, also those of others.
        add.chain(remove).collect()
    }

    fn addresses_of_link(&self) -> impl Iterator<Item = &Address> {
        self.node.addresses.iter().filter(|address| address.link == self.link.index)
    }
}

/// Whether the agent set the address: the kernel says so, or the ledger on kernels that do not keep the protocol (before 5.18). On
/// such a kernel no address has one; on others an address without a protocol is somebody else's. The agent sets host prefixes alone.
pub(super) fn is_ours(node: &Node, address: &Address, entry: Option<&LedgerEntry>, own: OwnProtocols<'_>) -> bool {
    let is_in_ledger = || {
        let ip = address.cidr.address;
        address.cidr == Cidr::host(ip) && entry.is_some_and(|entry| entry.addresses.contains(&ip))
    };
    let has_kernel_protocols = || node.addresses.iter().any(|address| address.protocol != 0);
    own.contains(address.protocol) || address.protocol == 0 && is_in_ledger() && !has_kernel_protocols()
}

fn kernel(change: Change) -> Vec<Step> {
    vec![Step::Kernel(change)]
}

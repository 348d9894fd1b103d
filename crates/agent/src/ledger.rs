//! The ledger: which links the agent has changed since the boot, and how they were before. Routes, rules and addresses carry the
//! agent's protocol number; the MTU, the alternative name, the sysctl and "up" carry no sign, so the ledger has them. This file
//! has the data alone; [`ledger_file`](crate::ledger_file) stores it.

use crate::node::Mac;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// The permanent MAC address.
    pub mac: Mac,
    /// UID of the ENIAttachment that had the MAC address last. It still names the link if the ENIAttachment loses its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The device below, such as the PCI address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_device: Option<String>,
    /// Whether the link was up before.
    pub was_up: bool,
    /// The MTU before.
    pub mtu_before: u32,
    /// The sysctl `accept_ra` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_ra_before: Option<i32>,
    /// The MTU that the agent sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The alternative names that the agent sets: one, or two while the name changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
    /// The addresses that the agent sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

/// All links that the agent has changed since the boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The kernel's ID of the boot. After a reboot nothing of an older ledger is on the node.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// The links, by MAC address.
    #[serde(default)]
    pub links: Vec<LedgerEntry>,
    /// The protocol numbers with which the agent has set routes, rules and addresses: several after a change of `--route-protocol`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub protocols: BTreeSet<u8>,
}

impl Ledger {
    /// An empty ledger of a boot.
    pub fn of_boot(boot_id: &str) -> Self {
        Self { boot_id: boot_id.to_owned(), ..Self::default() }
    }

    /// The entry of a link.
    pub fn entry(&self, mac: Mac) -> Option<&LedgerEntry> {
        self.links.iter().find(|entry| entry.mac == mac)
    }

    /// The MAC address that the ENIAttachment had last.
    pub fn mac_of(&self, uid: &str) -> Option<Mac> {
        self.links.iter().find(|entry| entry.uid.as_deref() == Some(uid)).map(|entry| entry.mac)
    }

    /// Adds or replaces an entry.
    pub fn remember(&mut self, entry: LedgerEntry) {
        self.links.retain(|old| old.mac != entry.mac);
        self.links.push(entry);
        self.links.sort_by_key(|entry| entry.mac);
    }

    /// Adds a protocol number with which the agent sets things.
    pub fn remember_protocol(&mut self, protocol: u8) {
        self.protocols.insert(protocol);
    }

    /// Removes an entry. After the last one nothing of the agent is left on the node, with any protocol number.
    pub fn forget(&mut self, mac: Mac) {
        self.links.retain(|entry| entry.mac != mac);
        if self.links.is_empty() {
            self.protocols.clear();
        }
    }
}

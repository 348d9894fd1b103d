//! The addresses of a subnet: which are free, and which a new interface gets.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::model::Eni;

/// Addresses in a /28 prefix.
const BLOCK: u32 = 16;

/// The IPv4 block of a subnet and the addresses in use. EC2 reserves the first four addresses and the last.
#[derive(Clone, Debug)]
pub(super) struct AddressPool {
    base: u32,
    size: u32,
    taken: BTreeSet<u32>,
    blocks: BTreeSet<u32>,
    cursor: u32,
    ipv6: Option<(u128, u64)>,
}

impl AddressPool {
    /// A pool for `a.b.c.d/n`, with n from 16 to 28, as EC2 allows.
    pub fn parse(cidr: &str) -> Option<Self> {
        let (base, prefix) = cidr.split_once('/')?;
        let prefix: u32 = prefix.parse().ok().filter(|prefix| (16..=28).contains(prefix))?;
        let size = 1u32 << (32 - prefix);
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?) & !(size - 1);
        Some(Self { base, size, taken: BTreeSet::new(), blocks: BTreeSet::new(), cursor: 4, ipv6: None })
    }

    /// A pool without IPv4 addresses, of an IPv6-only subnet.
    pub fn without_ipv4() -> Self {
        Self { base: 0, size: 0, taken: BTreeSet::new(), blocks: BTreeSet::new(), cursor: 0, ipv6: None }
    }

    /// Adds an IPv6 /64 block. Returns `None` if `cidr` is not one.
    pub fn set_ipv6(&mut self, cidr: &str) -> Option<()> {
        let (base, _) = cidr.split_once('/')?;
        self.ipv6 = Some((u128::from(base.parse::<Ipv6Addr>().ok()?) >> 64 << 64, 0x10));
        Some(())
    }

    /// The number of free IPv4 addresses.
    pub fn available(&self) -> u64 {
        let blocked = self.blocks.len() * BLOCK as usize;
        u64::from(self.size).saturating_sub(5 + (self.taken.len() + blocked) as u64)
    }

    /// Whether an address is in the subnet's IPv4 block.
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        u32::from(ip).checked_sub(self.base).is_some_and(|offset| offset < self.size)
    }

    /// Whether an interface may get this address: it is in the block, and neither reserved nor in use.
    pub fn is_free(&self, ip: Ipv4Addr) -> bool {
        self.contains(ip) && self.offset_is_free(u32::from(ip) - self.base)
    }

    /// The next free address that is not in `besides`. The search starts after the last result, so that a freed address is not
    /// reused at once.
    pub fn next_free(&mut self, besides: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        for step in 0..self.size {
            let offset = (self.cursor + step) % self.size;
            let ip = Ipv4Addr::from(self.base + offset);
            if self.offset_is_free(offset) && !besides.contains(&ip) {
                self.cursor = (offset + 1) % self.size;
                return Some(ip);
            }
        }
        None
    }

    /// A free, aligned /28 prefix without addresses in `besides`.
    pub fn next_block(&self, besides: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        (0..self.size).step_by(BLOCK as usize).map(|offset| (offset, Ipv4Addr::from(self.base + offset))).find_map(
            |(offset, ip)| {
                let free = (offset..offset + BLOCK).all(|offset| {
                    self.offset_is_free(offset) && !besides.contains(&Ipv4Addr::from(self.base + offset))
                });
                (free && !besides.contains(&ip)).then_some(ip)
            },
        )
    }

    /// The next IPv6 address, if the subnet has an IPv6 block. IPv6 addresses are never reused.
    pub fn next_ipv6(&mut self) -> Option<Ipv6Addr> {
        let (base, counter) = self.ipv6.as_mut()?;
        *counter += 1;
        Some(Ipv6Addr::from(*base | u128::from(*counter)))
    }

    /// The next IPv6 /80 prefix, if the subnet has an IPv6 block. The prefixes are in the upper half of the block, where no single
    /// addresses are.
    pub fn next_ipv6_prefix(&mut self) -> Option<Ipv6Addr> {
        let (base, counter) = self.ipv6.as_mut()?;
        *counter += 1;
        Some(Ipv6Addr::from(*base | (0x8000 | u128::from(*counter)) << 48))
    }

    /// Marks an interface's addresses and prefixes as in use.
    pub fn take(&mut self, eni: &Eni) {
        self.taken.extend(eni.private_ips.iter().map(|ip| u32::from(*ip).wrapping_sub(self.base)));
        self.blocks.extend(eni.ipv4_prefixes.iter().map(|ip| u32::from(*ip).wrapping_sub(self.base)));
    }

    /// Frees an interface's addresses and prefixes.
    pub fn release(&mut self, eni: &Eni) {
        for ip in &eni.private_ips {
            self.taken.remove(&u32::from(*ip).wrapping_sub(self.base));
        }
        for ip in &eni.ipv4_prefixes {
            self.blocks.remove(&u32::from(*ip).wrapping_sub(self.base));
        }
    }

    fn offset_is_free(&self, offset: u32) -> bool {
        (4..self.size.saturating_sub(1)).contains(&offset)
            && !self.taken.contains(&offset)
            && !self.blocks.contains(&(offset / BLOCK * BLOCK))
    }
}

//! Addresses of a subnet: real ones, from its CIDR.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::model::Eni;

const BLOCK: u32 = 16;

/// The IPv4 block of a subnet and what is taken of it. EC2 keeps the first four addresses and the last.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    base: u32,
    size: u32,
    taken: BTreeSet<u32>,
    blocks: BTreeSet<u32>,
    cursor: u32,
    ipv6: Option<(u128, u64)>,
}

impl Pool {
    /// From `a.b.c.d/n` with n from 16 to 28, as EC2 allows.
    pub fn parse(cidr: &str) -> Option<Self> {
        let (base, prefix) = cidr.split_once('/')?;
        let prefix: u32 = prefix.parse().ok().filter(|prefix| (16..=28).contains(prefix))?;
        let size = 1u32 << (32 - prefix);
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?) & !(size - 1);
        Some(Self { base, size, taken: BTreeSet::new(), blocks: BTreeSet::new(), cursor: 4, ipv6: None })
    }

    pub fn set_ipv6(&mut self, cidr: &str) -> Option<()> {
        let (base, _) = cidr.split_once('/')?;
        self.ipv6 = Some((u128::from(base.parse::<Ipv6Addr>().ok()?) >> 64 << 64, 0x10));
        Some(())
    }

    pub fn available(&self) -> u64 {
        let blocked = self.blocks.len() * BLOCK as usize;
        u64::from(self.size).saturating_sub(5 + (self.taken.len() + blocked) as u64)
    }

    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        u32::from(ip).checked_sub(self.base).is_some_and(|offset| offset < self.size)
    }

    /// Whether an address may be handed out: inside, not reserved, not taken.
    pub fn is_free(&self, ip: Ipv4Addr) -> bool {
        self.contains(ip) && self.offset_is_free(u32::from(ip) - self.base)
    }

    /// A free address, starting after the one handed out last, so that a freed one is not reused at once.
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

    /// A free, aligned /28.
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

    pub fn next_ipv6(&mut self) -> Option<Ipv6Addr> {
        let (base, counter) = self.ipv6.as_mut()?;
        *counter += 1;
        Some(Ipv6Addr::from(*base | u128::from(*counter)))
    }

    /// Books what an interface holds.
    pub fn take(&mut self, eni: &Eni) {
        self.taken.extend(eni.private_ips.iter().map(|ip| u32::from(*ip).wrapping_sub(self.base)));
        self.blocks.extend(eni.ipv4_prefixes.iter().map(|ip| u32::from(*ip).wrapping_sub(self.base)));
    }

    /// Frees what an interface held.
    pub fn release(&mut self, eni: &Eni) {
        for ip in &eni.private_ips {
            self.taken.remove(&u32::from(*ip).wrapping_sub(self.base));
        }
        for ip in &eni.ipv4_prefixes {
            self.blocks.remove(&u32::from(*ip).wrapping_sub(self.base));
        }
    }

    fn offset_is_free(&self, offset: u32) -> bool {
        (4..self.size - 1).contains(&offset)
            && !self.taken.contains(&offset)
            && !self.blocks.contains(&(offset / BLOCK * BLOCK))
    }
}

//! The ENIs on one instance, by the last lookup. Nothing is decided here.

use super::eni::ObservedEni;
use super::location::NodeOutpost;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

/// All ENIs on one instance, whoever owns them, by the last lookup that showed the primary interface (network card 0, device
/// index 0). A lookup without the primary interface does not count: EC2 shows it late, EC2 hides something, or the instance is
/// gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceInterfaces {
    /// Start of the Describe.
    pub as_of: Timestamp,
    /// The VPC of its primary interface; None if no lookup has shown that interface.
    pub vpc: Option<CompactString>,
    /// The Availability Zone of its primary interface; None if no lookup has shown that interface.
    pub zone: Option<CompactString>,
    /// The ARN of the Outpost of its primary interface; None if EC2 shows none.
    pub outpost: Option<Box<str>>,
    /// The AWS service that manages its primary interface and so the instance, by EC2's `Operator`.
    pub operator: Option<CompactString>,
    /// The addresses of its primary interface beside its own one.
    pub primary_addresses: PrimaryAddresses,
    /// Its ENIs.
    pub enis: Vec<ObservedEni>,
    /// The lookups since then, if they did not show the primary interface.
    pub without_primary: Option<Unshown>,
}

impl InstanceInterfaces {
    /// Its Outpost, by the primary interface.
    pub fn node_outpost(&self) -> NodeOutpost<'_> {
        match self.vpc {
            Some(_) => NodeOutpost::Shown(self.outpost.as_deref()),
            None => NodeOutpost::NotShown,
        }
    }
}

/// The addresses of a primary interface beside its own one. A CNI that gives pods addresses of the VPC takes them there first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PrimaryAddresses {
    /// None, or single IPv6 addresses.
    #[default]
    Own,
    /// Further IPv4 addresses, or IPv4 prefixes.
    Ipv4,
    /// IPv6 prefixes, and nothing of IPv4.
    Ipv6Prefix,
}

impl PrimaryAddresses {
    /// The addresses of this primary interface.
    pub fn of(primary: &ObservedEni) -> Self {
        match (primary.private_ips.len() > 1 || !primary.ipv4_prefixes.is_empty(), primary.ipv6.prefixes.is_empty()) {
            (true, _) => Self::Ipv4,
            (false, false) => Self::Ipv6Prefix,
            (false, true) => Self::Own,
        }
    }
}

/// Successive lookups that did not show the primary interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshown {
    /// Start of the first lookup.
    pub since: Timestamp,
    /// Start of the latest lookup.
    pub as_of: Timestamp,
}

impl Unshown {
    /// When the instance may be looked up again. The wait grows with the time for which EC2 does not show the primary interface,
    /// from one second (EC2 shows the interfaces of a new instance late) to five minutes.
    pub fn again_at(&self) -> Timestamp {
        let wait = self.as_of.duration_since(self.since);
        let wait = wait.clamp(SignedDuration::from_secs(1), SignedDuration::from_mins(5));
        self.as_of.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::tests::eni;
    use crate::observed::ObservedIpv6;

    #[test]
    fn a_primary_interface_has_addresses_beside_its_own_one_or_not() {
        let of = |ips: &[&str], prefixes: &[&str], ipv6: (&[&str], &[&str])| {
            let texts = |texts: &[&str]| texts.iter().copied().map(CompactString::from).collect::<Vec<_>>();
            let ipv6 = ObservedIpv6 { addresses: texts(ipv6.0), prefixes: texts(ipv6.1) };
            let (private_ips, ipv4_prefixes) = (texts(ips), texts(prefixes));
            PrimaryAddresses::of(&ObservedEni { private_ips, ipv4_prefixes, ipv6, ..eni(1) })
        };
        assert_eq!(of(&["10.0.0.4"], &[], (&["2001:db8::4"], &[])), PrimaryAddresses::Own);
        assert_eq!(of(&["10.0.0.4", "10.0.0.5"], &[], (&[], &[])), PrimaryAddresses::Ipv4);
        assert_eq!(of(&["10.0.0.4"], &["10.0.0.16/28"], (&[], &["2001:db8::/80"])), PrimaryAddresses::Ipv4);
        assert_eq!(of(&["10.0.0.4"], &[], (&["2001:db8::4"], &["2001:db8:1::/80"])), PrimaryAddresses::Ipv6Prefix);
    }
}

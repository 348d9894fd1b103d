//! IPv4 networks as EC2 and an ENIAttachment write them.

use super::left_out::Reason;
use std::fmt;
use std::net::Ipv4Addr;

/// A network, such as `10.0.2.0/24`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    first: u32,
    last: u32,
    length: u32,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 32 { self.first().fmt(f) } else { write!(f, "{}/{}", self.first(), self.length) }
    }
}

impl Network {
    /// Parses a network.
    ///
    /// # Errors
    /// If the text is none.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let parts = text.split_once('/').and_then(|(address, length)| {
            let address: Ipv4Addr = address.parse().ok()?;
            let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
            Some((u32::from(address), length))
        });
        let (address, length) = parts.ok_or_else(|| Reason::NotAnAddress(text.to_owned()))?;
        let host = u32::MAX.checked_shr(length).unwrap_or_default();
        Ok(Self { first: address & !host, last: address | host, length })
    }

    /// Parses one address.
    ///
    /// # Errors
    /// If the text is none.
    pub fn parse_address(text: &str) -> Result<Self, Reason> {
        let address: Ipv4Addr = text.parse().map_err(|_| Reason::NotAnAddress(text.to_owned()))?;
        Ok(Self { first: address.into(), last: address.into(), length: 32 })
    }

    /// Its first address.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first)
    }

    /// Its last address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from(self.last)
    }

    /// The gateway that EC2 has in a subnet: the address after the first one.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_parsed_with_their_bounds_and_the_gateway() {
        let of = |text: &str| {
            Network::parse(text).map(|n| [n.first(), n.last(), n.gateway()].map(|address| address.to_string()))
        };
        assert_eq!(of("10.0.2.64/28").unwrap(), ["10.0.2.64", "10.0.2.79", "10.0.2.65"]);
        assert_eq!(of("0.0.0.0/0").unwrap(), ["0.0.0.0", "255.255.255.255", "0.0.0.1"]);
        assert_eq!(of("255.255.255.255/32").unwrap(), ["255.255.255.255", "255.255.255.255", "255.255.255.255"]);
        let shown = |network: Result<Network, Reason>| network.unwrap().to_string();
        assert_eq!(shown(Network::parse("10.0.2.70/28")), "10.0.2.64/28");
        assert_eq!(shown(Network::parse_address("10.0.2.70")), "10.0.2.70");
        for bad in ["", "10.0.2.0", "10.0.2.0/33", "10.0.2/24", "2001:db8::/80", "10.0.2.0/x"] {
            assert_eq!(of(bad), Err(Reason::NotAnAddress(bad.to_owned())));
        }
    }
}

//! The addresses, routes and rules of one ENI in the mode `addresses`.

use crate::node::{Cidr, Route, Rule, TABLE_MAIN};
use crate::plan::report::Obstacle;
use crate::plan::shape::RULE_PRIORITY;
use crate::wanted::WantedEni;
use multi_eni_api::node_config::RouteTable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The gateway of IPv6 on every ENI.
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0x0ec2, 0, 0, 0, 0, 0, 1));
/// The metric that the kernel gives to an IPv6 route.
const METRIC_V6: u32 = 1024;

/// What one ENI needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Desired {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The routes.
    pub routes: Vec<Route>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Computes what the ENI needs on the link with this index.
///
/// # Errors
/// The obstacle: addresses or subnet are not known.
pub(super) fn desired(wanted: &WantedEni, link: u32, protocol: u8) -> Result<Desired, Obstacle> {
    if wanted.addresses.is_empty() {
        return Err(Obstacle::NoAddresses);
    }
    let primary = |is_ipv6: bool| wanted.addresses.iter().copied().find(|address| address.is_ipv6() == is_ipv6);
    let (v4, v6) = (primary(false), primary(true));
    let mut desired = Desired { addresses: wanted.addresses.clone(), ..Desired::default() };
    let table = wanted.table();
    let route = |destination: Cidr, gateway: Option<IpAddr>| Route {
        table,
        destination,
        gateway,
        link,
        source: None,
        protocol,
        metric: if destination.address.is_ipv6() { METRIC_V6 } else { 0 },
    };
    let gateway_v4 = match v4 {
        Some(address) => Some(gateway_v4(wanted.subnet, address).ok_or(Obstacle::SubnetUnknown)?),
        None => None,
    };
    if gateway_v4.is_some() {
        desired.routes.push(route(Cidr::everything(false), gateway_v4));
    }
    if v6.is_some() {
        desired.routes.push(route(Cidr::everything(true), Some(GATEWAY_V6)));
    }
    for extra in &wanted.routes {
        let is_ipv6 = extra.to.address.is_ipv6();
        let (source, gateway) = if is_ipv6 { (v6, Some(GATEWAY_V6)) } else { (v4, gateway_v4) };
        let Some(source) = source else {
            let family = if is_ipv6 { "IPv6" } else { "IPv4" };
            return Err(Obstacle::Unusable(format!(
                "nodeConfig.routes: the ENI has no {family} address for {}",
                extra.to
            )));
        };
        match extra.table {
            RouteTable::Own => desired.routes.push(route(extra.to, gateway)),
            // Without the source, the node would send by the ENI with an address of another ENI, and EC2 would drop it. The metric
            // is the number of the ENI's table: routes of others come first, and several ENIs of a node may want the same route.
            RouteTable::Main => desired.routes.push(Route {
                table: TABLE_MAIN,
                source: Some(source),
                metric: table,
                ..route(extra.to, gateway)
            }),
        }
    }
    let sources = wanted.addresses.iter().copied().map(Cidr::host).chain(wanted.prefixes.iter().copied());
    desired.rules = sources
        .map(|source| Rule {
            source: Some(source),
            is_ipv6: source.address.is_ipv6(),
            table,
            priority: RULE_PRIORITY,
            protocol,
            is_plain: true,
        })
        .collect();
    Ok(desired)
}

/// The gateway of a subnet: its first address. The address must be in the subnet.
fn gateway_v4(subnet: Option<Cidr>, address: IpAddr) -> Option<IpAddr> {
    let (Some(Cidr { address: IpAddr::V4(network), prefix_len }), IpAddr::V4(address)) = (subnet, address) else {
        return None;
    };
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(u32::from(prefix_len))?).unwrap_or(0);
    let base = network.to_bits() & mask;
    let is_inside = address.to_bits() & mask == base;
    is_inside.then(|| Ipv4Addr::from_bits(base.saturating_add(1)).into())
}

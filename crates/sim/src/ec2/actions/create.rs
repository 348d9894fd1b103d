//! CreateNetworkInterface: parameters, client token, quota, groups and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::SignedDuration;

use super::connection_tracking;
use super::describe_enis::EniElements;
use super::groups::{GroupUser, check_groups};
use super::tags::{check_tags, read_tags};
use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::ids::Kind;
use crate::ec2::model::{ConnectionTracking, Creator, Eni, Shape, Subnet};
use crate::ec2::params::Params;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] = &[
    "ClientToken",
    connection_tracking::PARAMETER,
    "Description",
    "EnablePrimaryIpv6",
    "InterfaceType",
    "Ipv4Prefix",
    "Ipv4PrefixCount",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "Ipv6Prefix",
    "Ipv6PrefixCount",
    "Operator",
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
    "SecurityGroupId",
    "SubnetId",
    "TagSpecification",
];

/// EC2's limits for the description and the token, and the interface types that the simulator creates.
const LONGEST_DESCRIPTION: usize = 255;
const LONGEST_TOKEN: usize = 64;
const INTERFACE_TYPES: [&str; 4] = ["interface", "efa", "efa-only", "trunk"];

pub(in crate::ec2) fn create(state: &mut State, call: &Call, by: Creator) -> Result<Response, ApiError> {
    let params = &call.params;
    let request = read(params)?;
    if state.settings.quota_before_token {
        check_quota(state)?;
    }
    let token = params.get("ClientToken").filter(|token| !token.is_empty());
    if let Some(token) = token {
        let memory = SignedDuration::try_from(state.settings.token_memory).unwrap_or(SignedDuration::MAX);
        let now = state.now;
        if let Some(original) = state.client_tokens.answered(token, &params.identity(), memory, now)? {
            let answered = state.eni(&original.id).cloned().unwrap_or(original);
            return Ok(answer(state, &answered, token));
        }
    }
    check_quota(state)?;
    let groups = resolve_groups(state, &request)?;
    let eni = allocate(state, request, groups, by, token)?;
    if let Some(token) = token {
        state.client_tokens.remember(token, params.identity(), eni.clone(), state.now);
    }
    state.put(eni.clone());
    Ok(answer(state, &eni, token.unwrap_or_default()))
}

/// A parsed request.
struct Request {
    subnet: String,
    description: String,
    groups: Vec<String>,
    interface_type: String,
    tags: BTreeMap<String, String>,
    addresses: Vec<Ipv4Addr>,
    secondary_count: u32,
    prefix_count: u32,
    ipv6_count: u32,
    ipv6_prefix_count: u32,
    connection_tracking: ConnectionTracking,
}

/// Parses a request and checks what does not depend on the account.
fn read(params: &Params) -> Result<Request, ApiError> {
    let subnet = params.required("SubnetId")?.to_owned();
    Kind::Subnet.check(&subnet)?;
    let groups = params.list("SecurityGroupId");
    groups.iter().try_for_each(|group| Kind::Group.check(group))?;
    let description = params.get("Description").unwrap_or_default().to_owned();
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(ApiError::value(format!(
            "Invalid value for parameter description. Character sequence must be at most {LONGEST_DESCRIPTION}"
        )));
    }
    if params.get("ClientToken").is_some_and(|token| !token.is_ascii() || token.len() > LONGEST_TOKEN) {
        return Err(ApiError::value(format!("The client token must be at most {LONGEST_TOKEN} ASCII characters")));
    }
    let interface_type = params.get("InterfaceType").unwrap_or("interface").to_owned();
    if !INTERFACE_TYPES.contains(&interface_type.as_str()) {
        return Err(ApiError::value(format!("Invalid value '{interface_type}' for InterfaceType")));
    }
    for refused in ["Ipv4Prefix", "Ipv6Prefix", "Ipv6Addresses"] {
        if params.mentions(refused) {
            return Err(ApiError::new("UnsupportedOperation", format!("{refused} is not simulated")));
        }
    }
    let secondary_count = params.count("SecondaryPrivateIpAddressCount")?.unwrap_or(0);
    let prefix_count = params.count("Ipv4PrefixCount")?.unwrap_or(0);
    let addresses = read_addresses(params)?;
    if prefix_count > 0 && (secondary_count > 0 || params.mentions("PrivateIpAddresses")) {
        return Err(ApiError::combination("You cannot specify both IPv4 prefixes and secondary private IP addresses"));
    }
    if secondary_count > 0 && params.mentions("PrivateIpAddresses") {
        return Err(ApiError::combination("You cannot specify both addresses and a count of secondary addresses"));
    }
    let ipv6_count = params.count("Ipv6AddressCount")?.unwrap_or(0);
    let ipv6_prefix_count = params.count("Ipv6PrefixCount")?.unwrap_or(0);
    if ipv6_count > 0 && ipv6_prefix_count > 0 {
        return Err(ApiError::combination("You cannot specify both IPv6 prefixes and IPv6 addresses"));
    }
    let tags = read_tag_specifications(params)?;
    Ok(Request {
        subnet,
        description,
        groups,
        interface_type,
        tags,
        addresses,
        secondary_count,
        prefix_count,
        ipv6_count,
        ipv6_prefix_count,
        connection_tracking: connection_tracking::read(params)?,
    })
}

/// The IPv4 addresses that the request names, the primary one first.
fn read_addresses(params: &Params) -> Result<Vec<Ipv4Addr>, ApiError> {
    let parse = |text: &str| {
        text.parse::<Ipv4Addr>().map_err(|_| ApiError::value(format!("invalid value for parameter address: {text}")))
    };
    let single = params.get("PrivateIpAddress").map(parse).transpose()?;
    let mut primary = Vec::new();
    let mut secondary = Vec::new();
    for entry in params.structs("PrivateIpAddresses") {
        let ip = parse(entry.required("PrivateIpAddress")?)?;
        if entry.flag("Primary")? == Some(true) { primary.push(ip) } else { secondary.push(ip) }
    }
    if primary.len() > 1 || (single.is_some() && !primary.is_empty()) {
        return Err(ApiError::combination("Only one primary private IP address may be given"));
    }
    let mut all: Vec<Ipv4Addr> = single.into_iter().chain(primary).collect();
    if all.is_empty() && !secondary.is_empty() {
        return Err(ApiError::combination("One of the private IP addresses must be the primary one"));
    }
    all.extend(secondary);
    if all.iter().collect::<BTreeSet<_>>().len() != all.len() {
        return Err(ApiError::value("An address is given twice"));
    }
    Ok(all)
}

fn read_tag_specifications(params: &Params) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for specification in params.structs("TagSpecification") {
        let kind = specification.required("ResourceType")?;
        if kind != "network-interface" {
            return Err(ApiError::value(format!("'{kind}' is not a valid taggable resource type for this operation.")));
        }
        for (key, value) in read_tags(&specification)? {
            if tags.insert(key.clone(), value.unwrap_or_default()).is_some() {
                return Err(ApiError::value(format!("Duplicate tag key '{key}' specified.")));
            }
        }
    }
    check_tags(&tags)?;
    Ok(tags)
}

fn check_quota(state: &State) -> Result<(), ApiError> {
    match state.settings.eni_quota {
        Some(quota) if state.eni_count() >= usize::try_from(quota).unwrap_or(usize::MAX) => Err(ApiError::new(
            "NetworkInterfaceLimitExceeded",
            format!("You have reached the limit of {quota} network interfaces"),
        )),
        _ => Ok(()),
    }
}

/// The requested groups, or the VPC's default group.
fn resolve_groups(state: &State, request: &Request) -> Result<Vec<String>, ApiError> {
    let entry = state.subnets.get(&request.subnet).ok_or_else(|| ApiError::no_subnet(&request.subnet))?;
    let vpc = &entry.subnet.vpc_id;
    if request.groups.is_empty() {
        return Ok(state.vpcs.get(vpc).cloned().into_iter().collect());
    }
    check_groups(state, &request.groups, vpc, GroupUser::Create(&request.subnet))?;
    Ok(request.groups.clone())
}

/// Makes the interface, with free addresses of its subnet. The caller stores it.
fn allocate(
    state: &mut State,
    request: Request,
    groups: Vec<String>,
    by: Creator,
    token: Option<&str>,
) -> Result<Eni, ApiError> {
    let Request { subnet, description, interface_type, tags, addresses, .. } = request;
    let entry = state.subnets.get_mut(&subnet).ok_or_else(|| ApiError::no_subnet(&subnet))?;
    let full = || {
        ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            "The specified subnet does not have enough free addresses to satisfy the request.",
        )
    };
    let mut taking = BTreeSet::new();
    for ip in &addresses {
        if !entry.pool.contains(*ip) {
            return Err(ApiError::value(format!("Address {ip} does not fall within the subnet's address range")));
        }
        if !entry.pool.is_free(*ip) {
            return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {ip} is in use.")));
        }
        taking.insert(*ip);
    }
    // An interface in an IPv6-only subnet has no IPv4 address, and an IPv6 address even if the request names no number.
    let is_ipv6_only = entry.subnet.cidr.is_empty();
    if is_ipv6_only && (request.secondary_count > 0 || request.prefix_count > 0) {
        return Err(ApiError::combination(format!("The subnet '{subnet}' has no IPv4 CIDR block")));
    }
    let mut private_ips = addresses;
    let count = private_ips.len().max(usize::from(!is_ipv6_only))
        + usize::try_from(request.secondary_count).unwrap_or(usize::MAX);
    while private_ips.len() < count {
        let ip = entry.pool.next_free(&taking).ok_or_else(full)?;
        taking.insert(ip);
        private_ips.push(ip);
    }
    let mut ipv4_prefixes = Vec::new();
    let taken = u64::try_from(taking.len()).unwrap_or(u64::MAX);
    let left = entry.pool.available().saturating_sub(taken);
    if u64::from(request.prefix_count).saturating_mul(16) > left {
        return Err(ApiError::value("There aren't sufficient free Ipv4 addresses or prefixes"));
    }
    for _ in 0..request.prefix_count {
        let block = entry.pool.next_block(&taking).ok_or_else(|| {
            ApiError::new("InsufficientCidrBlocks", "There are not enough free cidr blocks in the specified subnet")
        })?;
        taking.extend((0..16).map(|offset| Ipv4Addr::from(u32::from(block) + offset)));
        ipv4_prefixes.push(block);
    }
    let mut ipv6_addresses = Vec::new();
    let no_ipv6 = || ApiError::value(format!("The subnet '{subnet}' does not have an associated IPv6 CIDR block"));
    let given = u32::from(is_ipv6_only && request.ipv6_prefix_count == 0);
    for _ in 0..request.ipv6_count.max(given) {
        ipv6_addresses.push(entry.pool.next_ipv6().ok_or_else(no_ipv6)?);
    }
    let mut ipv6_prefixes = Vec::new();
    for _ in 0..request.ipv6_prefix_count {
        ipv6_prefixes.push(entry.pool.next_ipv6_prefix().ok_or_else(no_ipv6)?);
    }
    let Subnet { vpc_id, zone, outpost, .. } = &entry.subnet;
    let (vpc_id, zone, outpost) = (vpc_id.clone(), zone.clone(), outpost.clone());
    Ok(Eni {
        id: state.ids.next("eni"),
        subnet_id: subnet,
        vpc_id,
        zone,
        outpost,
        description,
        groups,
        tags,
        interface_type,
        mac_address: state.ids.mac(),
        private_ips,
        ipv4_prefixes,
        ipv6_addresses,
        ipv6_prefixes,
        source_dest_check: true,
        connection_tracking: request.connection_tracking,
        requester_managed: false,
        managed: false,
        other_owner: None,
        shape: Shape::default(),
        created: state.now,
        created_by: by,
        client_token: token.map(str::to_owned),
        attachment: None,
    })
}

/// The answer to a Create. EC2 answers `pending`, although the interface can be attached at once.
fn answer(state: &State, eni: &Eni, token: &str) -> Response {
    let status = if eni.attachment.is_some() { "in-use" } else { "pending" };
    let body = vec![
        EniElements::as_stored(&state.groups).element("networkInterface", eni, status),
        Element::leaf("clientToken", token),
    ];
    Response { body, eni_id: Some(eni.id.clone()), items: None }
}

//! Checks that a NodeENI asks for no more than an ENIAttachment and an ENI can hold. A stored NodeENI may ask for more: it may be
//! older than the schema, and some bounds show only when names are resolved. The API server would refuse such an ENIAttachment
//! for every node, so the error is reported before one is created.

use multi_eni_api::names::TAG_NO_MANAGE;
use multi_eni_api::{EniRequest, NodeEniSpec};
use std::ops::RangeInclusive;

/// The most security groups of an ENIAttachment, and of an ENI on EC2; EC2's default quota is 5.
const GROUPS: usize = 16;
/// The prefix of this controller's own tags.
const OUR_TAGS: &str = "multi-eni.networking.k8s.aws/";
/// The valid device indexes of card 0; index 0 is the primary interface. Other cards have an index 0, too.
const INDEXES: RangeInclusive<i32> = 1..=63;
/// The most bytes of nodeConfig, as JSON. nodeConfig is copied into each ENIAttachment. etcd limits an object to 1.5 MiB, which
/// includes the managed fields.
const NODE_CONFIG: usize = 512 * 1024;

/// Checks the bounds that depend on the spec alone.
pub fn of_spec(spec: &NodeEniSpec) -> Result<(), String> {
    let range = |field: &str, value: Option<i32>, range: RangeInclusive<i32>| match value {
        Some(value) if !range.contains(&value) => {
            Err(format!("{field} {value} is out of bounds: it must be from {} to {}", range.start(), range.end()))
        }
        _ => Ok(()),
    };
    range("networkCardIndex", spec.network_card_index, 0..=31)?;
    range("ipv4PrefixCount", spec.ipv4_prefix_count, 0..=49)?;
    range("ipv6AddressCount", spec.ipv6_address_count, 0..=50)?;
    range("ipv6PrefixCount", spec.ipv6_prefix_count, 0..=50)?;
    range("privateIPCount", spec.private_ip_count, 0..=50)?;
    if spec.ipv4_prefix_count.is_some_and(|n| n > 0) && spec.private_ip_count.is_some_and(|n| n > 1) {
        return Err("ipv4PrefixCount and privateIPCount exclude each other on EC2: set one of them".to_owned());
    }
    if spec.ipv6_prefix_count.is_some_and(|n| n > 0) && spec.ipv6_address_count.is_some_and(|n| n > 0) {
        return Err("ipv6PrefixCount and ipv6AddressCount exclude each other on EC2: set one of them".to_owned());
    }
    let timeouts = spec.connection_tracking.unwrap_or_default();
    range("connectionTracking.tcpEstablishedTimeoutSeconds", timeouts.tcp_established_timeout_seconds, 60..=432_000)?;
    range("connectionTracking.udpStreamTimeoutSeconds", timeouts.udp_stream_timeout_seconds, 60..=180)?;
    range("connectionTracking.udpTimeoutSeconds", timeouts.udp_timeout_seconds, 30..=60)?;
    for (field, text, most) in [
        ("description", &spec.description, 255),
        ("dpdkDriver", &spec.dpdk_driver, 64),
        ("dpdkResourceName", &spec.dpdk_resource_name, 253),
        ("dpdkPCIAddress", &spec.dpdk_pci_address, 32),
    ] {
        let length = text.as_deref().map_or(0, |text| text.chars().count());
        if length > most {
            return Err(format!("{field} has {length} characters; the maximum is {most}"));
        }
    }
    let config = spec.node_config.iter().flatten();
    let bytes: usize = config.map(|(key, value)| key.len() + value.to_string().len() + 4).sum();
    if bytes > NODE_CONFIG {
        return Err(format!(
            "nodeConfig has {bytes} bytes as JSON; the maximum is {NODE_CONFIG}, because it is copied for each node"
        ));
    }
    tags(spec)
}

fn tags(spec: &NodeEniSpec) -> Result<(), String> {
    let Some(tags) = &spec.tags else { return Ok(()) };
    if tags.len() > 40 {
        return Err(format!("tags has {} keys; the maximum is 40", tags.len()));
    }
    for (key, value) in tags {
        let (long, wide) = (key.chars().count(), value.chars().count());
        if key.is_empty() || long > 128 {
            return Err(format!("tags: the key {key:?} has {long} characters; 1 to 128 are allowed"));
        }
        if wide > 256 {
            return Err(format!("tags: the value of {key:?} has {wide} characters; the maximum is 256"));
        }
        let reserved =
            key.to_ascii_lowercase().starts_with("aws:") || key.starts_with(OUR_TAGS) || key == TAG_NO_MANAGE;
        if reserved {
            return Err(format!("tags: the key {key:?} is reserved: use another one"));
        }
    }
    Ok(())
}

/// Checks the bounds of a request whose names are resolved and whose slot is known.
pub fn of_request(request: &EniRequest) -> Result<(), String> {
    let groups = request.security_group_ids.len();
    if groups > GROUPS {
        return Err(format!(
            "securityGroupIDs and securityGroupNames are {groups} groups together; the maximum of an interface is {GROUPS} \
             (EC2's default quota is 5): name fewer groups"
        ));
    }
    if !is_index(request) {
        return Err(format!(
            "the maximum of deviceIndex is {}, and a subnet of this zone would get {}. Name fewer subnets, or a lower \
             deviceIndex",
            INDEXES.end(),
            request.device_index
        ));
    }
    Ok(())
}

fn is_index(request: &EniRequest) -> bool {
    let is_first_of_another_card = request.network_card_index > 0 && request.device_index == 0;
    INDEXES.contains(&request.device_index) || is_first_of_another_card
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::ConnectionTracking;
    use std::collections::BTreeMap;

    fn says(spec: NodeEniSpec, words: &str) {
        let why = of_spec(&spec).unwrap_err();
        assert!(why.contains(words), "{why}");
    }

    fn tagged(tags: impl IntoIterator<Item = (String, String)>) -> NodeEniSpec {
        NodeEniSpec { tags: Some(tags.into_iter().collect()), ..NodeEniSpec::default() }
    }

    #[test]
    fn a_stored_spec_that_exceeds_the_bounds_is_an_error() {
        let base = NodeEniSpec::default;
        assert_eq!(of_spec(&base()), Ok(()));
        says(NodeEniSpec { network_card_index: Some(32), ..base() }, "networkCardIndex 32");
        says(NodeEniSpec { network_card_index: Some(-1), ..base() }, "networkCardIndex -1");
        says(NodeEniSpec { ipv4_prefix_count: Some(50), ..base() }, "ipv4PrefixCount 50");
        says(NodeEniSpec { ipv6_address_count: Some(i32::MAX), ..base() }, "ipv6AddressCount");
        says(NodeEniSpec { private_ip_count: Some(51), ..base() }, "privateIPCount 51");
        says(NodeEniSpec { private_ip_count: Some(2), ipv4_prefix_count: Some(1), ..base() }, "exclude");
        let short = ConnectionTracking { udp_timeout_seconds: Some(29), ..ConnectionTracking::default() };
        says(NodeEniSpec { connection_tracking: Some(short), ..base() }, "udpTimeoutSeconds 29");
        says(NodeEniSpec { description: Some("ä".repeat(256)), ..base() }, "description has 256");
        assert_eq!(of_spec(&NodeEniSpec { description: Some("ä".repeat(255)), ..base() }), Ok(()));
        says(NodeEniSpec { dpdk_driver: Some("x".repeat(65)), ..base() }, "dpdkDriver");
        says(NodeEniSpec { dpdk_resource_name: Some("x".repeat(254)), ..base() }, "dpdkResourceName");
        says(NodeEniSpec { dpdk_pci_address: Some("x".repeat(33)), ..base() }, "dpdkPCIAddress");
        let large = BTreeMap::from([("a".to_owned(), "x".repeat(NODE_CONFIG).into())]);
        says(NodeEniSpec { node_config: Some(large), ..base() }, "nodeConfig");
    }

    #[test]
    fn tags_that_ec2_or_the_schema_refuses_are_an_error() {
        let pair = |key: &str, value: &str| [(key.to_owned(), value.to_owned())];
        says(tagged((0..41).map(|n| (n.to_string(), String::new()))), "41 keys");
        says(tagged(pair("", "x")), "0 characters");
        says(tagged(pair(&"k".repeat(129), "x")), "129 characters");
        says(tagged(pair("k", &"v".repeat(257))), "257 characters");
        says(tagged(pair("AWS:x", "x")), "reserved");
        says(tagged(pair("multi-eni.networking.k8s.aws/cluster", "x")), "reserved");
        says(tagged(pair("node.k8s.amazonaws.com/no_manage", "x")), "reserved");
        assert_eq!(of_spec(&tagged(pair("k", ""))), Ok(()));
    }

    #[test]
    fn too_many_groups_and_too_high_device_indexes_are_an_error() {
        let with = |groups: usize, index: i32| EniRequest {
            security_group_ids: (0..groups).map(|n| format!("sg-{n:08x}")).collect(),
            device_index: index,
            ..EniRequest::default()
        };
        assert_eq!(of_request(&with(16, 63)), Ok(()));
        assert!(of_request(&with(20, 1)).unwrap_err().contains("are 20 groups together"));
        assert!(of_request(&with(1, 64)).unwrap_err().contains("would get 64"));
    }
}

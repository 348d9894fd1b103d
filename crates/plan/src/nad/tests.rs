//! Tests of the definitions. `outdated.rs` tests what is said of ENIs that are not as the spec asks.

mod outdated;
mod warnings;

use super::*;
use multi_eni_api::names::attachment_name;
use multi_eni_api::{ENIAttachment, NodeENI};
use serde::Deserialize;
use serde_json::{Value, json};

const GUIDE: &str = include_str!("../../../../docs/multus.md");
const DEFAULT: Request<'_> = Request { plugin: Plugin::HostDevice { ipam: None }, namespace: "default", node: None };
const IPVLAN: Request<'_> = Request { plugin: Plugin::Ipvlan, ..DEFAULT };

fn nodeeni(name: &str, mut more: Value) -> NodeEni {
    let spec = more.as_object_mut().unwrap();
    let common = [
        ("nodeSelector", json!({ "ng": "multi-eni" })),
        ("subnetID", json!("subnet-0f59b4f14737be9ad")),
        ("deviceIndex", json!(3)),
    ];
    for (field, value) in common {
        spec.entry(field).or_insert(value);
    }
    read(&json!({ "metadata": { "name": name }, "spec": more }))
}

fn read(object: &Value) -> NodeEni {
    NodeEni::read(&serde_json::from_value::<NodeENI>(object.clone()).unwrap())
}

/// The NodeENI of the guide with this name.
fn of_the_guide(name: &str) -> Value {
    let blocks = GUIDE.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let documents = blocks.flat_map(serde_yaml::Deserializer::from_str).map(|text| Value::deserialize(text).unwrap());
    let mut found = documents.filter(|object| object["kind"] == "NodeENI" && object["metadata"]["name"] == name);
    found.next().unwrap()
}

/// An attached ENI of the guide: on the node and with the addresses that the guide has. In the mode link the agent sets no address on the
/// link, and reports none.
fn attachment(nodeeni: &str, status: Value) -> Attachment {
    let instance = "i-0123456789abcdef0";
    let mut all = json!({
        "phase": "Attached", "eniID": "eni-0aa53ee5cb7c8a1b2", "macAddress": "02:00:00:00:00:0A",
        "privateIPs": ["10.0.2.33"],
        "node": { "macAddress": "02:00:00:00:00:0a", "linkName": "ens7", "addresses": [] },
    });
    all.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    let object: ENIAttachment = serde_json::from_value(json!({
        "metadata": { "name": attachment_name(nodeeni, "u-1", instance, 0, 3), "uid": "u-2" },
        "spec": {
            "nodeName": "ip-10-0-0-4.eu-central-1.compute.internal", "nodeUID": "u-3", "instanceID": instance,
            "nodeENIName": nodeeni, "nodeENIUID": "u-1",
            "request": { "subnetID": "subnet-0f59b4f14737be9ad", "subnetCIDR": "10.0.2.0/24", "deviceIndex": 3 },
        },
        "status": all,
    }))
    .unwrap();
    Attachment::read(&object)
}

/// The one definition, as YAML.
fn printed(nodeeni: &NodeEni, attachments: &[&Attachment], request: &Request<'_>) -> String {
    let answer = definitions(nodeeni, attachments, request);
    assert_eq!((answer.definitions.len(), answer.left_out.as_slice()), (1, [].as_slice()), "{answer:?}");
    yaml(&answer.definitions)
}

/// Why there is none.
fn reason(nodeeni: &NodeEni, attachments: &[&Attachment], request: &Request<'_>) -> Reason {
    let mut answer = definitions(nodeeni, attachments, request);
    assert_eq!((answer.definitions.len(), answer.left_out.len()), (0, 1), "{answer:?}");
    answer.left_out.remove(0).reason
}

fn plugins(text: &str) -> Value {
    let object: Value = serde_yaml::from_str(text).unwrap();
    let config: Value = serde_json::from_str(object["spec"]["config"].as_str().unwrap()).unwrap();
    config["plugins"].clone()
}

#[test]
fn the_definitions_of_the_guide_are_what_is_printed_for_its_nodeenis() {
    let prefix = json!({ "ipv4Prefixes": ["10.0.2.64/28"] });
    let rows = [("storage", DEFAULT, json!({})), ("archive", DEFAULT, json!({})), ("media", IPVLAN, prefix)];
    let texts =
        rows.map(|(name, request, status)| printed(&read(&of_the_guide(name)), &[&attachment(name, status)], &request));
    let missing: Vec<String> = texts.into_iter().filter(|text| !GUIDE.contains(text)).collect();
    assert!(missing.is_empty(), "docs/multus.md does not have:\n{}", missing.join("===\n"));
}

#[test]
fn host_device_takes_the_link_by_its_alternative_name_with_the_gateway_of_the_subnet() {
    let storage = nodeeni("storage", json!({ "nodeConfig": { "interfaceName": "storage" } }));
    let first = attachment("storage", json!({}));
    let plugin = |attachments: &[&Attachment], request| plugins(&printed(&storage, attachments, request))[0].clone();
    let with_routes = plugin(&[&first], &DEFAULT);
    assert_eq!(with_routes["device"], "storage");
    assert_eq!(with_routes["ipam"]["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.0.2.1" }]));
    // Not known, or not one.
    let mut other = first.clone();
    other.request.subnet_cidr = Some("10.0.3.0/24".to_owned());
    for attachments in [&[][..], &[&first, &other]] {
        let plugin = plugin(attachments, &DEFAULT);
        assert_eq!(plugin["ipam"], json!({ "type": "static" }));
    }
    let dhcp = Request { plugin: Plugin::HostDevice { ipam: Some(Ipam::Dhcp) }, ..DEFAULT };
    let plugin = plugin(&[&first, &other], &dhcp);
    assert_eq!((&plugin["ipam"], &plugin["capabilities"]), (&json!({ "type": "dhcp" }), &Value::Null));
}

#[test]
fn host_device_takes_a_device_for_dpdk_by_its_resource_and_gives_no_address() {
    let dpdk = json!({ "enableDPDK": true, "dpdkResourceName": "fast", "nodeConfig": { "interfaceName": "fast" } });
    let static_ipam = Request { plugin: Plugin::HostDevice { ipam: Some(Ipam::Static) }, ..DEFAULT };
    let text = printed(&nodeeni("fast", dpdk), &[], &static_ipam);
    let expected = json!([{ "type": "host-device", "capabilities": { "deviceID": true } }]);
    assert_eq!(plugins(&text), expected);
    assert!(text.contains("    k8s.v1.cni.cncf.io/resourceName: intel.com/fast\n"), "{text}");
}

#[test]
fn ipvlan_has_the_addresses_that_the_eni_owns_and_the_node_does_not_have() {
    let media = nodeeni("media", json!({}));
    let ranges = |attachment: &Attachment| {
        let plugins = plugins(&printed(&media, &[attachment], &IPVLAN));
        let ranges = plugins[0]["ipam"]["ranges"][0].as_array().cloned().unwrap();
        let range = |range: &Value| format!("{} {}", range["rangeStart"], range["rangeEnd"]).replace('"', "");
        ranges.iter().map(range).collect::<Vec<_>>()
    };
    let of = |node: Value, more: Value| {
        let mut status = json!({
            "privateIPs": ["10.0.2.17", "10.0.2.18"],
            "node": { "macAddress": "02:00:00:00:00:0a", "linkName": "ens7", "addresses": node },
        });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attachment("media", status)
    };
    assert_eq!(ranges(&of(json!([]), json!({}))), ["10.0.2.17 10.0.2.17", "10.0.2.18 10.0.2.18"]);
    assert_eq!(ranges(&of(json!(["10.0.2.17"]), json!({}))), ["10.0.2.18 10.0.2.18"]);
    let mut of_the_node = of(json!([]), json!({ "ipv4Prefixes": ["10.0.2.64/28"] }));
    of_the_node.node_settings.node_config = Some([("mode".to_owned(), json!("addresses"))].into());
    assert_eq!(ranges(&of_the_node), ["10.0.2.64 10.0.2.79"]);
    of_the_node.status.ipv4_prefixes.clear();
    assert_eq!(reason(&media, &[&of_the_node], &IPVLAN), Reason::NoAddresses);
}

#[test]
fn a_nodeeni_without_a_definition_says_why() {
    let plain = || json!({ "nodeConfig": { "interfaceName": "storage" } });
    for (spec, request, expected) in [
        (json!({}), DEFAULT, Reason::NotForPods),
        (json!({ "nodeConfig": { "mode": "none", "interfaceName": "storage" } }), DEFAULT, Reason::ModeNone),
        (json!({ "enableDPDK": true, "nodeConfig": { "interfaceName": "x" } }), DEFAULT, Reason::DpdkNeedsResource),
        (json!({ "enableDPDK": true, "dpdkResourceName": "x" }), IPVLAN, Reason::DpdkHasNoLink),
        (plain(), IPVLAN, Reason::NoAttachment),
    ] {
        assert_eq!(reason(&nodeeni("a", spec.clone()), &[], &request), expected, "{spec}");
    }
    let stored = nodeeni("a", json!({ "nodeConfig": { "interfaceName": "eth7" } }));
    assert!(reason(&stored, &[], &DEFAULT).to_string().contains("eth7"));
    let unusable = nodeeni("a", json!({ "subnetIDs": ["a"], "nodeConfig": { "interfaceName": "storage" } }));
    assert!(matches!(reason(&unusable, &[], &DEFAULT), Reason::Unreadable(_)));
    let mut deleted = nodeeni("a", plain());
    deleted.deleting = true;
    assert_eq!(reason(&deleted, &[], &DEFAULT), Reason::Deleting);
}

#[test]
fn an_eni_without_a_definition_of_ipvlan_says_why_and_the_others_have_theirs() {
    let media = nodeeni("media", json!({}));
    let free = json!({ "macAddress": "02:00:00:00:00:0a", "linkName": "ens7" });
    for (status, expected) in [
        (json!({ "phase": "Detaching" }), Reason::NotAttached("Detaching".to_owned())),
        (json!({ "node": null }), Reason::NotReported),
        (json!({ "node": { "macAddress": "02:00:00:00:00:0b", "linkName": "ens7" } }), Reason::NotReported),
        (
            json!({ "node": { "macAddress": "02:00:00:00:00:0a", "message": "a pod has the link" } }),
            Reason::NoLink("a pod has the link".to_owned()),
        ),
        (
            json!({ "node": { "macAddress": "02:00:00:00:00:0a", "linkName": "a b" } }),
            Reason::NoLink("\"a b\" is no name of a link".to_owned()),
        ),
        (
            json!({ "node": { "macAddress": "02:00:00:00:00:0a", "linkName": "ens7", "addresses": ["10.0.2.33"] } }),
            Reason::NoAddresses,
        ),
        (json!({ "privateIPs": ["here"] }), Reason::NotAnAddress("here".to_owned())),
        (json!({ "ipv4Prefixes": ["2001:db8::/80"] }), Reason::NotAnAddress("2001:db8::/80".to_owned())),
    ] {
        let bad = attachment("media", status.clone());
        assert_eq!(reason(&media, &[&bad], &IPVLAN), expected, "{status}");
        let good = attachment("media", json!({ "node": free }));
        let answer = definitions(&media, &[&bad, &good], &IPVLAN);
        assert_eq!((answer.definitions.len(), answer.left_out.len()), (1, 1), "{status}");
        let words = answer.left_out[0].to_string();
        assert!(words.starts_with("NodeENI media on node ip-10-0-0-4.eu-central-1.compute.internal: "), "{words}");
    }
    let mut without = attachment("media", json!({ "node": free }));
    without.request.subnet_cidr = None;
    assert_eq!(reason(&media, &[&without], &IPVLAN), Reason::NoSubnet);
}

#[test]
fn only_the_enis_of_one_node_are_asked_for() {
    let media = nodeeni("media", json!({ "nodeConfig": { "interfaceName": "media" } }));
    let mut here = attachment("media", json!({ "ipv4Prefixes": ["10.0.2.64/28"] }));
    here.node = "here".to_owned();
    let there = attachment("media", json!({ "ipv4Prefixes": ["10.0.2.80/28"] }));
    for request in [DEFAULT, IPVLAN] {
        let on = |node| Request { node: Some(node), ..request };
        let text = printed(&media, &[&here, &there], &on("here"));
        assert!(!text.contains("10.0.2.80"), "{text}");
        assert_eq!(definitions(&media, &[&here, &there], &on("nowhere")), Answer::default());
    }
}

/// A NodeENI of a file that no API server has seen, and the fields that other writers may fill, cannot add a line to the document.
#[test]
fn texts_of_others_stay_texts() {
    let hostile = "a\nkind: Pod\u{2028}b\u{85}\"#: c";
    let spec = json!({ "dpdkResourceName": "fast" });
    let answer = definitions(&nodeeni(hostile, spec), &[], &Request { namespace: hostile, ..DEFAULT });
    let text = yaml(&answer.definitions);
    let object: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(object["kind"], "NetworkAttachmentDefinition");
    let metadata = &object["metadata"];
    assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!(hostile), &json!(hostile)));
    assert!(text.is_ascii(), "{text}");
    let mut media = attachment("media", json!({ "ipv4Prefixes": ["10.0.2.64/28"] }));
    media.node = hostile.to_owned();
    media.nodeeni = hostile.to_owned();
    let text = printed(&nodeeni("media", json!({})), &[&media], &IPVLAN);
    assert!(text.lines().all(|line| !line.starts_with("kind: Pod")) && text.is_ascii(), "{text}");
    for word in ["true", "No", "1e3", "0x1"] {
        let spec = json!({ "nodeConfig": { "interfaceName": "storage" } });
        let object: Value = serde_yaml::from_str(&printed(&nodeeni(word, spec), &[], &DEFAULT)).unwrap();
        assert_eq!(object["metadata"]["name"], word);
    }
}

#[test]
fn the_json_list_has_the_same_objects() {
    let storage = nodeeni("storage.a", json!({ "dpdkResourceName": "example.com/s" }));
    let answer = definitions(&storage, &[], &DEFAULT);
    let list: Value = serde_json::from_str(&json(&answer.definitions)).unwrap();
    let document: Value = serde_yaml::from_str(&yaml(&answer.definitions)).unwrap();
    let config = |object: &Value| serde_json::from_str::<Value>(object["spec"]["config"].as_str().unwrap()).unwrap();
    assert_eq!((list["kind"].as_str(), &list["items"][0]["metadata"]), (Some("List"), &document["metadata"]));
    assert_eq!(config(&list["items"][0]), config(&document));
    assert!(answer.definitions[0].comments.iter().any(|comment| comment.contains("only in the JSON form")));
}

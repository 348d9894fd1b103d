//! What is said of an ENI of which a definition has data, and that is not as the spec asks.

use super::*;
use crate::string_map::StringMap;

const SUBNET_B: &str = "subnet-0abcdef1234567890";
const STATIC: Request<'_> = Request { plugin: Plugin::HostDevice { ipam: Some(Ipam::Static) }, ..DEFAULT };
const DHCP: Request<'_> = Request { plugin: Plugin::HostDevice { ipam: Some(Ipam::Dhcp) }, ..DEFAULT };

/// The spec of the ENI that is there: a name for pods, and a prefix.
fn before() -> Value {
    json!({ "ipv4PrefixCount": 1, "nodeConfig": { "interfaceName": "media" } })
}

/// The ENI as this spec made it.
fn made(spec: &Value) -> Attachment {
    let mut attachment = attachment("media", json!({ "ipv4Prefixes": ["10.0.2.64/28"] }));
    let spec = nodeeni("media", spec.clone()).spec.unwrap();
    attachment.request.ipv4_prefix_count = spec.ipv4_prefix_count;
    attachment.node_settings = spec.node_settings.into();
    attachment
}

/// What is said if a file has the spec with this change.
fn said(change: Value, request: &Request<'_>) -> Vec<String> {
    let mut spec = before();
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    said_of(&nodeeni("media", spec), &[&made(&before())], request)
}

fn said_of(edited: &NodeEni, attachments: &[&Attachment], request: &Request<'_>) -> Vec<String> {
    let labels = StringMap::from([("ng", "multi-eni")]);
    let labels = |_: &str| Some(&labels);
    let before = nodeeni("media", before()).spec.unwrap();
    let present = Present { attachments, labels: &labels, is_from_file: true, before: Some(&before) };
    let answer = answer(edited, &present, request);
    assert_eq!(answer.definitions.is_empty(), attachments.is_empty(), "{answer:?}");
    answer.outdated.iter().map(ToString::to_string).collect()
}

#[test]
fn an_eni_as_the_spec_asks_is_not_mentioned() {
    for request in [DEFAULT, STATIC, DHCP, IPVLAN] {
        assert!(said(json!({}), &request).is_empty());
        for same in
            [json!({ "description": "new" }), json!({ "mtu": 1500 }), json!({ "securityGroupIDs": ["sg-12345678"] })]
        {
            assert!(said(same.clone(), &request).is_empty(), "{same}");
        }
    }
}

#[test]
fn another_subnet_is_said_with_what_is_there_and_what_follows() {
    let change = json!({ "subnetID": SUBNET_B });
    let there = "NodeENI media: the spec asks for another ENI than ip-10-0-0-4.eu-central-1.compute.internal (eni-0aa53ee5cb7c8a1b2 in \
                 subnet-0f59b4f14737be9ad): it does not ask for subnet-0f59b4f14737be9ad. Now the definition has";
    for (request, has, then) in [
        (DEFAULT, "the gateway of this subnet;", "print the definition anew, and give the pods addresses"),
        (IPVLAN, "the addresses of this ENI and the name of its link;", "print the definition anew"),
        (DHCP, "nothing of this ENI;", "the definition stays right"),
    ] {
        let said = said(change.clone(), &request);
        assert_eq!(said.len(), 1, "{said:?}");
        let rest =
            said[0].strip_prefix(&format!("{there} {has} once the file is applied, the controller replaces the ENI: "));
        assert!(rest.is_some_and(|rest| rest.contains(then)), "{said:?}");
    }
}

#[test]
fn each_edit_that_replaces_the_eni_is_said() {
    for (change, words) in [
        (json!({ "deviceIndex": 4 }), "it asks for no ENI at device index 3"),
        (json!({ "networkCardIndex": 1 }), "it asks for no ENI at device index 3 on network card 0"),
        (json!({ "ipv4PrefixCount": 2 }), "ipv4PrefixCount is 2, and the ENI has 1"),
        (json!({ "ipv4PrefixCount": null, "privateIPCount": 4 }), "privateIPCount is 4, and the ENI has none"),
    ] {
        for request in [DEFAULT, IPVLAN] {
            let said = said(change.clone(), &request);
            assert!(said.len() == 1 && said[0].contains(words), "{change}: {said:?}");
        }
    }
}

#[test]
fn an_edit_that_the_node_agent_follows_in_place_is_said_if_the_definition_depends_on_it() {
    let name = |name: &str| json!({ "nodeConfig": { "interfaceName": name } });
    let mode = json!({ "nodeConfig": { "interfaceName": "media", "mode": "addresses" } });
    let resource = json!({ "dpdkResourceName": "example.com/media" });
    let dpdk = json!({ "enableDPDK": true, "dpdkResourceName": "example.com/media" });
    for (change, request, words) in [
        (name("data"), DEFAULT, Some("asks for the alternative name data, and")),
        (
            name("data"),
            DEFAULT,
            Some("has the alternative name media: once the file is applied, the node agent changes"),
        ),
        (name("data"), IPVLAN, None),
        (resource, DEFAULT, Some("asks for the resource example.com/media, and")),
        (dpdk, DEFAULT, Some("asks for the resource example.com/media, with a driver for DPDK, and")),
        (mode.clone(), IPVLAN, Some("asks for the mode addresses, and")),
        (mode, DEFAULT, None),
    ] {
        let said = said(change.clone(), &request);
        assert_eq!(said.len(), usize::from(words.is_some()), "{change}: {said:?}");
        assert!(said.iter().zip(words).all(|(said, words)| said.contains(words)), "{change}: {said:?}");
    }
}

#[test]
fn a_node_that_the_spec_does_not_select_loses_its_eni() {
    let mut edited = nodeeni("media", before());
    edited.spec.as_mut().unwrap().selector = [("ng".to_owned(), "other".to_owned())].into();
    let said = said_of(&edited, &[&made(&before())], &IPVLAN);
    assert!(said.len() == 1 && said[0].contains("does not select ip-10-0-0-4."), "{said:?}");
    assert!(said[0].contains("once the file is applied, the controller removes the ENI"), "{said:?}");
}

/// What a name or a tag selects, only EC2 shows.
#[test]
fn an_edit_of_names_is_left_open() {
    let mut edited = nodeeni("media", before());
    edited.spec.as_mut().unwrap().subnets = vec![crate::nodeeni::SubnetRef::Name("storage".to_owned())];
    let said = said_of(&edited, &[&made(&before())], &IPVLAN);
    assert!(said.len() == 1 && said[0].contains("is not known here: multi-eni plan -f shows it"), "{said:?}");
}

#[test]
fn the_enis_of_many_nodes_share_a_sentence_and_those_that_go_anyway_have_none() {
    let mut moved = nodeeni("media", before());
    moved.spec.as_mut().unwrap().subnets =
        vec![crate::nodeeni::SubnetRef::Id(multi_eni_api::ids::SubnetId::parse(SUBNET_B).unwrap())];
    let on = |node: &str| Attachment { node: node.to_owned(), ..made(&before()) };
    let mut all: Vec<Attachment> = ["n1", "n2", "n3", "n4"].map(on).to_vec();
    all.push(Attachment { deleting: Some(jiff::Timestamp::UNIX_EPOCH), ..on("n5") });
    let said = said_of(&moved, &all.iter().collect::<Vec<_>>(), &DEFAULT);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("n1 (eni-") && said[0].contains("and 1 other: it does not ask"), "{said:?}");
}

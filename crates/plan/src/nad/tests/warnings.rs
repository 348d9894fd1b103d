//! What is said of definitions that do not work, or not on each node.

use super::*;
use crate::string_map::StringMap;

const NODE: &str = "ip-10-0-0-4.eu-central-1.compute.internal";
const STATIC: Request<'_> = Request { plugin: Plugin::HostDevice { ipam: Some(Ipam::Static) }, ..DEFAULT };

fn by_name(nodeeni: &str, name: &str) -> NodeEni {
    super::nodeeni(nodeeni, json!({ "nodeConfig": { "interfaceName": name } }))
}

/// An ENI of this NodeENI, with the report of the agent that its interface is not configured.
fn not_configured(of: &NodeEni, reason: &str, message: &str, report: Value) -> Attachment {
    let mut node = json!({ "macAddress": "02:00:00:00:00:0a", "linkName": "ens7" });
    node.as_object_mut().unwrap().extend(report.as_object().unwrap().clone());
    let mut attachment = attachment(
        &of.name,
        json!({ "ipv4Prefixes": ["10.0.2.64/28"], "node": node, "conditions": [
            { "type": "Configured", "status": "False", "reason": reason, "message": message,
              "lastTransitionTime": "2026-01-01T00:00:00Z" }] }),
    );
    attachment.node_settings = of.spec.as_ref().unwrap().node_settings.clone().into();
    attachment
}

fn said(nodeeni: &NodeEni, attachments: &[&Attachment], request: &Request<'_>) -> Vec<String> {
    let present = Present { attachments, labels: &|_| None, is_from_file: false, before: None };
    let answer = answer(nodeeni, &present, request);
    assert!(answer.left_out.is_empty() && !answer.definitions.is_empty(), "{answer:?}");
    answer.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_eni_that_is_not_configured_has_a_warning_with_what_the_definition_would_do() {
    let storage = by_name("storage", "storage");
    let taken = not_configured(&storage, "InterfaceNameTaken", "link ens6 has\nthe name", json!({}));
    let prefix = format!("NodeENI storage on node {NODE}: the node agent reports ");
    let expected = format!(
        "{prefix}InterfaceNameTaken: link ens6 has the name. There the definition gives a pod the link that has the name storage, which is \
         not that of this ENI, or none"
    );
    assert_eq!(said(&storage, &[&taken], &DEFAULT), [expected]);
    for (report, words) in [
        (json!({}), "There the link does not have the name storage, and the definition gives it to no pod"),
        (json!({ "alternativeName": "storage" }), "There the definition gives a pod the link as it is"),
    ] {
        let other = not_configured(&storage, "ForeignRule", "words", report);
        assert_eq!(said(&storage, &[&other], &DEFAULT), [format!("{prefix}ForeignRule: words. {words}")]);
    }
    let archive = nodeeni("archive", json!({ "dpdkResourceName": "example.com/archive" }));
    let held = not_configured(&archive, "LinkAbsent", "words", json!({}));
    let said_of_it = said(&archive, &[&held], &DEFAULT);
    assert!(
        said_of_it.len() == 1 && said_of_it[0].ends_with("There kubelet gives the ENI to no pod"),
        "{said_of_it:?}"
    );
}

#[test]
fn a_report_of_another_eni_of_another_name_or_of_an_eni_that_goes_is_not_repeated() {
    let storage = by_name("storage", "storage");
    let taken = not_configured(&storage, "InterfaceNameTaken", "words", json!({}));
    let of_another =
        not_configured(&storage, "InterfaceNameTaken", "words", json!({ "macAddress": "02:00:00:00:00:0b" }));
    let mut leaving = taken.clone();
    leaving.deleting = Some(jiff::Timestamp::UNIX_EPOCH);
    let mut configured = taken.clone();
    configured.status.conditions[0].status = "True".to_owned();
    let elsewhere = Request { node: Some("here"), ..DEFAULT };
    let here = Attachment { node: "here".to_owned(), ..configured.clone() };
    for (attachments, request) in [
        (vec![&of_another], DEFAULT),
        (vec![&leaving], DEFAULT),
        (vec![&configured], DEFAULT),
        (vec![&taken, &here], elsewhere),
    ] {
        assert!(said(&storage, &attachments, &request).is_empty(), "{attachments:?}");
    }
    assert!(said(&by_name("storage", "data"), &[&taken], &DEFAULT).is_empty(), "the file has another name");
}

#[test]
fn several_enis_of_a_nodeeni_on_one_node_cannot_have_one_name() {
    let storage = by_name("storage", "storage");
    let eni = attachment("storage", json!({}));
    let of_storage = |attachment: &Attachment| Attachment {
        node_settings: storage.spec.as_ref().unwrap().node_settings.clone().into(),
        ..attachment.clone()
    };
    let (one, other) = (of_storage(&eni), of_storage(&eni));
    let words = said(&storage, &[&one, &other], &DEFAULT);
    let start = format!("NodeENI storage has several ENIs on {NODE}, and an interfaceName needs one ENI on a node: ");
    assert!(words.len() == 1 && words[0].starts_with(&start), "{words:?}");
    let elsewhere = Attachment { node: "other".to_owned(), ..other.clone() };
    let leaving = Attachment { deleting: Some(jiff::Timestamp::UNIX_EPOCH), ..other.clone() };
    for second in [&elsewhere, &leaving] {
        assert!(said(&storage, &[&one, second], &DEFAULT).is_empty());
    }
    let archive = nodeeni("archive", json!({ "dpdkResourceName": "example.com/archive" }));
    assert!(said(&archive, &[&one, &other], &DEFAULT).is_empty(), "by a resource each ENI is one");
}

#[test]
fn ipvlan_on_a_link_that_the_agent_does_not_set_up_has_no_definition() {
    let media = nodeeni("media", json!({}));
    let none = nodeeni("media", json!({ "nodeConfig": { "mode": "none" } }));
    let mut attachment = attachment("media", json!({ "ipv4Prefixes": ["10.0.2.64/28"] }));
    attachment.node_settings = none.spec.as_ref().unwrap().node_settings.clone().into();
    assert_eq!(reason(&none, &[&attachment], &IPVLAN), Reason::LinkOfModeNone);
    for down in ["InterfaceNameTaken", "MTUOutOfBounds", "IsPort", "SubnetUnknown"] {
        let attachment = not_configured(&media, down, "words", json!({}));
        assert_eq!(reason(&media, &[&attachment], &IPVLAN), Reason::LinkDown(format!("{down}: words")));
    }
    for up in ["ForeignRule", "StepFailed", "OfALaterVersion"] {
        let attachment = not_configured(&media, up, "words", json!({}));
        let words = said(&media, &[&attachment], &IPVLAN);
        let end = format!("{up}: words. The definition has this link as it is");
        assert!(words.len() == 1 && words[0].ends_with(&end), "{words:?}");
    }
}

fn attached<'a>(all: &'a [(NodeEni, Vec<Attachment>)], labels: &'a StringMap) -> Vec<Placed<'a>> {
    let nodes = || [("n1", labels)].into_iter();
    all.iter()
        .filter_map(|(nodeeni, attachments)| Placed::read(nodeeni, &attachments.iter().collect::<Vec<_>>(), nodes()))
        .collect()
}

/// What is said of all these NodeENIs together, if the definition of `printed` is printed.
fn together_said(all: &[(NodeEni, Vec<Attachment>)], printed: &str, request: &Request<'_>) -> Vec<String> {
    let labels = StringMap::from([("ng", "multi-eni")]);
    let of_it = all.iter().find(|(nodeeni, _)| nodeeni.name == printed).unwrap();
    let definitions = definitions(&of_it.0, &[], &Request { node: None, ..*request }).definitions;
    together(&attached(all, &labels), request, &definitions).iter().map(ToString::to_string).collect()
}

fn on(nodes: &[&str], subnet: &str) -> Vec<Attachment> {
    let eni = |node: &&str| {
        let mut eni = Attachment { node: (*node).to_owned(), ..attachment("a", json!({})) };
        eni.request.subnet_id = subnet.to_owned();
        eni
    };
    nodes.iter().map(eni).collect()
}

#[test]
fn two_nodeenis_with_one_name_on_one_node_are_both_named() {
    let (a, b) = (by_name("a", "storage"), by_name("b", "storage"));
    let here = |nodeeni: &NodeEni| (nodeeni.clone(), on(&["n1", "n2"], "subnet-1"));
    let both = [here(&a), here(&b)];
    let certain = "NodeENI a and NodeENI b both ask for the interfaceName storage, and have ENIs on n1, n2: there only one of the links gets \
                   the name, and a definition with the name gives a pod that link: give each NodeENI a name of its own";
    for printed in ["a", "b"] {
        assert_eq!(together_said(&both, printed, &DEFAULT), [certain]);
    }
    let on_n2 = together_said(&both, "a", &Request { node: Some("n2"), ..DEFAULT });
    assert!(on_n2.len() == 1 && on_n2[0].contains("have ENIs on n2: "), "{on_n2:?}");
    assert!(together_said(&both, "a", &Request { node: Some("n3"), ..DEFAULT }).is_empty());
    // A NodeENI of a file has no ENI yet.
    let words = together_said(&[here(&a), (b.clone(), Vec::new())], "b", &DEFAULT);
    assert!(words.len() == 1 && words[0].contains("select n1: if both get an ENI there, only one"), "{words:?}");
    // Two zones of one node group, another name, and links that get no name.
    let in_zones = [(a.clone(), on(&["n1"], "subnet-1")), (b.clone(), on(&["n2"], "subnet-2"))];
    assert!(together_said(&in_zones, "a", &DEFAULT).is_empty());
    let none = json!({ "nodeConfig": { "mode": "none", "interfaceName": "storage" } });
    let dpdk = json!({ "enableDPDK": true, "nodeConfig": { "interfaceName": "storage" } });
    for other in [by_name("b", "data"), nodeeni("b", none), nodeeni("b", dpdk)] {
        assert!(together_said(&[here(&a), here(&other)], "a", &DEFAULT).is_empty(), "{other:?}");
    }
    let mut deleted = b.clone();
    deleted.deleting = true;
    assert!(together_said(&[here(&a), here(&deleted)], "a", &DEFAULT).is_empty());
}

#[test]
fn one_resource_of_several_nodeenis_has_a_warning_if_their_enis_are_not_alike() {
    let of = |name: &str, enable: bool| nodeeni(name, json!({ "enableDPDK": enable, "dpdkResourceName": "fast" }));
    let pool = |b: (bool, &[&str], &str)| [(of("a", false), on(&["n1"], "subnet-1")), (of("b", b.0), on(b.1, b.2))];
    let addresses = "the NodeENIs a, b have one resource intel.com/fast, so kubelet may give a pod the ENI of any of them, whatever its \
                     definition. With static, ";
    for (other, request, start) in [
        ((false, ["n2"].as_slice(), "subnet-2"), STATIC, Some(addresses)),
        ((false, ["n1"].as_slice(), "subnet-1"), STATIC, Some(addresses)),
        ((false, ["n2"].as_slice(), "subnet-1"), STATIC, None),
        ((false, ["n2"].as_slice(), "subnet-2"), DEFAULT, None),
        (
            (true, ["n2"].as_slice(), "subnet-1"),
            DEFAULT,
            Some("one resource intel.com/fast is that of the NodeENIs b, with a driver for DPDK, and of a, "),
        ),
    ] {
        let words = together_said(&pool(other), "a", &request);
        assert_eq!(words.len(), usize::from(start.is_some()), "{other:?}: {words:?}");
        assert!(words.iter().zip(start).all(|(words, start)| words.starts_with(start)), "{other:?}: {words:?}");
    }
}

#[test]
fn a_stored_resource_name_that_kubelet_refuses_has_no_definition() {
    let wrong = nodeeni("a", json!({ "dpdkResourceName": "a/b/c" }));
    let expected = "its spec cannot be used: dpdkResourceName \"a/b/c\" is no name of an extended resource: the part after the slash must \
                    have 1 to 63 letters, digits, '-', '_' and '.'";
    assert_eq!(reason(&wrong, &[], &DEFAULT).to_string(), expected);
}

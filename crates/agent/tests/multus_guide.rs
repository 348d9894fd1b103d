//! The manifests of docs/multus.md and docs/node-agent.md, taken by a real API server. The CRD of NetworkAttachmentDefinition is a stand-in for
//! Multus' own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod guide;

use guide::{GUIDE, config, definitions, objects, objects_of_the_agents_page};
use multi_eni_control_plane::{ControlPlane, Failure, NETWORK_ATTACHMENT_DEFINITIONS, chart};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const NO_MACVLAN: &str = include_str!("../../../docs/examples/no-macvlan.yaml");

#[test]
fn the_definitions_of_the_guide_agree_with_its_nodeenis() {
    let objects = objects();
    let names: Vec<&Value> = objects.iter().map(|object| &object["spec"]["nodeConfig"]["interfaceName"]).collect();
    let mut kinds = Vec::new();
    for definition in definitions(&objects) {
        let (config, plugins) = config(definition);
        assert_eq!(config["name"], definition["metadata"]["name"]);
        let plugin = &plugins[0];
        kinds.push(plugin["type"].as_str().unwrap().to_owned());
        assert!(plugin["device"].is_null() || names.contains(&&plugin["device"]), "{plugin}");
        for range in plugin["ipam"]["ranges"].as_array().into_iter().flatten().flat_map(|set| set.as_array().unwrap()) {
            let address = |key: &str| u32::from(range[key].as_str().unwrap().parse::<Ipv4Addr>().unwrap());
            let (start, count) =
                (range["rangeStart"].as_str().unwrap(), address("rangeEnd") - address("rangeStart") + 1);
            match count {
                // The primary address of the ENI; the pod of another ENI has another address.
                1 => assert!(
                    GUIDE.contains(&format!(", {start}.\n")) && !GUIDE.contains(&format!("{start}/24")),
                    "{range}"
                ),
                // The sixteen addresses of a prefix of EC2.
                16 => assert!(
                    address("rangeStart").is_multiple_of(16) && GUIDE.contains(&format!("{start}/28")),
                    "{range}"
                ),
                _ => panic!("neither an address of the ENI nor a prefix: {range}"),
            }
        }
        let is_used = objects.iter().any(|object| {
            let networks =
                object["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"].as_str().unwrap_or_default();
            let in_json = serde_json::from_str::<Value>(networks).is_ok_and(|list| list[0]["name"] == config["name"]);
            in_json || config["name"] == networks
        });
        assert!(is_used, "no pod of the guide uses {}", config["name"]);
    }
    assert_eq!(kinds, ["host-device", "host-device", "ipvlan"]);
    assert_eq!(objects.iter().filter(|object| object["kind"] == "NodeENI").count(), kinds.len());
}

#[test]
fn the_pods_of_the_agents_page_request_what_its_nodeenis_offer_and_one_is_whole_for_dpdk() {
    let objects = objects_of_the_agents_page();
    let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).cloned().collect::<Vec<_>>();
    let (nodeenis, pods) = (of_kind("NodeENI"), of_kind("Pod"));
    for nodeeni in &nodeenis {
        let resource = nodeeni["spec"]["dpdkResourceName"].as_str().unwrap();
        let requests = |pod: &Value| pod["spec"]["containers"][0]["resources"]["limits"][resource].clone();
        assert_eq!(pods.iter().filter(|pod| !requests(pod).is_null()).count(), 1, "{resource}");
    }
    let dpdk = nodeenis.iter().find(|nodeeni| nodeeni["spec"]["enableDPDK"] == true).unwrap();
    assert_eq!(dpdk["spec"]["dpdkDriver"], "vfio-pci");
    let with_pages = |pod: &&Value| pod["spec"]["containers"][0]["resources"]["limits"]["hugepages-2Mi"].is_string();
    assert_eq!(pods.iter().filter(with_pages).count(), 1);
}

#[test]
fn an_api_server_takes_the_manifests_of_the_guide_and_refuses_macvlan_with_the_reason() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let crds =
        std::fs::read_to_string(format!("{}/crds/networking.k8s.aws.yaml", chart())).map_err(|e| e.to_string())?;
    plane.apply(&crds)?.success()?;
    plane.apply(NETWORK_ATTACHMENT_DEFINITIONS)?.success()?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?.success()?;
    for object in objects().into_iter().chain(objects_of_the_agents_page()) {
        plane.apply(&object.to_string())?.success()?;
    }
    let stored = ["get", "--raw", "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"];
    let stored: Value = serde_json::from_str(&plane.kubectl(&stored)?.success()?).map_err(|e| e.to_string())?;
    let spec_of = |name: &Value| {
        let items = stored["items"].as_array().unwrap();
        items.iter().find(|item| item["metadata"]["name"] == *name).map(|item| item["spec"].clone())
    };
    for definition in definitions(&objects()) {
        assert_eq!(spec_of(&definition["metadata"]["name"]).as_ref(), Some(&definition["spec"]));
    }
    plane.apply(NO_MACVLAN)?.success()?;
    let macvlan = |name: &str| {
        json!({ "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": { "name": name, "namespace": "default" },
            "spec": { "config": r#"{ "cniVersion": "1.0.0", "name": "m", "type" : "macvlan", "master": "storage" }"# } })
    };
    // A new policy takes some seconds to be loaded.
    let mut words = String::new();
    for attempt in 0..100 {
        let applied = plane.apply(&macvlan(&format!("m{attempt}")).to_string())?;
        if !applied.ok {
            words = applied.stderr;
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(words.contains("macvlan does not work on EC2: EC2 delivers to an ENI only frames for"), "{words}");
    // The others are taken as before.
    for definition in definitions(&objects()) {
        let mut again = definition.clone();
        again["metadata"]["name"] = json!(format!("{}-2", definition["metadata"]["name"].as_str().unwrap()));
        plane.apply(&again.to_string())?.success()?;
    }
    plane.passed();
    Ok(())
}

//! `multi-eni nad` with the rights of `multi-eni plan`: an API server takes what it prints, and what it cannot print has a reason.

use super::nodeeni;
use super::plan::{multi_eni, reader};
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_control_plane::NETWORK_ATTACHMENT_DEFINITIONS;
use serde_json::{Value, json};
use std::path::Path;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn spec(name: &str, index: i32, more: &str) -> String {
    let lines = [
        format!("subnetID: {SUBNET_A}"),
        format!("securityGroupIDs: [{GROUP}]"),
        format!("deviceIndex: {index}"),
        more.to_owned(),
    ];
    nodeeni(name, &lines.each_ref().map(String::as_str))
}

/// The status of the NodeENI's only ENIAttachment, and its name.
fn attachment(environment: &Environment, nodeeni: &str) -> Result<(String, Value), Failure> {
    let list = environment.get(&["eniattachments"])?;
    let mut items = list["items"].as_array().cloned().unwrap_or_default().into_iter();
    let item = items.find(|item| item["spec"]["nodeENIName"] == nodeeni).ok_or("no ENIAttachment")?;
    Ok((item["metadata"]["name"].as_str().unwrap_or_default().to_owned(), item["status"].clone()))
}

/// Writes what the node agent reports of the link.
fn report(environment: &Environment, nodeeni: &str, link: &str) -> Result<(), Failure> {
    let (name, status) = attachment(environment, nodeeni)?;
    let patch = json!({ "status": { "node": { "macAddress": status["macAddress"], "linkName": link } } }).to_string();
    environment.kubectl(&["patch", "enia", &name, "--subresource=status", "--type=merge", "-p", &patch])?;
    Ok(())
}

/// The plugins of a stored definition.
fn plugins(environment: &Environment, name: &str, namespace: &str) -> Result<Value, Failure> {
    let stored = environment.get(&["net-attach-def", name, "-n", namespace])?;
    let config = stored["spec"]["config"].as_str().unwrap_or_default();
    let config: Value = serde_json::from_str(config).map_err(|e| format!("{e}: {stored}"))?;
    environment.assert_eq("the name of the network", &config["name"], &json!(name));
    Ok(config["plugins"].clone())
}

/// Runs the command, and applies what it prints.
fn apply(environment: &Environment, kubeconfig: &Path, args: &[&str], stdin: &str) -> Result<(), Failure> {
    let (code, text, words) = multi_eni(environment, kubeconfig, args, stdin)?;
    environment.assert_eq(&format!("exit code of {args:?}: {words}"), code, 0);
    environment.apply(&text)
}

#[test]
fn what_is_printed_can_be_applied_and_what_is_not_has_a_reason() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let reader = reader(&environment)?;
    environment.apply(NETWORK_ATTACHMENT_DEFINITIONS)?;
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    environment.kubectl(&established)?;
    let (code, text, words) = multi_eni(&environment, &reader, &["nad"], "")?;
    environment.assert_eq(&words, (code, text.as_str()), (1, ""));
    assert!(words.contains("there is no NodeENI"), "{words}");

    // A NodeENI that is not applied yet.
    let storage = spec("storage", 1, "nodeConfig: {interfaceName: storage}");
    apply(&environment, &reader, &["nad", "-f", "-", "-n", "kube-system"], &storage)?;
    environment.assert_eq("NodeENIs", environment.names("nodeenis")?.len(), 0);
    let before = plugins(&environment, "storage", "kube-system")?;
    environment.assert_eq("the device", &before[0]["device"], &json!("storage"));
    environment.assert_eq("without a subnet", &before[0]["ipam"], &json!({ "type": "static" }));

    environment.start_replica(&[])?;
    environment.node("node1", INSTANCE)?;
    environment.apply(&storage)?;
    environment.apply(&spec("media", 2, "ipv4PrefixCount: 1"))?;
    environment.apply(&spec("fast", 3, "dpdkResourceName: example.com/fast"))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1, 2, 3], SOON)?;
    environment.idle()?;

    // `media` is for no pod by host-device, and nobody has named it.
    apply(&environment, &reader, &["nad"], "")?;
    let of_storage = plugins(&environment, "storage", "default")?;
    let gateway = of_storage[0]["ipam"]["routes"][0]["gw"].as_str().unwrap_or_default().to_owned();
    assert!(gateway.ends_with(".1"), "{of_storage}");
    let fast = environment.get(&["net-attach-def", "fast", "-n", "default"])?;
    let resource = &fast["metadata"]["annotations"]["k8s.v1.cni.cncf.io/resourceName"];
    environment.assert_eq("the resource", resource, &json!("example.com/fast"));
    let (code, text, words) = multi_eni(&environment, &reader, &["nad", "--nodeeni", "media"], "")?;
    environment.assert_eq(&words, (code, text.as_str()), (1, ""));
    assert!(words.contains("NodeENI media: a pod has no way to its ENIs: set nodeConfig.interfaceName"), "{words}");

    let ipvlan = ["nad", "--nodeeni", "media", "--type", "ipvlan", "--node", "node1"];
    let (code, text, words) = multi_eni(&environment, &reader, &ipvlan, "")?;
    environment.assert_eq(&words, (code, text.as_str()), (1, ""));
    assert!(words.contains("NodeENI media on node node1: the node agent has not reported on the ENI yet"), "{words}");
    report(&environment, "media", "ens6")?;
    apply(&environment, &reader, &ipvlan, "")?;
    let (name, status) = attachment(&environment, "media")?;
    let of_media = plugins(&environment, &name, "default")?;
    environment.assert_eq("the link", &of_media[0]["master"], &json!("ens6"));
    let range = &of_media[0]["ipam"]["ranges"][0][0];
    let prefix = status["ipv4Prefixes"][0].as_str().unwrap_or_default();
    environment.assert_eq(
        "the prefix",
        format!("{}/28", range["rangeStart"].as_str().unwrap_or_default()),
        prefix.to_owned(),
    );

    for (args, expected) in [
        (["nad", "--nodeeni", "none"], "the cluster has no NodeENI none"),
        (["nad", "--node", "node2"], "no ENI of the NodeENIs is on a Node node2"),
    ] {
        let (code, _, words) = multi_eni(&environment, &reader, &args, "")?;
        environment.assert_eq(&words, code, 1);
        assert!(words.contains(expected), "{words}");
    }
    let (code, text, words) = multi_eni(&environment, &reader, &["nad", "-f", "-"], &spec("bad", 0, "mtu: 1500"))?;
    environment.assert_eq(&words, (code, text.as_str()), (1, ""));
    assert!(words.contains("NodeENI bad would be refused: "), "{words}");
    let with_unknown = |name: &str| spec(name, 1, "nodeConfig: {interfaceName: storage, via: x}");
    for name in ["new", "storage"] {
        let (code, _, words) = multi_eni(&environment, &reader, &["nad", "-f", "-"], &with_unknown(name))?;
        environment.assert_eq(&words, code, 1);
        let expected = format!("Warning: NodeENI {name} would be refused: unknown field spec.nodeConfig.via");
        environment.assert_eq("one sentence", words.lines().collect::<Vec<_>>(), vec![expected.as_str()]);
    }

    // A NodeENI of the file asks for a name that a link of its node has.
    let second = spec("second", 4, "nodeConfig: {interfaceName: storage}");
    let (code, _, words) = multi_eni(&environment, &reader, &["nad", "-f", "-"], &second)?;
    environment.assert_eq(&words, code, 0);
    let expected =
        "Warning: NodeENI second and NodeENI storage both ask for the interfaceName storage, and select node1: ";
    assert!(words.starts_with(expected) && words.lines().count() == 1, "{words}");

    // An edit that moves the ENI: what is printed is of the ENI that is there.
    let moved = storage.replace(SUBNET_A, SUBNET_B);
    let (code, text, words) = multi_eni(&environment, &reader, &["nad", "-f", "-"], &moved)?;
    environment.assert_eq(&words, code, 0);
    assert!(text.contains(&gateway) && words.lines().count() == 1, "{text} {words}");
    for part in
        ["NodeENI storage: the spec asks for another ENI than node1 (eni-", SUBNET_A, "once the file is applied"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    environment.passed();
    Ok(())
}

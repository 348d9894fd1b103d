//! Where EKS and EC2 run: one NodeENI per zone over one node group, joining nodes, nodes that can have no ENI, IPv6.

use super::plan::made;
use crate::harness::account::{FAR_SUBNET, SUBNET_A, VPC, ZONE};
use crate::harness::{Environment, Failure, SOON};
use serde_json::{Value, json};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const IPV6_SUBNET: &str = "subnet-0666666666666666a";

fn nodeeni(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.aws/v1alpha1, kind: NodeENI, metadata: {{name: {name}}}, spec: {{nodeSelector: {{ng: multi-eni}}, {spec}}}}}"
    )
}

fn wait(environment: &Environment, name: &str, condition: &str) -> Result<String, Failure> {
    environment.kubectl(&["wait", &format!("nodeeni/{name}"), &format!("--for=condition={condition}"), "--timeout=20s"])
}

/// Waits until the status says that so many nodes match.
fn matched(environment: &Environment, name: &str, nodes: i64) -> Result<(), Failure> {
    environment.until(&format!("{nodes} nodes match {name}"), SOON, || {
        let status = environment.get(&["nodeeni", name])?["status"].clone();
        if status["matchedNodes"] == nodes { Ok(()) } else { Err(format!("{status:#}").into()) }
    })
}

fn node(environment: &Environment, name: &str, spec: &Value) -> Result<(), Failure> {
    let labels = json!({ "ng": "multi-eni" });
    let object =
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels }, "spec": spec });
    environment.apply(&object.to_string())
}

#[test]
fn one_nodeeni_per_zone_and_nodes_that_can_have_no_eni() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&nodeeni("zone-a", &format!("subnetID: {SUBNET_A}, deviceIndex: 1")))?;
    environment.apply(&nodeeni("zone-b", &format!("subnetID: {FAR_SUBNET}, deviceIndex: 1")))?;
    environment.attached(INSTANCE, &[1], SOON)?;
    wait(&environment, "zone-a", "Ready")?;
    wait(&environment, "zone-b", "Ready")?;
    wait(&environment, "zone-a", "ZonesCovered")?;
    let (reason, message) = environment.condition("zone-b", "ZonesCovered", "False", SOON)?;
    environment.assert_eq("reason", reason.as_str(), "NoSubnetInZone");
    assert!(message.contains("node1") && message.contains(ZONE), "{message}");
    let status = environment.get(&["nodeeni", "zone-b"])?["status"].clone();
    let counts = ["matchedNodes", "nodesWithoutSubnet", "desired", "failed"].map(|field| status[field].as_i64());
    environment.assert_eq("counts of zone-b", counts, [Some(1), Some(1), Some(0), Some(0)]);

    // A node joins: the cloud provider has not written its providerID yet. That is no failure.
    let taint =
        json!([{ "key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule" }]);
    node(&environment, "joining", &json!({ "taints": taint }))?;
    node(&environment, "fargate-1", &json!({ "providerID": "aws:///eu-central-1a/8c6e6b5f2a/fargate-ip-10-0-0-1" }))?;
    let (_, message) = environment.condition("zone-a", "NodesSupported", "False", SOON)?;
    assert!(message.contains("fargate-1") && message.contains("Fargate"), "{message}");
    assert!(message.contains("key eks.amazonaws.com/compute-type, operator NotIn, values [fargate]"), "{message}");
    let (_, message) = environment.condition("zone-a", "Progressing", "True", SOON)?;
    assert!(message.contains("joining") && message.contains("providerID"), "{message}");
    environment.condition("zone-a", "Degraded", "False", SOON)?;
    // The API server has Warnings of its own, about its Service.
    let ours = "--field-selector=type=Warning,reportingComponent=networking.k8s.aws/multi-eni";
    let warnings = environment.kubectl(&["get", "events", "-A", ours, "-o", "name"])?;
    environment.assert_eq("warnings", warnings.trim(), "");
    environment.kubectl(&["delete", "node", "joining"])?;
    wait(&environment, "zone-a", "Ready")?;
    matched(&environment, "zone-a", 2)?;
    // As the condition says, the node is excluded by its labels.
    let calls = made(&environment);
    environment.kubectl(&["label", "node", "fargate-1", "eks.amazonaws.com/compute-type=fargate"])?;
    let not_fargate = json!({ "key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"] });
    let patch = json!({ "spec": { "nodeSelectorTerms": [{ "matchExpressions": [not_fargate] }] } }).to_string();
    environment.kubectl(&["patch", "nodeeni", "zone-a", "--type=merge", "-p", &patch])?;
    environment.condition("zone-a", "NodesSupported", "True", SOON)?;
    matched(&environment, "zone-a", 1)?;
    environment.condition("zone-a", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.assert_eq("EC2 calls of the new selector", made(&environment), calls);
    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

#[test]
fn ipv6_only_subnets_prefixes_and_probes_over_ipv6() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let failed = |error: multi_eni_sim::ec2::WorldError| error.to_string();
    let ec2 = &environment.account.ec2;
    ec2.set_ipv6_cidr(SUBNET_A, "2001:db8:0:1::/64").map_err(failed)?;
    ec2.add_ipv6_only_subnet(IPV6_SUBNET, VPC, ZONE, "2001:db8:0:6::/64").map_err(failed)?;
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&nodeeni("only", &format!("subnetID: {IPV6_SUBNET}, deviceIndex: 1")))?;
    environment.apply(&nodeeni("delegated", &format!("subnetID: {SUBNET_A}, deviceIndex: 2, ipv6PrefixCount: 2")))?;
    let dual = format!("subnetID: {SUBNET_A}, deviceIndex: 3, ipv6AddressCount: 2, ipv4PrefixCount: 1");
    environment.apply(&nodeeni("dual", &dual))?;
    environment.attached(INSTANCE, &[1, 2, 3], SOON)?;
    ["only", "delegated", "dual"].iter().try_for_each(|name| wait(&environment, name, "Ready").map(drop))?;
    let all = environment.get(&["eniattachments"])?["items"].clone();
    let status_of = |name: &str| {
        let items = all.as_array().into_iter().flatten();
        items
            .clone()
            .find(|item| item["spec"]["nodeENIName"] == name)
            .map(|item| item["status"].clone())
            .unwrap_or_default()
    };
    let (only, delegated, dual) = (status_of("only"), status_of("delegated"), status_of("dual"));
    environment.assert_eq("IPv4 addresses in the IPv6-only subnet", &only["privateIPs"], &Value::Null);
    assert!(only["ipv6Addresses"][0].as_str().is_some_and(|ip| ip.starts_with("2001:db8:0:6:")), "{only}");
    assert!(delegated["privateIPs"][0].is_string() && delegated["ipv6Addresses"].is_null(), "{delegated}");
    let prefixes: Vec<&str> =
        delegated["ipv6Prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(prefixes.len() == 2 && prefixes.iter().all(|prefix| prefix.ends_with("/80")), "{delegated}");
    let of_dual = |field: &str| {
        let texts = dual[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    environment.assert_eq("IPv4 addresses beside a prefix", of_dual("privateIPs").len(), 1);
    let (ipv6, ipv4) = (of_dual("ipv6Addresses"), of_dual("ipv4Prefixes"));
    assert!(ipv6.len() == 2 && ipv6.iter().all(|ip| ip.starts_with("2001:db8:0:1:") && !ip.contains('/')), "{dual}");
    assert!(ipv4.len() == 1 && ipv4.iter().all(|prefix| prefix.ends_with("/28")), "{dual}");
    environment.assert_eq("IPv6 prefixes beside addresses", &dual["ipv6Prefixes"], &Value::Null);

    let [(ready, _), (metrics, text)] = environment.replicas[0].over_ipv6()?;
    environment.assert_eq("pages over IPv6", (ready, metrics), (200, 200));
    assert!(text.contains("multi_eni_leading"), "{text}");
    environment.idle()?;
    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

/// An instance of EKS Auto Mode without its label: EC2 shows who manages it.
#[test]
fn a_node_whose_instance_a_service_manages_gets_no_call() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let failed = |error: multi_eni_sim::ec2::WorldError| error.to_string();
    environment.node("node1", INSTANCE)?;
    let ec2 = &environment.account.ec2;
    let snapshot = ec2.snapshot();
    let primary = snapshot.attached_to(INSTANCE).get(&(0, 0)).map(|eni| eni.id.clone()).unwrap_or_default();
    ec2.hand_change_instance(INSTANCE, |instance| instance.managed = true).map_err(failed)?;
    ec2.hand_change(&primary, |eni| eni.managed = true).map_err(failed)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&nodeeni("one", &format!("subnetID: {SUBNET_A}, deviceIndex: 1")))?;
    let (_, message) = environment.condition("one", "NodesSupported", "False", SOON)?;
    assert!(message.contains("node1") && message.contains("eks.amazonaws.com manages the instance"), "{message}");
    environment.condition("one", "Degraded", "False", SOON)?;
    environment.idle()?;
    environment.assert_eq("EC2 mutations", made(&environment), std::collections::BTreeMap::new());
    environment.assert_eq("ENIAttachments", environment.names("eniattachments")?, Vec::new());
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.passed();
    Ok(())
}

/// A participant of a shared subnet does not see its tags, the tag Name among them.
#[test]
fn a_shared_subnet_is_found_by_its_id_and_not_by_its_tags() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let failed = |error: multi_eni_sim::ec2::WorldError| error.to_string();
    environment.account.ec2.name_subnet(SUBNET_A, "storage").map_err(failed)?;
    environment.account.ec2.share_subnet(SUBNET_A, "210987654321").map_err(failed)?;
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&nodeeni("by-name", "subnetName: storage, deviceIndex: 1"))?;
    environment.apply(&nodeeni("by-terms", "subnetSelectorTerms: [{name: storage}], deviceIndex: 2"))?;
    environment.apply(&nodeeni("by-id", &format!("subnetID: {SUBNET_A}, deviceIndex: 3")))?;
    for name in ["by-name", "by-terms"] {
        let (reason, message) = environment.condition(name, "Degraded", "True", SOON)?;
        environment.assert_eq(name, reason.as_str(), "SubnetNotFound");
        assert!(message.contains("shows none of its owner's tags"), "{message}");
    }
    environment.attached(INSTANCE, &[3], SOON)?;
    wait(&environment, "by-id", "Ready")?;
    environment.condition("by-id", "Degraded", "False", SOON)?;
    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

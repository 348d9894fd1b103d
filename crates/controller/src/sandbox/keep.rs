//! With `--keep`: how to reach the running sandbox, and what it waits for while an ENI is missing. The user may change the labels of
//! the Nodes and the NodeENIs meanwhile, so what is missing is computed anew from both.

use super::checks;
use super::environment::{Environment, LABEL_GRACE, REGION};
use super::manifests::Labels;
use super::wait::SAY_EVERY;
use super::zones::{Places, Zone};
use multi_eni_api::NodeENI;
use multi_eni_plan::counted::counted;
use multi_eni_plan::nodeeni::NodeEni;
use std::collections::BTreeMap;
use tokio::time::sleep;

/// Prints how to reach the environment, which then runs until Ctrl-C. Until all ENIs are there, says what is missing.
pub async fn keep(environment: &Environment, labelled: &[(String, Labels)], is_attached: bool) {
    let terminal = &environment.terminal;
    terminal.settled();
    terminal.heading("The sandbox keeps running. In another terminal:");
    terminal.line(&format!("  export KUBECONFIG={}", environment.kubeconfig.display()));
    terminal.line(&format!("  export {}", variables(&environment.ec2_url, environment.network.is_some())));
    // `multi-eni` need not be on the PATH, so print the path of this program.
    let program = std::env::current_exe().map_or_else(|_| "multi-eni".to_owned(), |path| path.display().to_string());
    let unlabel = labelled.first().and_then(|(node, labels)| unlabel_command(node, labels));
    let unlabel = unlabel.map(|command| format!("  {command}\n")).unwrap_or_default();
    if let Some(network) = &environment.network {
        let (namespace, doctor) = (network.namespace_of("node1"), network.doctor_command("node1"));
        terminal.line(&format!("  ip -n {namespace} addr\n  ip -n {namespace} rule\n  {doctor}"));
    }
    terminal.line(&format!("  kubectl get nodes,neni,enia\n  {program} explain node/node1\n{unlabel}  kubectl describe neni\n  curl http://{}/metrics\n  {program} drain --dry-run\n\nCtrl-C removes the NodeENIs and their ENIs, and ends the sandbox.", environment.controller_address));
    if !is_attached {
        let mut said = None;
        let enis = loop {
            match attached_now(environment).await {
                Ok(enis) => break enis,
                Err(why) if said.as_ref() != Some(&why) => {
                    terminal.event("waits", &why);
                    said = Some(why);
                }
                Err(_) => {}
            }
            sleep(SAY_EVERY).await;
        };
        terminal.event("check", &format!("✓ every ENI is attached and ready ({})", counted(enis, "ENI")));
    }
    std::future::pending().await
}

/// The variables by which the commands of another terminal reach the simulated EC2, and have the settings of the sandbox's controller.
fn variables(ec2_url: &str, node_agent: bool) -> String {
    let node_agent = if node_agent { " MULTI_ENI_NODE_AGENT=true" } else { "" };
    format!(
        "AWS_ENDPOINT_URL={ec2_url} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox \
         MULTI_ENI_CLUSTER_NAME=sandbox MULTI_ENI_LABEL_GRACE={LABEL_GRACE}s{node_agent}"
    )
}

/// The command that takes the labels from a node. None: the NodeENIs need no label.
fn unlabel_command(node: &str, labels: &Labels) -> Option<String> {
    let keys: Vec<String> = labels.keys().map(|key| format!("{key}-")).collect();
    (!keys.is_empty()).then(|| format!("kubectl label node {node} {}", keys.join(" ")))
}

/// Whether all ENIs are attached and Ready that the NodeENIs ask for with the present labels of the Nodes. Returns their number.
async fn attached_now(environment: &Environment) -> Result<usize, String> {
    let nodeenis: Vec<NodeENI> = environment.kubectl.nodeenis().await?.into_values().collect();
    let labels = environment.kubectl.labels_of_nodes().await?;
    let nodes = environment.nodes.iter().map(|node| (node.name.as_str(), node.zone));
    let nodes: Vec<_> = nodes.filter_map(|(name, zone)| Some((name, zone, labels.get(name)?))).collect();
    let remaining = nodeenis.iter().filter(|object| object.metadata.deletion_timestamp.is_none());
    let names: Vec<String> = remaining.filter_map(|object| object.metadata.name.clone()).collect();
    checks::attached(environment, &names, &expected_now(&nodes, &nodeenis, &environment.places)).await
}

/// The names of the NodeENIs that select and cover each node.
fn expected_now(
    nodes: &[(&str, Zone, &Labels)],
    nodeenis: &[NodeENI],
    places: &Places,
) -> BTreeMap<String, Vec<String>> {
    let read: Vec<_> = nodeenis
        .iter()
        .map(|object| (NodeEni::read(object), serde_json::to_value(&object.spec).unwrap_or_default()))
        .collect();
    let of_node = |zone: Zone, labels: &Labels| {
        let labels = labels.iter().collect();
        let asking =
            read.iter().filter(|(nodeeni, spec)| nodeeni.spec_for(&labels).is_some() && places.covers(spec, zone));
        asking.map(|(nodeeni, _)| nodeeni.name.clone()).collect()
    };
    nodes.iter().map(|(name, zone, labels)| ((*name).to_owned(), of_node(*zone, labels))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::manifests::Manifests;
    use super::*;
    use serde_json::json;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_hint_takes_the_labels_that_the_file_needs() {
        assert_eq!(unlabel_command("node1", &labels(&[("ng", "x")])).as_deref(), Some("kubectl label node node1 ng-"));
        let two = unlabel_command("node1", &labels(&[("pool", "db"), ("tier", "x")]));
        assert_eq!(two.as_deref(), Some("kubectl label node node1 pool- tier-"));
        assert_eq!(unlabel_command("node1", &labels(&[])), None);
    }

    #[test]
    fn another_terminal_gets_the_settings_of_the_controller() {
        let without = variables("http://127.0.0.1:1", false);
        assert!(without.starts_with("AWS_ENDPOINT_URL=http://127.0.0.1:1 "), "{without}");
        assert!(without.ends_with(" MULTI_ENI_CLUSTER_NAME=sandbox MULTI_ENI_LABEL_GRACE=1s"), "{without}");
        assert_eq!(variables("http://127.0.0.1:1", true), format!("{without} MULTI_ENI_NODE_AGENT=true"));
    }

    #[test]
    fn a_node_without_the_labels_and_a_nodeeni_that_is_deleted_are_not_waited_for() {
        let object = |name: &str, subnet: &str| {
            json!({
                "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": name },
                "spec": { "nodeSelector": { "pool": "db" }, "subnetIDs": [subnet] },
            })
        };
        let objects = vec![object("a", "subnet-0000000a"), object("b", "subnet-0000000b")];
        let places = Places::new(&[Manifests { title: String::new(), objects: objects.clone() }], 2);
        let zones: Vec<Zone> = places.zones().collect();
        let mut nodeenis: Vec<NodeENI> =
            objects.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect();
        let (with, other) = (labels(&[("pool", "db")]), labels(&[("pool", "web")]));
        let expected = |node1: &Labels, nodeenis: &[NodeENI]| {
            expected_now(&[("node1", zones[0], node1), ("node2", zones[1], &with)], nodeenis, &places)
        };
        let of = |node1: &[&str], node2: &[&str]| -> BTreeMap<String, Vec<String>> {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            [("node1".to_owned(), owned(node1)), ("node2".to_owned(), owned(node2))].into()
        };
        assert_eq!(expected(&with, &nodeenis), of(&["a"], &["b"]));
        assert_eq!(expected(&other, &nodeenis), of(&[], &["b"]));
        nodeenis[1].metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(expected(&with, &nodeenis), of(&["a"], &[]));
    }
}

//! The architecture page's second example: the subnet by a label of the node.

use crate::harness::account::{SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};

const MANIFESTS: &str = include_str!("../../../manifests/subnet-by-label.yaml");
const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";

#[test]
fn each_node_gets_an_eni_of_the_subnet_that_its_label_names() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", FIRST)?;
    environment.node("node2", SECOND)?;
    environment.apply(MANIFESTS)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni", "subnet=a"])?;
    environment.kubectl(&["label", "node", "node2", "ng=multi-eni", "subnet=b"])?;
    let subnet = |instance: &str| environment.account.ours_on(instance).remove(&1).map(|eni| eni.subnet_id);
    environment.attached(FIRST, &[1], SOON)?;
    environment.attached(SECOND, &[1], SOON)?;
    environment.assert_eq("subnet of node1", subnet(FIRST).as_deref(), Some(SUBNET_A));
    environment.assert_eq("subnet of node2", subnet(SECOND).as_deref(), Some(SUBNET_B));

    // The ENI of the other subnet needs the same index: it is attached after the first one has been removed.
    environment.kubectl(&["label", "node", "node1", "subnet=b", "--overwrite"])?;
    environment.until("node1 with an ENI of subnet B", SOON, || match subnet(FIRST) {
        Some(found) if found == SUBNET_B => Ok(()),
        other => Err(format!("{other:?}").into()),
    })?;
    environment.attached(FIRST, &[1], SOON)?;
    environment.condition("nodeeni-subnet-b", "Ready", "True", SOON)?;
    environment.until("two ENIs in the status of nodeeni-subnet-b", SOON, || {
        match environment.get(&["nodeeni", "nodeeni-subnet-b"])?["status"]["ready"].as_i64() {
            Some(2) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })?;
    environment.idle()?;
    environment.kubectl(&["delete", "nodeeni", "--all", "--timeout=30s"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    // One line for each EC2 call, with the request ID by which AWS finds the call.
    let lines = environment.until("a line of the log for each EC2 call", SOON, || {
        let log = environment.replicas[0].log();
        let lines: Vec<String> = log.lines().filter(|line| line.contains("EC2 call")).map(str::to_owned).collect();
        let arrived = environment.account.ec2.calls().len();
        if lines.len() == arrived { Ok(lines) } else { Err(format!("{} lines, {arrived} calls", lines.len()).into()) }
    })?;
    let without_id: Vec<&String> =
        lines.iter().filter(|line| !line.contains("request_id") || !line.contains("INFO")).collect();
    assert!(without_id.is_empty(), "{without_id:#?}");
    let has = |action: &str| lines.iter().any(|line| line.contains(action));
    assert!(has("DescribeNetworkInterfaces") && has("CreateNetworkInterface"), "{lines:#?}");
    environment.passed();
    Ok(())
}

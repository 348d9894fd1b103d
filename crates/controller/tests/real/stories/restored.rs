//! etcd is restored from a backup under a running controller: revisions go back, and watches bring nothing until the revisions
//! have caught up.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};

#[test]
fn a_running_process_reads_a_restored_store_again() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    for n in 1..=3 {
        environment.node(&format!("node{n}"), &format!("i-0aaaaaaaaaaaaaa0{n}"))?;
    }
    environment.kubectl(&["label", "node", "node1", "node2", "ng=multi-eni"])?;
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    environment.apply(&nodeeni("one", &[&subnet, &group]))?;
    for n in 1..=2 {
        environment.attached(&format!("i-0aaaaaaaaaaaaaa0{n}"), &[1], SOON)?;
    }
    environment.condition("one", "Ready", "True", SOON)?;
    environment.plane.save_store()?;

    // What the backup does not have: a node loses its ENI, and the revisions advance.
    environment.kubectl(&["label", "node", "node2", "ng-"])?;
    environment.attached("i-0aaaaaaaaaaaaaa02", &[], SOON * 3)?;
    for n in 0..100 {
        environment.kubectl(&["annotate", "node", "--all", "--overwrite", &format!("example.com/n={n}")])?;
    }
    environment.plane.restore_store()?;

    // The node that has its label again gets an ENI again, and later changes are noticed.
    environment.attached("i-0aaaaaaaaaaaaaa02", &[1], SOON * 6)?;
    environment.kubectl(&["label", "node", "node3", "ng=multi-eni"])?;
    environment.attached("i-0aaaaaaaaaaaaaa03", &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    let said = environment.replicas.iter().any(|replica| replica.log().contains("restored from a backup"));
    environment.assert_eq("the log says why all was read anew", said, true);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

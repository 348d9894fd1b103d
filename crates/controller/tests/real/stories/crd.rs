//! The deletion of a CRD removes no ENI.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

#[test]
fn a_crd_being_deleted_detaches_nothing() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    environment.kubectl(&["delete", "crd", "nodeenis.networking.k8s.aws", "--wait=false"])?;
    environment.until("the NodeENI being deleted with its CRD", SOON, || {
        let object = environment.get(&["nodeeni", "one"])?;
        if object["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(format!("{object:#}").into()) }
    })?;
    environment.until("a warning in the log", SOON, || {
        let log = environment.replicas[0].log();
        if log.contains("is being deleted: nothing is attached, detached or deleted") {
            Ok(())
        } else {
            Err(log.into())
        }
    })?;
    environment.idle()?;
    environment.assert_eq("mutations", environment.account.mutations().len(), 0);
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.passed();
    Ok(())
}

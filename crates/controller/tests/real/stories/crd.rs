//! Deleting a CRD is no word about ENIs that carry traffic.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

#[test]
fn a_crd_being_deleted_detaches_nothing() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    stage.kubectl(&["delete", "crd", "nodeenis.networking.k8s.aws", "--wait=false"])?;
    stage.until("the NodeENI being deleted with its CRD", SOON, || {
        let object = stage.get(&["nodeeni", "one"])?;
        if object["metadata"]["deletionTimestamp"].is_string() { Ok(()) } else { Err(format!("{object:#}").into()) }
    })?;
    stage.until("a warning in the log", SOON, || {
        let log = stage.replicas[0].log();
        if log.contains("is being deleted: nothing is attached, detached or deleted") {
            Ok(())
        } else {
            Err(log.into())
        }
    })?;
    stage.idle()?;
    stage.assert_eq("mutations", stage.account.mutations().len(), 0);
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.passed();
    Ok(())
}

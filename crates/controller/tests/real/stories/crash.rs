//! kill -9 in the middle of a call that takes effect; another process finishes the work with the same ENI.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};
use multi_eni_sim::ec2::{Fault, FaultRule};
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
/// A killed leader's Lease ends after 15 s.
const LEASE: Duration = Duration::from_secs(20);

fn set() -> Result<Stage, Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    Ok(stage)
}

/// The next `action` takes effect and is not answered; the process dies waiting, and another is started.
fn killed_during(stage: &mut Stage, action: &'static str, cause: &[&str]) -> Result<(), Failure> {
    stage.account.ec2.inject(FaultRule::on(action, Fault::SlowAnswer(Duration::from_secs(6))).once());
    let ec2 = stage.account.ec2.clone();
    stage.kubectl(cause)?;
    let landed = stage.account.block_on(async {
        let call = ec2.wait_for_call(|call| call.action == action && call.mutated());
        tokio::time::timeout(SOON, call).await
    });
    landed.map_err(|_| stage.failed(&format!("{action} was never called")))?;
    for replica in &mut stage.replicas {
        replica.kill9();
    }
    stage.start_replica(&[])?;
    Ok(())
}

#[test]
fn during_create() -> Result<(), Failure> {
    let mut stage = set()?;
    killed_during(&mut stage, "CreateNetworkInterface", &["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON + LEASE)?;
    finished(stage)
}

#[test]
fn during_attach() -> Result<(), Failure> {
    let mut stage = set()?;
    killed_during(&mut stage, "AttachNetworkInterface", &["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON + LEASE)?;
    finished(stage)
}

/// Ready, with the one ENI that was ever made; and clean again afterwards.
fn finished(stage: Stage) -> Result<(), Failure> {
    stage.condition("one", "Ready", "True", SOON + LEASE)?;
    stage.until("the ENI in the status", SOON + LEASE, || match stage.get(&["nodeeni", "one"])?["status"]["ready"]
        .as_i64()
    {
        Some(1) => Ok(()),
        other => Err(format!("{other:?}").into()),
    })?;
    stage.assert_eq("ENIs ever made", stage.account.created().len(), 1);
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    stage.clean(SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

#[test]
fn during_detach() -> Result<(), Failure> {
    let mut stage = set()?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(INSTANCE, &[1], SOON)?;
    killed_during(&mut stage, "DetachNetworkInterface", &["label", "node", "node1", "ng-"])?;
    stage.clean(SOON + LEASE)?;
    stage.assert_eq("ENIs ever made", stage.account.created().len(), 1);
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

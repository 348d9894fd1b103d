//! A process is killed during a call that takes effect. The next process finishes the work with the same ENI.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::{Fault, FaultRule};
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
/// A killed leader's Lease ends after 15 s.
const LEASE: Duration = Duration::from_secs(20);

fn set() -> Result<Environment, Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    Ok(environment)
}

/// The next `action` takes effect but is not answered. The process is killed while it waits, and another is started.
fn killed_during(environment: &mut Environment, action: &'static str, cause: &[&str]) -> Result<(), Failure> {
    environment.account.ec2.inject(FaultRule::on(action, Fault::SlowAnswer(Duration::from_secs(6))).once());
    let ec2 = environment.account.ec2.clone();
    environment.kubectl(cause)?;
    let landed = environment.account.block_on(async {
        let call = ec2.wait_for_call(|call| call.action == action && call.mutated());
        tokio::time::timeout(SOON, call).await
    });
    landed.map_err(|_| environment.failed(&format!("{action} was never called")))?;
    for replica in &mut environment.replicas {
        replica.kill9();
    }
    environment.start_replica(&[])?;
    Ok(())
}

#[test]
fn during_create() -> Result<(), Failure> {
    let mut environment = set()?;
    killed_during(&mut environment, "CreateNetworkInterface", &["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON + LEASE)?;
    finished(environment)
}

#[test]
fn during_attach() -> Result<(), Failure> {
    let mut environment = set()?;
    killed_during(&mut environment, "AttachNetworkInterface", &["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON + LEASE)?;
    finished(environment)
}

/// Asserts that the NodeENI is Ready with the only ENI that was ever made, and that everything can be removed afterwards.
fn finished(environment: Environment) -> Result<(), Failure> {
    environment.condition("one", "Ready", "True", SOON + LEASE)?;
    environment.until("the ENI in the status", SOON + LEASE, || {
        match environment.get(&["nodeeni", "one"])?["status"]["ready"].as_i64() {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })?;
    environment.assert_eq("ENIs ever made", environment.account.created().len(), 1);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn during_detach() -> Result<(), Failure> {
    let mut environment = set()?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(INSTANCE, &[1], SOON)?;
    killed_during(&mut environment, "DetachNetworkInterface", &["label", "node", "node1", "ng-"])?;
    environment.clean(SOON + LEASE)?;
    environment.assert_eq("ENIs ever made", environment.account.created().len(), 1);
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

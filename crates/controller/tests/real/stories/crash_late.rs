//! A process is killed with a call under way that takes effect only when the next process is at work already; and during Modify,
//! which comes after Ready.
//!
//! A Delete whose answer is lost is not tested here: the next process believes that the ENI is gone only after 60 s, which the
//! tests of `plan` cover.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use std::thread;
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
/// Longer than a process takes to start and to act.
const LATE: Duration = Duration::from_secs(3);

/// Kills the process when the call has arrived at EC2, and starts another process in its pod.
fn killed_in(environment: &mut Environment, action: &'static str, fault: Fault, label: &str) -> Result<(), Failure> {
    let arrived = environment.account.inject_once(action, fault);
    environment.kubectl(&["label", "node", "node1", label])?;
    arrived.recv_timeout(SOON).map_err(|e| environment.failed(&format!("{action} never came: {e}")))?;
    environment.crash()
}

/// Asserts that the NodeENI is Ready with one ENI, also after the late call has landed.
fn whole(environment: &Environment, what: &str, made: usize) -> Result<(), Failure> {
    environment.until(&format!("ready, {what}"), SOON, || {
        let status = &environment.get(&["nodeeni", "one"])?["status"];
        if status["ready"] == 1 { Ok(()) } else { Err(format!("{status:#}").into()) }
    })?;
    // This does not wait for the controller: the late call lands during this time and must do no harm.
    thread::sleep(LATE);
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.until(&format!("deleteOnTermination, {what}"), SOON, || {
        let at = environment.account.ours_on(INSTANCE).remove(&1).and_then(|eni| eni.attachment);
        if at.as_ref().is_some_and(|at| at.delete_on_termination) { Ok(()) } else { Err(format!("{at:?}").into()) }
    })?;
    environment.assert_eq(&format!("ENIs, {what}"), environment.account.ours().len(), 1);
    environment.assert_eq(&format!("ENIs ever made, {what}"), environment.account.created().len(), made);
    Ok(())
}

#[test]
fn a_call_that_lands_after_the_crash_does_no_harm() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    let rounds = [
        ("CreateNetworkInterface", Fault::Delay(LATE), "DetachNetworkInterface", Fault::Delay(LATE)),
        ("AttachNetworkInterface", Fault::Delay(LATE), "DeleteNetworkInterface", Fault::Delay(LATE)),
        ("ModifyNetworkInterfaceAttribute", Fault::SlowAnswer(LATE), "DetachNetworkInterface", Fault::SlowAnswer(LATE)),
    ];
    for (round, (way_in, fault_in, way_out, fault_out)) in (1..).zip(rounds) {
        let what = format!("killed in {way_in} ({fault_in:?})");
        killed_in(&mut environment, way_in, fault_in, "ng=multi-eni")?;
        whole(&environment, &what, round)?;
        killed_in(&mut environment, way_out, fault_out, "ng-")?;
        environment.clean(SOON)?;
    }
    environment.account.ec2.clear_faults();
    thread::sleep(LATE);
    environment.clean(SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

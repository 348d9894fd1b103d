//! Nodes that are deleted, terminated, or replaced under the same name.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};

const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";

fn set(delete_on_termination: bool) -> Result<Environment, Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", FIRST)?;
    let spec = [
        format!("subnetID: {SUBNET_A}"),
        format!("securityGroupIDs: [{GROUP}]"),
        format!("deleteOnTermination: {delete_on_termination}"),
    ];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(FIRST, &[1], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    Ok(environment)
}

#[test]
fn a_deleted_node_whose_instance_runs_on_is_cleaned_up_after_the_grace() -> Result<(), Failure> {
    let environment = set(true)?;
    environment.kubectl(&["delete", "node", "node1"])?;
    environment.clean(SOON)?;
    let call_counts = environment.account.call_counts();
    environment.assert_eq("detaches", call_counts.get("DetachNetworkInterface"), Some(&1));
    environment.assert_eq("deletes", call_counts.get("DeleteNetworkInterface"), Some(&1));
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn a_terminated_instance_costs_no_detach_and_its_surviving_eni_is_deleted() -> Result<(), Failure> {
    let environment = set(false)?;
    // A second ENI that EC2 deletes with the instance causes no call at all.
    let spec = [format!("subnetID: {SUBNET_A}"), "deviceIndex: 2".to_owned()];
    environment.apply(&nodeeni("goes", &spec.each_ref().map(String::as_str)))?;
    environment.attached(FIRST, &[1, 2], SOON)?;
    environment.idle()?;
    environment.account.ec2.clear_calls();
    environment.account.ec2.terminate_instance(FIRST).map_err(|e| e.to_string())?;
    environment.assert_eq("ENIs that survive the instance", environment.account.ours().len(), 1);
    environment.kubectl(&["delete", "node", "node1"])?;
    // EC2 detaches the ENI by itself. That is believed once the read cannot be older than our own last call (60 s).
    environment.clean(SOON * 4)?;
    let call_counts = environment.account.call_counts();
    environment.assert_eq("detaches", call_counts.get("DetachNetworkInterface"), None);
    environment.assert_eq("deletes", call_counts.get("DeleteNetworkInterface"), Some(&1));
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn a_node_replaced_under_the_same_name_is_another_node() -> Result<(), Failure> {
    let environment = set(true)?;
    let old = environment.account.ours_on(FIRST).remove(&1).map(|eni| eni.id);
    environment.kubectl(&["delete", "node", "node1"])?;
    environment.node("node1", SECOND)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.attached(SECOND, &[1], SOON)?;
    environment.attached(FIRST, &[], SOON)?;
    environment.until("one ENI of ours, on the new instance", SOON, || {
        let ours: Vec<String> = environment.account.ours().into_iter().map(|eni| eni.id).collect();
        if ours.len() == 1 && ours.first() != old.as_ref() { Ok(()) } else { Err(format!("{ours:?}").into()) }
    })?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.idle()?;
    environment.passed();
    Ok(())
}

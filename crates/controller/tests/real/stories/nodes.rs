//! Nodes that go: deleted, terminated, replaced under their name.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};

const FIRST: &str = "i-0aaaaaaaaaaaaaaa1";
const SECOND: &str = "i-0bbbbbbbbbbbbbbb2";

fn set(delete_on_termination: bool) -> Result<Stage, Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", FIRST)?;
    let spec = [
        format!("subnetID: {SUBNET_A}"),
        format!("securityGroupIDs: [{GROUP}]"),
        format!("deleteOnTermination: {delete_on_termination}"),
    ];
    stage.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(FIRST, &[1], SOON)?;
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    Ok(stage)
}

#[test]
fn a_deleted_node_whose_instance_runs_on_is_cleaned_up_after_the_grace() -> Result<(), Failure> {
    let stage = set(true)?;
    stage.kubectl(&["delete", "node", "node1"])?;
    stage.clean(SOON)?;
    let tally = stage.account.tally();
    stage.assert_eq("detaches", tally.get("DetachNetworkInterface"), Some(&1));
    stage.assert_eq("deletes", tally.get("DeleteNetworkInterface"), Some(&1));
    stage.idle()?;
    stage.passed();
    Ok(())
}

#[test]
fn a_terminated_instance_costs_no_detach_and_its_surviving_eni_is_deleted() -> Result<(), Failure> {
    let stage = set(false)?;
    // Beside it one that EC2 deletes with the instance: that costs no call at all.
    let spec = [format!("subnetID: {SUBNET_A}"), "deviceIndex: 2".to_owned()];
    stage.apply(&nodeeni("goes", &spec.each_ref().map(String::as_str)))?;
    stage.attached(FIRST, &[1, 2], SOON)?;
    stage.idle()?;
    stage.account.ec2.clear_calls();
    stage.account.ec2.terminate_instance(FIRST).map_err(|e| e.to_string())?;
    stage.assert_eq("ENIs that survive the instance", stage.account.ours().len(), 1);
    stage.kubectl(&["delete", "node", "node1"])?;
    // EC2 lets go of the ENI by itself; that is believed once it cannot be a read older than our own last call (60 s).
    stage.clean(SOON * 4)?;
    let tally = stage.account.tally();
    stage.assert_eq("detaches", tally.get("DetachNetworkInterface"), None);
    stage.assert_eq("deletes", tally.get("DeleteNetworkInterface"), Some(&1));
    stage.idle()?;
    stage.passed();
    Ok(())
}

#[test]
fn a_node_replaced_under_its_name_is_another_node() -> Result<(), Failure> {
    let stage = set(true)?;
    let old = stage.account.ours_on(FIRST).remove(&1).map(|eni| eni.id);
    stage.kubectl(&["delete", "node", "node1"])?;
    stage.node("node1", SECOND)?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.attached(SECOND, &[1], SOON)?;
    stage.attached(FIRST, &[], SOON)?;
    stage.until("one ENI of ours, on the new instance", SOON, || {
        let ours: Vec<String> = stage.account.ours().into_iter().map(|eni| eni.id).collect();
        if ours.len() == 1 && ours.first() != old.as_ref() { Ok(()) } else { Err(format!("{ours:?}").into()) }
    })?;
    stage.condition("one", "Ready", "True", SOON)?;
    stage.idle()?;
    stage.passed();
    Ok(())
}

//! A device index that somebody else has: said, never taken, and used once it is free.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Failure, SOON, Stage};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn at_index_one(name: &str, subnet: &str) -> String {
    let spec = [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

#[test]
fn by_another_nodeeni_until_that_is_deleted() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    stage.node("node1", INSTANCE)?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    stage.apply(&at_index_one("holder", SUBNET_A))?;
    stage.attached(INSTANCE, &[1], SOON)?;
    stage.apply(&at_index_one("next", SUBNET_B))?;
    let (reason, message) = stage.condition("next", "Degraded", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "DeviceIndexConflict");
    assert!(message.contains("NodeENI holder: give one of them another deviceIndex"), "{message}");
    stage.until("an event about it", SOON, || {
        let described = stage.kubectl(&["describe", "nodeeni", "next"])?;
        if described.contains("DeviceIndexConflict: node node1") { Ok(()) } else { Err(described.into()) }
    })?;
    stage.idle()?;
    stage.assert_eq("ENIs ever made", stage.account.created().len(), 1);

    stage.kubectl(&["delete", "nodeeni", "holder", "--timeout=30s"])?;
    stage.condition("next", "Ready", "True", SOON)?;
    stage.attached(INSTANCE, &[1], SOON)?;
    let subnet = stage.account.ours_on(INSTANCE).remove(&1).map(|eni| eni.subnet_id);
    stage.assert_eq("subnet", subnet.as_deref(), Some(SUBNET_B));
    stage.idle()?;
    stage.passed();
    Ok(())
}

#[test]
fn by_an_eni_that_is_not_ours() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    let (ec2, account) = (&stage.account.ec2, &stage.account);
    let by_hand = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    stage.node("node1", INSTANCE)?;
    stage.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let occupant = ec2.hand_create(SUBNET_B, &[("Name", "vpc-cni")]).map_err(by_hand)?;
    ec2.hand_attach(&occupant, INSTANCE, 0, 1).map_err(by_hand)?;
    let foreign = account.foreign();
    stage.apply(&at_index_one("one", SUBNET_A))?;
    let (reason, message) = stage.condition("one", "Degraded", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    assert!(message.contains(&occupant) && message.contains("node1"), "{message}");
    stage.idle()?;
    stage.assert_eq("mutations", account.mutations().len(), 0);
    stage.assert_eq("foreign ENIs", account.foreign(), foreign.clone());

    // It comes between the look and the Attach: the ENI is made, EC2 refuses, and that is said with no call over and over.
    stage.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    ec2.hand_detach(&occupant, true).map_err(by_hand)?;
    stage.until("index 1 free", SOON, || match ec2.snapshot().attached_to(INSTANCE).get(&(0, 1)) {
        None => Ok(()),
        Some(eni) => Err(eni.id.clone().into()),
    })?;
    let arrived = account
        .ambush("CreateNetworkInterface", multi_eni_sim::ec2::Fault::SlowAnswer(std::time::Duration::from_secs(1)));
    stage.apply(&at_index_one("two", SUBNET_A))?;
    // Free when somebody looks; the look may be as old as the refusal before.
    arrived.recv_timeout(SOON * 3).map_err(|e| stage.failed(&format!("no Create: {e}")))?;
    ec2.hand_attach(&occupant, INSTANCE, 0, 1).map_err(by_hand)?;
    let (reason, message) = stage.condition("two", "Degraded", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    stage.idle()?;
    stage.assert_eq("ENIs made", account.created().len(), 1);
    let attaches: Vec<_> = account.tally().into_iter().filter(|(action, _)| action.starts_with("Attach")).collect();
    let once = ("AttachNetworkInterface: InvalidParameterValue".to_owned(), 1);
    stage.assert_eq("Attach calls", attaches, vec![once]);
    stage.kubectl(&["delete", "nodeeni", "two", "--timeout=30s"])?;
    stage.clean(SOON)?;
    let there = ec2.snapshot().attached_to(INSTANCE).get(&(0, 1)).map(|eni| eni.id.clone());
    stage.assert_eq("the occupant", there, Some(occupant));
    stage.idle()?;
    stage.passed();
    Ok(())
}

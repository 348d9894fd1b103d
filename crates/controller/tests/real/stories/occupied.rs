//! A device index that is occupied: it is reported, never taken, and used once it is free.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";

fn at_index_one(name: &str, subnet: &str) -> String {
    let spec = [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]")];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

#[test]
fn by_another_nodeeni_until_that_is_deleted() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    environment.apply(&at_index_one("holder", SUBNET_A))?;
    environment.attached(INSTANCE, &[1], SOON)?;
    environment.apply(&at_index_one("next", SUBNET_B))?;
    let (reason, message) = environment.condition("next", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "DeviceIndexConflict");
    assert!(message.contains("NodeENI holder: give one of the two NodeENIs another deviceIndex"), "{message}");
    environment.until("an event about it", SOON, || {
        let described = environment.kubectl(&["describe", "nodeeni", "next"])?;
        if described.contains("DeviceIndexConflict: node node1") { Ok(()) } else { Err(described.into()) }
    })?;
    environment.idle()?;
    environment.assert_eq("ENIs ever made", environment.account.created().len(), 1);

    environment.kubectl(&["delete", "nodeeni", "holder", "--timeout=30s"])?;
    environment.condition("next", "Ready", "True", SOON)?;
    environment.attached(INSTANCE, &[1], SOON)?;
    let subnet = environment.account.ours_on(INSTANCE).remove(&1).map(|eni| eni.subnet_id);
    environment.assert_eq("subnet", subnet.as_deref(), Some(SUBNET_B));
    environment.idle()?;
    environment.passed();
    Ok(())
}

#[test]
fn by_an_eni_that_is_not_ours() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let (ec2, account) = (&environment.account.ec2, &environment.account);
    let by_hand = |e: multi_eni_sim::ec2::WorldError| e.to_string();
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let occupant = ec2.hand_create(SUBNET_B, &[("Name", "vpc-cni")]).map_err(by_hand)?;
    ec2.hand_attach(&occupant, INSTANCE, 0, 1).map_err(by_hand)?;
    let foreign = account.foreign();
    environment.apply(&at_index_one("one", SUBNET_A))?;
    let (reason, message) = environment.condition("one", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    assert!(message.contains(&occupant) && message.contains("node1"), "{message}");
    environment.idle()?;
    environment.assert_eq("mutations", account.mutations().len(), 0);
    environment.assert_eq("foreign ENIs", account.foreign(), foreign.clone());

    // The other ENI is attached between our lookup and our Attach: our ENI is created, EC2 refuses the Attach, and this is
    // reported without repeated calls.
    environment.kubectl(&["delete", "nodeeni", "one", "--timeout=30s"])?;
    ec2.hand_detach(&occupant, true).map_err(by_hand)?;
    environment.until("index 1 free", SOON, || match ec2.snapshot().attached_to(INSTANCE).get(&(0, 1)) {
        None => Ok(()),
        Some(eni) => Err(eni.id.clone().into()),
    })?;
    let arrived = account.inject_once(
        "CreateNetworkInterface",
        multi_eni_sim::ec2::Fault::SlowAnswer(std::time::Duration::from_secs(1)),
    );
    environment.apply(&at_index_one("two", SUBNET_A))?;
    // The index is free when the controller looks it up; that lookup may be as old as the refusal before.
    arrived.recv_timeout(SOON * 3).map_err(|e| environment.failed(&format!("no Create: {e}")))?;
    ec2.hand_attach(&occupant, INSTANCE, 0, 1).map_err(by_hand)?;
    let (reason, message) = environment.condition("two", "Degraded", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "DeviceIndexTaken");
    environment.idle()?;
    environment.assert_eq("ENIs made", account.created().len(), 1);
    let attaches: Vec<_> =
        account.call_counts().into_iter().filter(|(action, _)| action.starts_with("Attach")).collect();
    let once = ("AttachNetworkInterface: InvalidParameterValue".to_owned(), 1);
    environment.assert_eq("Attach calls", attaches, vec![once]);
    environment.kubectl(&["delete", "nodeeni", "two", "--timeout=30s"])?;
    environment.clean(SOON)?;
    let there = ec2.snapshot().attached_to(INSTANCE).get(&(0, 1)).map(|eni| eni.id.clone());
    environment.assert_eq("the occupant", there, Some(occupant));
    environment.idle()?;
    environment.passed();
    Ok(())
}

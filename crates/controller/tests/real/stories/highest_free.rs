//! `deviceIndexPolicy: highestFree` beside the AWS VPC CNI, which is played by hand: the index is chosen from the top, and stays.

use super::nodeeni;
use super::plan::{multi_eni, reader};
use crate::harness::account::{GROUP, SUBNET_A, SUBNET_B};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::{Fault, WorldError};
use std::time::Duration;

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
/// The tag that the VPC CNI sets.
const CNI: (&str, &str) = ("node.k8s.amazonaws.com/instance_id", INSTANCE);

fn spec(name: &str, subnet: &str, index: &str) -> String {
    let spec = [format!("subnetID: {subnet}"), format!("securityGroupIDs: [{GROUP}]"), index.to_owned()];
    nodeeni(name, &spec.each_ref().map(String::as_str))
}

fn highest(name: &str, subnet: &str) -> String {
    spec(name, subnet, "deviceIndexPolicy: highestFree")
}

/// The indexes in the status of the NodeENI, and in its ENIAttachments.
fn indexes(environment: &Environment, name: &str) -> Result<(Vec<i64>, Vec<i64>), Failure> {
    let nodeeni = environment.get(&["nodeeni", name])?;
    let entries = nodeeni["status"]["attachments"].as_array().cloned().unwrap_or_default();
    let listed = entries.iter().filter_map(|entry| entry["deviceIndex"].as_i64()).collect();
    let objects = environment.get(&["eniattachments"])?["items"].as_array().cloned().unwrap_or_default();
    let mine = objects.iter().filter(|object| object["spec"]["nodeENIName"] == name);
    Ok((listed, mine.filter_map(|object| object["spec"]["request"]["deviceIndex"].as_i64()).collect()))
}

/// An m5.xlarge has the device indexes 0 to 3.
#[test]
fn keeps_clear_of_the_vpc_cni() -> Result<(), Failure> {
    let mut environment = Environment::start()?;
    let by_hand = |e: WorldError| e.to_string();
    let reader = reader(&environment)?;
    environment.node("node1", INSTANCE)?;
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    let cni = environment.account.ec2.hand_create(SUBNET_B, &[CNI]).map_err(by_hand)?;
    environment.account.ec2.hand_attach(&cni, INSTANCE, 0, 1).map_err(by_hand)?;

    // The CNI takes index 2 next, and index 3 later. The plan warns of the one, and has a note about the other.
    let planned = |spec: &str| -> Result<String, Failure> {
        let (_, text, _) = multi_eni(&environment, &reader, &["plan", "-f", "-"], spec)?;
        // Long lines are wrapped.
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let warning = "warning: the AWS VPC CNI on this node takes the lowest free device index";
    let next = planned(&spec("one", SUBNET_A, "deviceIndex: 2"))?;
    assert!(next.contains("+ node1, index 2: create an ENI in") && next.contains(warning), "{next}");
    let higher = planned(&spec("one", SUBNET_A, "deviceIndex: 3"))?;
    assert!(higher.contains("+ node1, index 3: create an ENI in") && !higher.contains(warning), "{higher}");
    let note = "may take this device index as the number of pods grows, unless its MAX_ENI is at most 3.";
    assert!(higher.contains("note: node1, index 3: the AWS VPC CNI") && higher.contains(note), "{higher}");
    assert!(!next.contains("note:"), "{next}");
    let taken = planned(&spec("one", SUBNET_A, "deviceIndex: 1"))?;
    assert!(taken.contains("! node1, index 1: device index 1 on network card 0 is occupied on EC2 by"), "{taken}");
    let highest_free = planned(&highest("one", SUBNET_A))?;
    assert!(highest_free.contains("+ node1, index 3: create an ENI in"), "{highest_free}");
    assert!(!highest_free.contains(warning) && !highest_free.contains("note:"), "{highest_free}");

    environment.start_replica(&[])?;
    environment.apply(&highest("one", SUBNET_A))?;
    environment.attached(INSTANCE, &[3], SOON)?;
    environment.condition("one", "Ready", "True", SOON)?;
    environment.assert_eq("the index in the status", indexes(&environment, "one")?, (vec![3], vec![3]));

    // The CNI's interface goes, and the ENI stays where it is.
    environment.account.ec2.hand_detach(&cni, true).map_err(by_hand)?;
    environment.until("index 1 free", SOON, || {
        match environment.account.ec2.snapshot().attached_to(INSTANCE).get(&(0, 1)) {
            None => Ok(()),
            Some(eni) => Err(eni.id.clone().into()),
        }
    })?;
    environment.kubectl(&["patch", "nodeeni", "one", "--type=merge", "-p", r#"{"spec":{"description":"second"}}"#])?;
    environment.idle()?;
    environment.attached(INSTANCE, &[3], SOON)?;
    environment.assert_eq("ENIs made", environment.account.created().len(), 1);

    // The CNI takes index 2 between the decision and the Attach. The ENI was never attached, so another one takes index 1.
    let arrived = environment.account.inject_once("CreateNetworkInterface", Fault::SlowAnswer(Duration::from_secs(1)));
    environment.apply(&highest("two", SUBNET_B))?;
    arrived.recv_timeout(SOON * 3).map_err(|e| environment.failed(&format!("no Create: {e}")))?;
    environment.account.ec2.hand_attach(&cni, INSTANCE, 0, 2).map_err(by_hand)?;
    environment.attached(INSTANCE, &[1, 3], Duration::from_secs(120))?;
    environment.condition("two", "Ready", "True", SOON)?;
    environment.assert_eq("the index in the status", indexes(&environment, "two")?, (vec![1], vec![1]));
    environment.assert_eq("ENIs made", environment.account.created().len(), 3);
    let there = environment.account.ec2.snapshot().attached_to(INSTANCE).get(&(0, 2)).map(|eni| eni.id.clone());
    environment.assert_eq("the CNI's interface", there, Some(cni));

    // To exact: the ENI is at the index that deviceIndex names by default, so nothing changes.
    environment.kubectl(&[
        "patch",
        "nodeeni",
        "two",
        "--type=merge",
        "-p",
        r#"{"spec":{"deviceIndexPolicy":"exact"}}"#,
    ])?;
    environment.idle()?;
    environment.attached(INSTANCE, &[1, 3], SOON)?;
    environment.kubectl(&["delete", "nodeeni", "one", "two", "--timeout=60s"])?;
    environment.clean(SOON)?;
    environment.passed();
    Ok(())
}

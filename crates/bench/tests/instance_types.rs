//! An instance type whose limits DescribeInstanceTypes does not show, in virtual time: a refused Attach costs one ENI for all nodes
//! of the type.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_api::names::GROUP;
use multi_eni_bench::region::subnet;
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis};
use multi_eni_sim::ec2::{Fault, Incoming, Outcome};
use multi_eni_sim::kube::GroupResource;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const NODES: u32 = 100;

/// The calls that were sent, by action.
type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

fn counted(world: &World) -> Counts {
    let counts = Counts::default();
    let counter = counts.clone();
    world.ec2.set_fault_source(move |incoming: &Incoming| -> Option<Fault> {
        *counter.lock().unwrap().entry(incoming.action.clone()).or_default() += 1;
        None
    });
    counts
}

fn sent(counts: &Counts, action: &str) -> u64 {
    counts.lock().unwrap().get(&format!("{action}NetworkInterface")).copied().unwrap_or(0)
}

/// The calls of this action that EC2 carried out since the world began.
fn done(world: &World, action: &str) -> u64 {
    let counts = world.ec2.counts();
    let of_action = counts.get(&format!("{action}NetworkInterface"));
    of_action.and_then(|outcomes| outcomes.get(&Outcome::Done)).copied().unwrap_or(0)
}

/// The ENIs that the controller has created since the world began.
fn created(world: &World) -> u64 {
    done(world, "Create")
}

/// The condition Ready of the ENIAttachments that are not Ready: reasons and messages.
fn waiting(world: &World) -> Vec<(String, String)> {
    let objects = world.api.list(&GroupResource::new(GROUP, "eniattachments"));
    let condition = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready")?;
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (ready["status"] != "True").then(|| (text("reason"), text("message")))
    };
    objects.iter().filter_map(condition).collect()
}

fn degraded(world: &World) -> String {
    let object = world.api.get(&nodeenis(), "", "pool-2").expect("the NodeENI is there");
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == "Degraded").unwrap_or_default();
    format!("{}: {}", found["reason"].as_str().unwrap_or_default(), found["message"].as_str().unwrap_or_default())
}

/// A t3.micro takes two interfaces. The label names a type that EC2 does not know, so nothing is limited before the Attach.
#[test]
fn a_hundred_nodes_of_an_unknown_type_cost_one_create_an_hour() {
    let result = run_isolated(|| async {
        let world = World::open(0, 0.8).await?;
        for n in 1..=NODES {
            world.join_labelled(n, "t3.micro", "x9.unknown")?;
        }
        world.pass(10).await;
        let counts = counted(&world);
        // The first ENI of each node fits. One node is tried before the others.
        world.apply(1)?;
        world.until_ready(NODES).await?;
        let first = sent(&counts, "Create");
        // The second one does not fit.
        world.apply(2)?;
        world.pass(300).await;
        let (early, held, said) = (sent(&counts, "Create") - first, waiting(&world), degraded(&world));
        // The ENI that EC2 refused is deleted after ten minutes, and no other one is created.
        world.pass(2700).await;
        let (within_the_hour, deleted) = (sent(&counts, "Create") - first, sent(&counts, "Delete"));
        world.pass(2400).await;
        let after = sent(&counts, "Create") - first;
        let ready = world.observer.observations().are_ready;
        world.close().await;
        Ok((first, (early, within_the_hour, after), deleted, held, said, ready))
    });
    let (first, creates, deleted, held, said, ready) = result.expect("the simulation fails");
    assert_eq!(first, u64::from(NODES));
    assert_eq!(creates, (1, 1, 2), "one node is tried, and the next one an hour later");
    assert_eq!((deleted, ready), (1, i64::from(NODES)), "the ENI is not kept, and the first ENIs stay");
    let limited: Vec<_> = held.iter().filter(|(reason, _)| reason == "InstanceTypeLimit").collect();
    assert_eq!((held.len(), limited.len()), (100, 99), "{held:?}");
    let (_, message) = limited[0];
    assert!(message.contains("x9.unknown") && message.contains("Interface count 3 exceeds the limit"), "{message}");
    assert!(said.contains("Interface count 3 exceeds the limit"), "{said}");
}

/// The label names a type with more room than the instances have. A new process knows the refusal from the statuses.
#[test]
fn a_type_with_wrong_limits_costs_one_create_and_none_after_a_restart() {
    let result = run_isolated(|| async {
        let mut world = World::open(0, 0.8).await?;
        for n in 1..=200 {
            // The limits of the label's type are known, and wrong for these instances.
            world.join_labelled(n, "t3.micro", "m5.24xlarge")?;
        }
        world.apply(1)?;
        world.until_ready(200).await?;
        // The bucket of Create is full again: 100 at once would be possible.
        world.pass(60).await;
        let counts = counted(&world);
        world.apply(2)?;
        world.pass(60).await;
        let burst = sent(&counts, "Create");
        // ENIs of nodes that come later are held back.
        for n in 201..=220 {
            world.join_labelled(n, "t3.micro", "m5.24xlarge")?;
        }
        world.pass(60).await;
        let later = sent(&counts, "Create") - burst;
        world.restart().await;
        world.pass(120).await;
        let restarted = sent(&counts, "Create") - burst - later;
        // An ENI that EC2 refused to attach is kept for ten minutes.
        world.pass(900).await;
        let (refused, deleted) = (created(&world) - 220, done(&world, "Delete"));
        let enis = world.ec2.snapshot().enis.into_values();
        let free = enis.filter(|eni| eni.client_token.is_some() && eni.attachment.is_none()).count();
        let since = sent(&counts, "Create") - burst - later - restarted;
        world.close().await;
        Ok(((burst, later, restarted, since), (refused, deleted, free)))
    });
    let ((burst, later, restarted, since), (refused, deleted, free)) = result.expect("the simulation fails");
    assert_eq!(burst, 1, "one node is tried");
    assert_eq!((later, restarted, since), (20, 0, 0), "the 20 new nodes get their first ENI only");
    assert_eq!((refused, deleted, free), (1, 1, 0), "the ENI that EC2 refused is deleted again");
}

/// The label names a type with 15 device indexes on a card, and the instances have 8. With `deviceIndexPolicy: highestFree` the ENIs
/// step down from the refused index, one node first.
#[test]
fn a_refused_index_of_highest_free_costs_one_create_for_each_lower_index() {
    const NODES: u32 = 20;
    let result = run_isolated(|| async {
        let world = World::open(0, 0.8).await?;
        for n in 1..=NODES {
            world.join_labelled(n, "c6in.32xlarge", "p4d.24xlarge")?;
        }
        world.pass(10).await;
        let counts = counted(&world);
        world.apply_spec(json!({ "subnetID": subnet(1), "deviceIndexPolicy": "highestFree" }))?;
        world.until_ready(NODES).await?;
        let enis = world.ec2.snapshot().enis;
        let indexes = enis.values().filter_map(|eni| eni.attachment.as_ref()).map(|at| at.device_index);
        // The primary interfaces are at index 0.
        let indexes: BTreeSet<u32> = indexes.filter(|index| *index > 0).collect();
        let result = (sent(&counts, "Create"), indexes);
        world.close().await;
        Ok(result)
    });
    let (creates, indexes) = result.expect("the simulation fails");
    assert_eq!(indexes, BTreeSet::from([7]), "the highest index that EC2 takes");
    // One at each of 14 to 8; all at 7.
    assert_eq!(creates, 7 + u64::from(NODES));
}

//! How many keys the controller decides for one event among hundreds of nodes, and what else runs meanwhile, in virtual time.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_bench::region::instance;
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis, nodes};
use multi_eni_controller::http_server::Gauges;
use multi_eni_sim::ec2::{Fault, Incoming};
use multi_eni_sim::kube::FaultDecision;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NODES: u32 = 500;

/// The kinds of keys whose number grows with the cluster.
const KINDS: [&str; 3] = ["Node", "ENIAttachment", "NodeENI"];

fn decided(gauges: &Gauges) -> [u64; 3] {
    KINDS.map(|kind| gauges.reconciles(kind))
}

/// The decisions while so many seconds pass.
async fn decided_within(world: &World, seconds: u64, before: [u64; 3]) -> [u64; 3] {
    world.pass(seconds).await;
    let after = decided(&world.gauges);
    [after[0] - before[0], after[1] - before[1], after[2] - before[2]]
}

/// Changes a Node.
fn change(world: &World, node: &str, change: impl FnOnce(&mut Value)) -> Result<(), String> {
    let mut object = world.api.get(&nodes(), "", node).ok_or_else(|| format!("no Node {node}"))?;
    change(&mut object);
    world.api.replace(&nodes(), "", object).map(drop).map_err(|error| error.to_string())
}

/// Adds a Node in this pool with the nth instance, which need not exist and may have another Node.
fn register(world: &World, name: &str, n: u32, pool: &str) -> Result<(), String> {
    let mut object = world.api.get(&nodes(), "", "n1").ok_or("no Node n1")?;
    let zone = object["metadata"]["labels"]["topology.kubernetes.io/zone"].clone();
    object["metadata"] = json!({ "name": name, "labels": {
        "topology.kubernetes.io/zone": zone,
        "node.kubernetes.io/instance-type": object["metadata"]["labels"]["node.kubernetes.io/instance-type"],
        "kubernetes.io/hostname": name,
        "pool": pool,
    } });
    object["spec"]["providerID"] = format!("aws:///{}/{}", zone.as_str().unwrap_or_default(), instance(n)).into();
    world.api.create(&nodes(), "", object).map(drop).map_err(|error| error.to_string())
}

/// All conditions of a NodeENI, as text.
fn conditions(world: &World, nodeeni: &str) -> String {
    world.api.get(&nodeenis(), "", nodeeni).map(|object| object["status"]["conditions"].to_string()).unwrap_or_default()
}

/// Waits until the conditions of a NodeENI have this text, or have it no longer. Returns how many seconds that took.
async fn until_said(world: &World, nodeeni: &str, text: &str, is_said: bool) -> Result<u64, String> {
    for second in 0..600 {
        if conditions(world, nodeeni).contains(text) == is_said {
            return Ok(second);
        }
        world.pass(1).await;
    }
    Err(format!("not within ten minutes: {text} is {is_said} in {}", conditions(world, nodeeni)))
}

/// A world of [`NODES`] nodes with two ENIs each, which is at rest.
async fn at_rest() -> Result<World, String> {
    let world = World::open(NODES, 0.8).await?;
    (1..=2).try_for_each(|n| world.apply(n))?;
    world.until_ready(2 * NODES).await?;
    world.pass(300).await;
    Ok(world)
}

#[test]
fn an_event_decides_the_keys_that_it_concerns_and_a_resync_decides_none() {
    let result = run_isolated(|| async {
        let world = at_rest().await?;
        let (before, orphans) = (decided(&world.gauges), world.gauges.reconciles("Orphans"));
        let resyncs = decided_within(&world, 600, before).await;
        let orphans = world.gauges.reconciles("Orphans") - orphans;

        let before = decided(&world.gauges);
        change(&world, "n7", |node| node["metadata"]["labels"]["team"] = "net".into())?;
        let label = decided_within(&world, 120, before).await;

        let enis = world.ec2.snapshot().enis;
        let eni = enis.values().find(|eni| eni.client_token.is_some()).map(|eni| eni.id.clone()).ok_or("no ENI")?;
        let before = decided(&world.gauges);
        world.ec2.hand_change(&eni, |eni| eni.description = "by hand".to_owned()).map_err(|error| error.to_string())?;
        let by_hand = decided_within(&world, 120, before).await;

        let before = decided(&world.gauges);
        world.join(NODES + 1)?;
        let joined = decided_within(&world, 120, before).await;
        world.close().await;
        Ok((resyncs, orphans, label, by_hand, joined))
    });
    let (resyncs, orphans, label, by_hand, joined) = result.expect("the simulation fails");
    assert_eq!(resyncs, [0, 0, 0], "ten resyncs at rest");
    assert!((9..=11).contains(&orphans), "one judgement on orphans for each resync: {orphans}");
    assert_eq!(label, [1, 2, 0], "a label that no NodeENI asks for: the Node and its two ENIAttachments");
    assert!(by_hand[1] >= 1 && by_hand.iter().sum::<u64>() <= 6, "one ENI: {by_hand:?}");
    // Two ENIs with all their calls, writes and statuses.
    assert!(joined[0] >= 1 && joined.iter().all(|count| *count <= 40), "one Node that joins: {joined:?}");
}

/// Probes and the Lease are answered while thousands of keys are decided in one round.
#[test]
fn other_tasks_run_between_the_decisions_of_a_long_round() {
    let result = run_isolated(|| async {
        let mut world = at_rest().await?;
        world.restart().await;
        let sum = || decided(&world.gauges).iter().sum::<u64>();
        let (mut most, mut before) = (0, sum());
        // The timers of the controller end at whole milliseconds of virtual time, too. After each, this task runs in turns with the
        // others.
        for _ in 0..10_000 {
            for _ in 0..40 {
                tokio::task::yield_now().await;
                let now = sum();
                (most, before) = (most.max(now - before), now);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.close().await;
        Ok((most, before))
    });
    let (most, all) = result.expect("the simulation fails");
    assert!(all >= u64::from(3 * NODES), "every key is decided at the start of a process: {all}");
    // 200 keys of a round, and the changes that tokio lets one task take in a turn (128), each with a round of its own.
    assert!(most <= 400, "{most} decisions in one turn");
}

/// An ENIAttachment is written before the status of its NodeENI is computed, which reads the decisions of all Nodes.
#[test]
fn started_calls_go_out_before_nodeenis_are_decided() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        world.apply(1)?;
        world.join_pool(9, "b")?;
        world.until_ready(3).await?;
        world.pass(130).await;
        let created: Arc<Mutex<Vec<u64>>> = Arc::default();
        let (seen, gauges) = (created.clone(), world.gauges.clone());
        world.api.intercept(Box::new(move |info| {
            if info.verb == "create" && info.resource == "eniattachments" {
                seen.lock().unwrap().push(gauges.reconciles("NodeENI"));
            }
            match info.verb.as_str() {
                "watch" => FaultDecision::Pass,
                _ => FaultDecision::DelayAnswer(Duration::from_millis(5)),
            }
        }));
        change(&world, "n9", |node| node["metadata"]["labels"]["pool"] = "a".into())?;
        // The decisions up to a millisecond before the write.
        let mut before = world.gauges.reconciles("NodeENI");
        let mut waited = 0;
        let at_write = loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            waited += 1;
            match created.lock().unwrap().first() {
                Some(at_write) => break *at_write,
                None if waited > 10_000 => return Err("no ENIAttachment is written".to_owned()),
                None => before = world.gauges.reconciles("NodeENI"),
            }
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let after = world.gauges.reconciles("NodeENI");
        world.close().await;
        Ok((before, at_write, after))
    });
    let (before, at_write, after) = result.expect("the simulation fails");
    assert_eq!(at_write, before, "a NodeENI is decided before the write");
    assert!(after > at_write, "no NodeENI is decided in the same round, so the test shows nothing");
}

/// What the status says of a Node with the reason `InstanceNotShown`.
const NOT_SHOWN: &str = "EC2 has not shown its instance";

/// Lookups miss an instance, and resyncs fail, so nothing new is known of it. The first resync that succeeds proves that it is gone.
#[test]
fn an_instance_that_is_not_shown_is_decided_again_only_for_an_observation() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        world.apply(1)?;
        world.until_ready(3).await?;
        world.pass(120).await;
        register(&world, "n9", 9, "a")?;
        until_said(&world, "pool-1", NOT_SHOWN, true).await?;
        world.ec2.set_fault_source(|call: &Incoming| {
            let fails = call.action == "DescribeNetworkInterfaces";
            fails.then(|| Fault::Fail { code: "InternalError".to_owned(), status: None })
        });
        let lookups = |world: &World| world.ec2.all_counts().get("DescribeInstances").copied().unwrap_or_default();
        let (before, asked) = (decided(&world.gauges), lookups(&world));
        let failing = decided_within(&world, 900, before).await;
        let asked = lookups(&world) - asked;
        let said = conditions(&world, "pool-1");
        world.ec2.clear_faults();
        let took = until_said(&world, "pool-1", NOT_SHOWN, false).await?;
        let proven = conditions(&world, "pool-1");
        world.close().await;
        Ok((failing, asked, said, took, proven))
    });
    let (failing, asked, said, took, proven) = result.expect("the simulation fails");
    assert!(said.contains(NOT_SHOWN), "{said}");
    // The lookups of the instance's state go on, at most one a minute. The Node is decided when one is due, and with its answer.
    assert!((3..=15).contains(&asked), "{asked} lookups");
    assert!(failing[0] <= 2 * asked + 3, "{failing:?} decisions with {asked} lookups");
    assert!(failing[1] <= 15 && failing[2] <= 15, "{failing:?}");
    assert!(took <= 65, "the next resync decides, {took} s later: {proven}");
}

/// The reason is reported by the decision of the Node that does not count. It ends at once when nothing selects that Node any more,
/// by an edit of the NodeENI or of either Node.
#[test]
fn a_nodeeni_that_no_longer_selects_a_duplicate_node_loses_the_reason_at_once() {
    type Edit = fn(&World) -> Result<(), String>;
    let edits: [(&str, &str, Edit); 3] = [
        ("the NodeENI", "b", |world| {
            let mut object = world.api.get(&nodeenis(), "", "pool-2").ok_or("no NodeENI")?;
            object["spec"]["nodeSelector"]["pool"] = "c".into();
            world.api.replace(&nodeenis(), "", object).map(drop).map_err(|error| error.to_string())
        }),
        ("the duplicate", "b", |world| change(world, "twin", |node| node["metadata"]["labels"]["pool"] = "c".into())),
        ("the Node that counts", "a", |world| {
            change(world, "n1", |node| node["metadata"]["labels"]["pool"] = "c".into())
        }),
    ];
    for (edited, pool, edit) in edits {
        let result = run_isolated(move || async move {
            let world = World::open(1, 0.8).await?;
            world.apply_to(2, pool)?;
            world.pass(120).await;
            register(&world, "twin", 1, "b")?;
            until_said(&world, "pool-2", "DuplicateNode", true).await?;
            world.pass(120).await;
            let before = conditions(&world, "pool-2");
            edit(&world)?;
            let took = until_said(&world, "pool-2", "DuplicateNode", false).await?;
            world.close().await;
            Ok((before, took))
        });
        let (before, took) = result.expect("the simulation fails");
        assert!(before.contains("DuplicateNode"), "{edited}: {before}");
        assert!(took <= 2, "{edited} is edited, and the reason stays for {took} s");
    }
}

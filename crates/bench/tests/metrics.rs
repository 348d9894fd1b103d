//! Metrics and log lines of what happens rarely, in virtual time: orphans, forced detaches, conflicts, watches that break, calls
//! that wait for the rate limiter, a Lease that cannot be renewed, another Region, changes in place by their cause, ENIs that are not
//! parsed again.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_api::names::{TAG_ATTACHMENT_UID, TAG_CLUSTER, TAG_NODE};
use multi_eni_bench::region::{self, GROUP, instance, subnet};
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis};
use multi_eni_sim::ec2::Stuck;
use multi_eni_sim::kube::{Failure, FaultDecision};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The log of a controller.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The value of a time series, or the sum of a metric's time series if no label is named.
async fn value(world: &World, series: &str) -> Result<f64, String> {
    let page = world.gauges.text().await.map_err(|error| error.to_string())?;
    let values = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let is_of = |name: &str| name == series || name.split_once('{').is_some_and(|(metric, _)| metric == series);
    Ok(values.filter(|(name, _)| is_of(name)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
}

/// The highest value of each time series while so many seconds pass.
async fn highest<const N: usize>(world: &World, seconds: u64, series: [&str; N]) -> Result<[f64; N], String> {
    let mut highest = [0.0; N];
    for _ in 0..seconds {
        world.pass(1).await;
        for (highest, series) in highest.iter_mut().zip(series) {
            *highest = value(world, series).await?.max(*highest);
        }
    }
    Ok(highest)
}

/// An ENI with this cluster's tags that no ENIAttachment knows; attached to the nth instance at index 5, if that is given.
fn orphan(world: &World, at: Option<u32>) -> Result<String, String> {
    let enis = world.ec2.snapshot().enis;
    let cluster = enis.values().find_map(|eni| eni.tags.get(TAG_CLUSTER)).ok_or("no ENI of this cluster")?;
    let tags = [(TAG_CLUSTER, cluster.as_str()), (TAG_ATTACHMENT_UID, "nobody"), (TAG_NODE, "n1")];
    let eni = world.ec2.hand_create(&subnet(1), &tags).map_err(|error| error.to_string())?;
    if let Some(n) = at {
        world.ec2.hand_attach(&eni, &instance(n), 0, 5).map_err(|error| error.to_string())?;
    }
    Ok(eni)
}

/// Only a forced detach ends the attachment of this ENI.
fn sticks(world: &World, eni: &str) -> Result<(), String> {
    let stick = |eni: &mut multi_eni_sim::ec2::Eni| {
        if let Some(attachment) = &mut eni.attachment {
            attachment.stuck = Some(Stuck::UntilForced);
        }
    };
    world.ec2.hand_change(eni, stick).map_err(|error| error.to_string())
}

#[test]
fn orphans_are_counted_by_verdict_and_logged() {
    let log = Log::default();
    let written = log.clone();
    let result = run_isolated(move || async move {
        let writer = move || written.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(writer).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let world = World::open(2, 0.8).await?;
        world.apply(1)?;
        world.until_ready(2).await?;
        let (lone, attached) = (orphan(&world, None)?, orphan(&world, Some(1))?);
        // No Node is on this instance.
        region::run_instance(&world.ec2, 9)?;
        let foreign = orphan(&world, Some(9))?;
        // A verdict to act stands only while its calls are under way.
        let slow = Duration::from_secs(3);
        world.ec2.configure(|settings| settings.call_latency = slow..=slow);
        let of = |verdict: &str| format!("multi_eni_orphans{{verdict=\"{verdict}\"}}");
        let verdicts = ["suspected", "detach", "delete", "foreign", "held"].map(of);
        let series = verdicts.each_ref().map(String::as_str);
        let moved = highest(&world, 900, series).await?;
        let acted = ["detach", "delete"].map(|of| format!("multi_eni_orphan_actions_total{{verdict=\"{of}\"}}"));
        let acted = highest(&world, 1, acted.each_ref().map(String::as_str)).await?;
        let left = world.ec2.snapshot().enis;
        let left = [&lone, &attached, &foreign].map(|eni| left.contains_key(eni));
        let many: Vec<String> = (0..15).map(|_| orphan(&world, None)).collect::<Result<_, _>>()?;
        let held = highest(&world, 400, ["multi_eni_orphans_held", series[4]]).await?;
        let kept = many.iter().filter(|eni| world.ec2.snapshot().enis.contains_key(*eni)).count();
        world.close().await;
        Ok((moved, acted, left, held, kept, lone))
    });
    let (moved, acted, left, held, kept, lone) = result.expect("the simulation fails");
    assert!(moved[0] >= 2.0 && moved[1] >= 1.0 && moved[2] >= 1.0 && moved[3] >= 1.0, "{moved:?} {left:?}");
    // The one that was attached is deleted after its Detach. The gauge shows each only during its call; the counter stays.
    assert_eq!(acted, [1.0, 2.0]);
    assert_eq!((moved[4], left), (0.0, [false, false, true]));
    assert_eq!((held, kept), ([15.0, 15.0], 15), "more than ten at once wait for a person");

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about = |message: &str| lines.iter().find(|line| line["message"] == message && line["eni"] == lone.as_str());
    let judged = about("deleting orphaned ENI").expect("the decision is logged");
    assert!(judged["node"] == "n1" && judged["level"] == "INFO", "{judged}");
    let call = about("EC2 call").expect("the call is logged");
    assert!(call["action"] == "DeleteNetworkInterface" && call["code"] == "ok", "{call}");
    assert!(call["node"] == "n1" && call["request_id"].is_string() && !call["ms"].is_null(), "{call}");
}

#[test]
fn forced_detaches_are_counted_apart_for_attachments_and_orphans() {
    let result = run_isolated(|| async {
        let world = World::open(2, 0.8).await?;
        world.apply(1)?;
        world.until_ready(2).await?;
        let is_on_first = |eni: &&multi_eni_sim::ec2::Eni| {
            eni.client_token.is_some() && eni.attachment.as_ref().is_some_and(|at| at.instance_id == instance(1))
        };
        let enis = world.ec2.snapshot().enis;
        let ours = enis.values().find(is_on_first).map(|eni| eni.id.clone()).ok_or("the first node has no ENI")?;
        let lost = orphan(&world, Some(2))?;
        for eni in [&ours, &lost] {
            sticks(&world, eni)?;
        }
        let of = ["attachment", "orphan"].map(|of| format!("multi_eni_forced_detaches_total{{of=\"{of}\"}}"));
        let mut counts = Vec::new();
        for seconds in [600, 2400] {
            if counts.is_empty() {
                world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
            }
            world.pass(seconds).await;
            counts.push([value(&world, &of[0]).await?, value(&world, &of[1]).await?]);
        }
        let left = [&ours, &lost].map(|eni| world.ec2.snapshot().enis.contains_key(eni));
        world.ec2.clear_calls();
        let called = world.ec2.all_counts();
        world.close().await;
        Ok((counts, left, called))
    });
    let (counts, left, called) = result.expect("the simulation fails");
    assert_eq!(counts, [[0.0, 0.0], [1.0, 1.0]], "none within the grace of 15 minutes, and each one once");
    assert_eq!(left, [false, false]);
    let unlimited: Vec<&String> =
        called.keys().filter(|action| !multi_eni_ec2::action_names().any(|known| known == action.as_str())).collect();
    assert!(called.len() >= 7 && unlimited.is_empty(), "{called:?}");
}

#[test]
fn conflicts_and_broken_watches_are_counted() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        let names = ["multi_eni_api_write_conflicts_total", "multi_eni_watch_restarts_total"];
        let before = [value(&world, names[0]).await?, value(&world, names[1]).await?];
        let mut is_first = true;
        world.api.intercept(Box::new(move |info| {
            let is_status = info.verb == "patch" && info.resource == "nodeenis" && info.subresource == "status";
            if is_status && std::mem::replace(&mut is_first, false) {
                return FaultDecision::FailBefore(Failure::Status(409));
            }
            FaultDecision::Pass
        }));
        world.apply(1)?;
        world.until_ready(3).await?;
        let conflicts = value(&world, names[0]).await?;
        // A watch that ends is opened again. One that cannot be opened is resumed after a back-off.
        world.api.intercept(Box::new(|info| match info.verb.as_str() {
            "watch" => FaultDecision::FailBefore(Failure::Disconnect),
            _ => FaultDecision::Pass,
        }));
        world.api.break_watches();
        world.pass(10).await;
        world.api.stop_intercepting();
        world.pass(60).await;
        let restarts = value(&world, names[1]).await?;
        world.close().await;
        Ok((before, conflicts, restarts))
    });
    let (before, conflicts, restarts) = result.expect("the simulation fails");
    assert_eq!((before, conflicts), ([0.0, 0.0], 1.0));
    assert!(restarts >= 3.0, "watches of Nodes, NodeENIs and ENIAttachments: {restarts}");
}

#[test]
fn calls_that_wait_for_the_rate_limiter_are_counted() {
    let result = run_isolated(|| async {
        let world = World::open(200, 0.8).await?;
        world.apply(1)?;
        let waiting = highest(&world, 20, ["multi_eni_ec2_calls_waiting"]).await?;
        world.until_ready(200).await?;
        let after = value(&world, "multi_eni_ec2_calls_waiting").await?;
        world.close().await;
        Ok((waiting, after))
    });
    let ([waiting], after) = result.expect("the simulation fails");
    assert!(waiting > 0.0, "no call waits");
    assert_eq!(after, 0.0);
}

#[test]
fn a_lease_that_cannot_be_renewed_and_what_the_fence_refuses_are_counted() {
    let result = run_isolated(|| async {
        let world = World::open_with_election(200, 0.8).await?;
        let names = ["multi_eni_lease_renewal_failures_total", "multi_eni_fence_refusals_total"];
        world.apply(1)?;
        world.pass(4).await;
        let before = [value(&world, names[0]).await?, value(&world, names[1]).await?];
        world.api.intercept(Box::new(|_| FaultDecision::FailBefore(Failure::Disconnect)));
        world.pass(12).await;
        world.api.stop_intercepting();
        let after = [value(&world, names[0]).await?, value(&world, names[1]).await?];
        world.until_ready(200).await?;
        world.close().await;
        Ok((before, after))
    });
    let (before, after) = result.expect("the simulation fails");
    assert_eq!(before, [0.0, 0.0]);
    assert!(after[0] >= 1.0 && after[1] >= 1.0, "{after:?}");
}

#[test]
fn another_region_is_shown() {
    let result = run_isolated(|| async {
        let mut world = World::open(1, 0.8).await?;
        world.apply(1)?;
        world.until_ready(1).await?;
        let right = value(&world, "multi_eni_wrong_place").await?;
        let other = region::open(world.clock)?;
        world.restart_in(&other, "us-west-2").await;
        world.pass(180).await;
        let wrong = value(&world, "multi_eni_wrong_place").await?;
        world.close().await;
        Ok([right, wrong])
    });
    assert_eq!(result.expect("the simulation fails"), [0.0, 1.0]);
}

/// An SRE tells a fight over security groups from the edits of a rollout.
#[test]
fn changes_in_place_are_counted_by_their_cause() {
    let result = run_isolated(|| async {
        let mut world = World::open(2, 0.8).await?;
        let counts = async |world: &World| {
            let mut counts = Vec::new();
            for (attribute, cause) in [
                ("deleteOnTermination", "attach"),
                ("securityGroups", "edit"),
                ("securityGroups", "drift"),
                ("description", "edit"),
                ("description", "drift"),
            ] {
                let labels = format!("attribute=\"{attribute}\",cause=\"{cause}\"");
                counts.push(value(world, &format!("multi_eni_in_place_changes_total{{{labels}}}")).await?);
            }
            Ok::<_, String>(counts)
        };
        let spec = |description: &str| json!({ "subnetID": subnet(1), "description": description });
        let with_group = |description: &str| json!({ "subnetID": subnet(1), "description": description, "securityGroupIDs": [GROUP] });
        let takes_groups_off = |world: &World| {
            let enis = world.ec2.snapshot().enis;
            let ours = enis.values().filter(|eni| eni.client_token.is_some()).map(|eni| eni.id.clone());
            ours.map(|eni| world.ec2.hand_change(&eni, |eni| eni.groups.clear()).map_err(|error| error.to_string()))
                .collect::<Result<Vec<()>, _>>()
        };
        let mut found = Vec::new();
        world.apply_spec(spec("a"))?;
        world.until_ready(2).await?;
        found.push(counts(&world).await?);
        world.apply_spec(with_group("a"))?;
        world.pass(10).await;
        found.push(counts(&world).await?);
        // A resync shows it within a minute.
        takes_groups_off(&world)?;
        world.pass(130).await;
        world.apply_spec(with_group("b"))?;
        world.pass(10).await;
        found.push(counts(&world).await?);
        // The groups of the request are not those that the NodeENI asks for now. The counters of a new process begin with zero.
        world.restart().await;
        world.pass(130).await;
        takes_groups_off(&world)?;
        world.pass(130).await;
        found.push(counts(&world).await?);
        world.close().await;
        Ok(found)
    });
    let found = result.expect("the simulation fails");
    let expected =
        [[2.0, 0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0, 0.0], [0.0, 0.0, 2.0, 0.0, 0.0]];
    assert_eq!(found, expected);
}

/// At rest no ENI is parsed. A changed one is, until a resync shows it as the one before; the others stay as they are.
#[test]
fn enis_that_are_not_parsed_again_are_counted() {
    for shuffles_lists in [false, true] {
        let found = unchanged_enis(shuffles_lists).expect("the simulation fails");
        assert_eq!(found, [0.0, 5.0, 4.0, 5.0], "the order of lists means nothing: {shuffles_lists}");
    }
}

/// The ENIs that were not parsed again: at first, after minutes at rest, and in the two minutes after a change of one of five.
fn unchanged_enis(shuffles_lists: bool) -> Result<Vec<f64>, String> {
    run_isolated(move || async move {
        let world = World::open(5, 0.8).await?;
        world.ec2.configure(|settings| settings.shuffles_lists = shuffles_lists);
        let unchanged = "multi_eni_cache_resync_unchanged_enis";
        world.apply_spec(json!({ "subnetID": subnet(1), "privateIPCount": 5, "tags": { "a": "1", "b": "2" } }))?;
        world.until_ready(5).await?;
        let first = value(&world, unchanged).await?;
        world.pass(300).await;
        let mut found = vec![first, value(&world, unchanged).await?];
        let enis = world.ec2.snapshot().enis;
        let eni = enis.values().find(|eni| eni.client_token.is_some()).map(|eni| eni.id.clone()).ok_or("no ENI")?;
        // The controller changes nothing about this tag.
        let tag = |eni: &mut multi_eni_sim::ec2::Eni| drop(eni.tags.insert("cost-centre".to_owned(), "7".to_owned()));
        world.ec2.hand_change(&eni, tag).map_err(|error| error.to_string())?;
        for _ in 0..2 {
            world.pass(60).await;
            found.push(value(&world, unchanged).await?);
        }
        world.close().await;
        Ok(found)
    })
}

//! The counts are exact and the same in every run, so a regression shows as another number.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use multi_eni_bench::goal::Goal;
use multi_eni_bench::goals::judge;
use multi_eni_bench::phase::Scale;
use multi_eni_bench::results::Results;
use multi_eni_bench::statistics;
use multi_eni_bench::workload::{
    Latecomers, Measurement, created_for_nothing, latecomers, refused_by_the_quota, run, run_isolated,
};
use multi_eni_bench::world::World;

fn world() -> Vec<Measurement> {
    run(Scale { nodes: 20, nodeenis: 2, share: 0.8 }, |_| ()).expect("the simulation fails")
}

#[test]
fn no_more_calls_and_writes_than_the_work_takes() {
    let all = world();
    let [attach, idle, restart, replace, impossible, delete] = all.as_slice() else { panic!("{all:#?}") };
    let mutations = |measured: &Measurement| {
        ["Create", "Attach", "Detach", "Delete"]
            .map(|verb| measured.count(&format!("{verb}NetworkInterface")))
            .into_iter()
            .chain([measured.count("ModifyNetworkInterfaceAttribute"), measured.mutations()])
            .collect::<Vec<_>>()
    };
    // Create, Attach, and deleteOnTermination; three writes of each ENIAttachment, and one Event for each.
    assert_eq!(mutations(attach), [40, 40, 0, 0, 40, 120], "{attach:#?}");
    assert_eq!((attach.most_writes, attach.events, attach.refused.len()), (3, 40, 0), "{attach:#?}");
    // One resync a minute, and no write.
    assert_eq!(mutations(idle), [0; 6], "{idle:#?}");
    assert_eq!((idle.count("DescribeNetworkInterfaces"), idle.calls.len()), (60, 1), "{idle:#?}");
    assert!(idle.writes.is_empty(), "{idle:#?}");
    // Four resyncs. The new process finds all ENIs in place: no call that changes EC2, and no write.
    assert_eq!(mutations(restart), [0; 6], "{restart:#?}");
    assert_eq!(restart.count("DescribeNetworkInterfaces"), 4, "{restart:#?}");
    assert!(restart.writes.is_empty(), "{restart:#?}");
    // A terminated instance takes its ENIs with it: no Detach, no Delete.
    assert_eq!(mutations(replace), [4, 4, 0, 0, 4, 12], "{replace:#?}");
    // Nothing is tried, and the problem is reported once.
    assert_eq!((mutations(impossible), impossible.refused.len()), (vec![0; 6], 0), "{impossible:#?}");
    // Detach and Delete.
    assert_eq!(mutations(delete), [0, 0, 20, 20, 0, 40], "{delete:#?}");
    assert!(delete.refused.is_empty(), "{delete:#?}");
}

/// Goals that only larger fleets measure are not among them.
#[test]
fn a_small_world_meets_every_goal_that_it_measures() {
    let goals = judge(&Results { work: world(), ..Results::default() });
    let met: Vec<bool> = goals.iter().filter_map(Goal::is_met).collect();
    assert!(met.len() == 8 && met.iter().all(|met| *met), "{goals:#?}");
}

#[test]
fn a_node_that_joins_late_does_not_wait_for_the_whole_burst() {
    let Latecomers { node, nodeeni, burst } = latecomers(400, 0.8).expect("the simulation fails");
    assert!(burst > 87.0, "400 ENIs take 87.5 s: {burst}");
    // A call of each kind and EC2's own seconds, and up to five turns of 0.25 s before Create and before Attach.
    assert!(node < 10.0, "{node}");
    assert!(nodeeni < 7.0, "{nodeeni}");
}

/// A burst of minutes asks for no more than a short one: no lookup and no write for an ENI that waits for its Attach.
#[test]
fn an_eni_that_waits_for_minutes_costs_no_more_calls_and_writes() {
    let (calls, writes) = run_isolated(|| async {
        let world = World::open(100, 0.05).await?;
        world.ec2.clear_calls();
        world.observer.begin();
        (1..=2).try_for_each(|n| world.apply(n))?;
        world.until_ready(200).await?;
        let last = world.observer.observations().ready.values().copied().fold(0.0, f64::max);
        assert!(last > 590.0, "200 ENIs take ten minutes at 5 % of EC2's rates: {last}");
        let writes = world.observer.observations().writes.clone();
        let calls = statistics::calls(&world.ec2).0;
        world.close().await;
        Ok((calls, writes))
    })
    .expect("the simulation fails");
    assert_eq!(writes.values().max(), Some(&3), "{writes:#?}");
    // 100 instances, whose state is looked up by 200 IDs a call.
    assert_eq!(calls.get("DescribeInstances").copied().unwrap_or(0), 0, "{calls:#?}");
    assert_eq!(calls["AttachNetworkInterface"], 200, "{calls:#?}");
}

#[test]
fn creates_that_wait_while_the_quota_is_refused_are_not_sent() {
    // The bucket allows 100 calls at once, and 60 of them find no room in the quota. The 200 that wait for a token are not sent.
    assert_eq!(refused_by_the_quota(300, 40).expect("the simulation fails"), 60);
}

#[test]
fn waiting_creates_of_a_deleted_nodeeni_are_not_sent() {
    // 100 at once and 4 a second: after 10 s there are 140. The other 160 would cost a Create and a Delete each, for nothing.
    let created = created_for_nothing(300, 10).expect("the simulation fails");
    assert!((130..=150).contains(&created), "{created}");
}

#[test]
fn two_runs_have_equal_results() {
    let rendered = |all: Vec<Measurement>| {
        all.into_iter().map(|measured| format!("{:?}", Measurement { real: 0.0, ..measured })).collect::<Vec<_>>()
    };
    assert_eq!(rendered(world()), rendered(world()));
}

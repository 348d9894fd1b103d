//! What is counted is exact: the same in every run. A regression shows as another number.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use multi_eni_bench::goals::{Goal, judge};
use multi_eni_bench::report::All;
use multi_eni_bench::scenes::{Latecomers, Measured, created_for_nothing, latecomers, play, refused_by_the_quota};
use multi_eni_bench::work::Scale;

fn world() -> Vec<Measured> {
    play(Scale { nodes: 20, nodeenis: 2, share: 0.8 }, |_| ()).expect("the world is not as it should be")
}

#[test]
fn calls_and_writes_are_what_the_work_takes_and_no_more() {
    let all = world();
    let [attach, idle, restart, replace, impossible, delete] = all.as_slice() else { panic!("{all:#?}") };
    let mutations = |measured: &Measured| {
        ["Create", "Attach", "Detach", "Delete"]
            .map(|verb| measured.count(&format!("{verb}NetworkInterface")))
            .into_iter()
            .chain([measured.count("ModifyNetworkInterfaceAttribute"), measured.mutations()])
            .collect::<Vec<_>>()
    };
    // Create, Attach, and deleteOnTermination; three writes of each ENIAttachment, and an Event for each.
    assert_eq!(mutations(attach), [40, 40, 0, 0, 40, 120], "{attach:#?}");
    assert_eq!((attach.most_writes, attach.events, attach.refused.len()), (3, 40, 0), "{attach:#?}");
    // One sweep a minute, and no write.
    assert_eq!(mutations(idle), [0; 6], "{idle:#?}");
    assert_eq!((idle.count("DescribeNetworkInterfaces"), idle.calls.len()), (60, 1), "{idle:#?}");
    assert!(idle.writes.is_empty(), "{idle:#?}");
    // Four sweeps; what is there is found there: no call and no write.
    assert_eq!(mutations(restart), [0; 6], "{restart:#?}");
    assert_eq!(restart.count("DescribeNetworkInterfaces"), 4, "{restart:#?}");
    assert!(restart.writes.is_empty(), "{restart:#?}");
    // Terminated instances take their ENIs with them: no Detach, no Delete.
    assert_eq!(mutations(replace), [4, 4, 0, 0, 4, 12], "{replace:#?}");
    // Nothing is tried, and it is said once.
    assert_eq!((mutations(impossible), impossible.refused.len()), (vec![0; 6], 0), "{impossible:#?}");
    // Detach and Delete.
    assert_eq!(mutations(delete), [0, 0, 20, 20, 0, 40], "{delete:#?}");
    assert!(delete.refused.is_empty(), "{delete:#?}");
}

/// What is measured by other worlds only is not among them.
#[test]
fn a_small_world_meets_every_goal_that_it_measures() {
    let goals = judge(&All { work: world(), ..All::default() });
    let met: Vec<bool> = goals.iter().filter_map(Goal::is_met).collect();
    assert!(met.len() == 8 && met.iter().all(|met| *met), "{goals:#?}");
}

#[test]
fn who_comes_late_does_not_wait_for_the_whole_burst() {
    let Latecomers { node, nodeeni, burst } = latecomers(400, 0.8).expect("the world is not as it should be");
    assert!(burst > 87.0, "400 ENIs take 87.5 s: {burst}");
    // A call of each kind, and EC2's own seconds; and up to five turns of 0.25 s before Create and before Attach.
    assert!(node < 10.0, "{node}");
    assert!(nodeeni < 7.0, "{nodeeni}");
}

#[test]
fn what_waits_while_the_quota_is_refused_is_not_sent() {
    // 100 are sent at once, as the bucket allows, and 60 find no room. The 200 that wait for a token are not sent at all.
    assert_eq!(refused_by_the_quota(300, 40).expect("the world is not as it should be"), 60);
}

#[test]
fn what_waits_for_a_nodeeni_that_goes_is_not_created() {
    // 100 at once and 4 a second: after 10 s 140 are there. The other 160 would cost a Create and a Delete each, for nothing.
    let created = created_for_nothing(300, 10).expect("the world is not as it should be");
    assert!((130..=150).contains(&created), "{created}");
}

#[test]
fn a_run_is_the_next_ones_equal() {
    let told = |all: Vec<Measured>| {
        all.into_iter().map(|measured| format!("{:?}", Measured { real: 0.0, ..measured })).collect::<Vec<_>>()
    };
    assert_eq!(told(world()), told(world()));
}

//! What is counted is exact: the same in every run. A regression shows as another number.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use multi_eni_bench::scenes::{Measured, Scale, play};

fn world() -> Vec<Measured> {
    play(Scale { nodes: 20, nodeenis: 2, share: 0.8 }, |_| ()).expect("the world is not as it should be")
}

#[test]
fn calls_and_writes_are_what_the_work_takes_and_no_more() {
    let all = world();
    let [attach, idle, replace, delete] = all.as_slice() else { panic!("{all:#?}") };
    let mutations = |measured: &Measured| {
        ["Create", "Attach", "Detach", "Delete"]
            .map(|verb| measured.count(&format!("{verb}NetworkInterface")))
            .into_iter()
            .chain([measured.count("ModifyNetworkInterfaceAttribute"), measured.mutations()])
            .collect::<Vec<_>>()
    };
    // Create, Attach, and deleteOnTermination; three writes of each ENIAttachment.
    assert_eq!(mutations(attach), [40, 40, 0, 0, 40, 120], "{attach:#?}");
    assert_eq!((attach.most_writes, attach.refused.len()), (3, 0), "{attach:#?}");
    // One sweep a minute, and no write.
    assert_eq!(mutations(idle), [0; 6], "{idle:#?}");
    assert_eq!((idle.count("DescribeNetworkInterfaces"), idle.calls.len()), (60, 1), "{idle:#?}");
    assert!(idle.writes.is_empty(), "{idle:#?}");
    // Terminated instances take their ENIs with them: no Detach, no Delete.
    assert_eq!(mutations(replace), [4, 4, 0, 0, 4, 12], "{replace:#?}");
    // Detach and Delete.
    assert_eq!(mutations(delete), [0, 0, 20, 20, 0, 40], "{delete:#?}");
    assert!(delete.refused.is_empty(), "{delete:#?}");
}

#[test]
fn a_run_is_the_next_ones_equal() {
    let told = |all: Vec<Measured>| {
        all.into_iter().map(|measured| format!("{:?}", Measured { real: 0.0, ..measured })).collect::<Vec<_>>()
    };
    assert_eq!(told(world()), told(world()));
}

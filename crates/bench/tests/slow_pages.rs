//! EC2 does not answer large pages in time: the controller asks for smaller pages, in virtual time.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::World;
use multi_eni_sim::ec2::{Fault, FaultRule, Loss};
use std::time::Duration;

const RESYNC: &str = "tag:multi-eni.networking.k8s.aws/cluster";

/// EC2 answers no page of a resync with this size.
fn unanswered(size: &str) -> FaultRule {
    FaultRule::on("DescribeNetworkInterfaces", Fault::LoseAnswer(Loss::Hang(Duration::from_secs(60))))
        .with("Filter.1.Name", RESYNC)
        .with("MaxResults", size)
}

#[test]
fn a_page_without_an_answer_is_asked_for_again_at_half_its_size() {
    let result = run_isolated(|| async {
        let mut world = World::open(60, 0.8).await?;
        world.apply(1)?;
        world.until_ready(60).await?;
        for size in ["1000", "500"] {
            world.ec2.inject(unanswered(size));
        }
        world.ec2.clear_calls();
        let mut calls = world.ec2.subscribe();
        let mut resyncs = || {
            let new = std::iter::from_fn(|| calls.try_recv().ok());
            new.filter(|call| call.filters.keys().any(|name| name == RESYNC)).count()
        };
        world.restart().await;
        // Two timeouts of 10 s, two waits, and then ten resyncs at 250.
        world.pass(23 + 9 * 60 + 5).await;
        let small = resyncs();
        // The eleventh is asked for with 500 again, and then with 250.
        world.pass(60 + 60 + 15).await;
        let grown = resyncs();
        let changes = world.ec2.counts().iter().filter(|(action, _)| !action.starts_with("Describe")).count();
        world.close().await;
        Ok((small, grown, changes))
    });
    assert_eq!(result.expect("the simulation fails"), (2 + 10, 3, 0));
}

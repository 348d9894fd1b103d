//! How long a Node waits for its ENI while nothing else has to be done, in virtual time.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use multi_eni_bench::statistics;
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::World;

/// Nodes that come one after the other fill their subnet, so its description grows too old to be relied on. The Node whose ENI asks
/// for a new one waits for EC2's answer, and not until the ENI is looked at again.
#[test]
fn a_new_description_of_the_subnet_costs_one_answer() {
    const NODES: u32 = 30;
    let (waits, lookups) = run_isolated(|| async {
        let world = World::open(1, 0.8).await?;
        world.apply(1)?;
        world.until_ready(1).await?;
        // The description of the subnet is two minutes old then.
        world.pass(150).await;
        let lookups = |world: &World| statistics::calls(&world.ec2).0.get("DescribeSubnets").copied().unwrap_or(0);
        let before = lookups(&world);
        let mut waits = Vec::new();
        for n in 2..=NODES {
            world.observer.begin();
            world.join(n)?;
            world.until_ready(n).await?;
            waits.push(world.ready_on(n)?);
        }
        let lookups = lookups(&world) - before;
        world.close().await;
        Ok((waits, lookups))
    })
    .expect("the simulation fails");
    assert!(lookups >= 1, "no Create has asked for a new description: {waits:?}");
    // An Attach takes 4 s at most, and each call less than 0.12 s.
    assert!(waits.iter().all(|wait| *wait < 5.0), "{waits:?}");
}

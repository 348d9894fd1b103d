//! The leader is killed with a Create under way, and the standby finishes the work with the same ENI.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use std::time::{Duration, Instant};

const INSTANCE: &str = "i-0aaaaaaaaaaaaaaa1";
const LEASE: Duration = Duration::from_secs(15);

#[test]
fn a_standby_finishes_the_work_of_a_killed_leader_after_the_lease() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    environment.start_replica(&[])?;
    environment.node("node1", INSTANCE)?;
    let spec = [format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]")];
    environment.apply(&nodeeni("one", &spec.each_ref().map(String::as_str)))?;
    let arrived = environment.account.inject_once("CreateNetworkInterface", Fault::SlowAnswer(LEASE));
    environment.kubectl(&["label", "node", "node1", "ng=multi-eni"])?;
    arrived.recv_timeout(SOON).map_err(|e| environment.failed(&format!("no Create: {e}")))?;
    let killed = Instant::now();
    environment.replicas[0].kill9();

    environment.attached(INSTANCE, &[1], LEASE + SOON)?;
    let took = killed.elapsed();
    let in_time = (LEASE - Duration::from_secs(3)..LEASE + Duration::from_secs(8)).contains(&took);
    assert!(
        in_time,
        "{:?}",
        environment.failed(&format!("took {took:?}: the Lease lasts {LEASE:?} from its last renewal"))
    );
    environment.until("ready", SOON, || {
        let status = &environment.get(&["nodeeni", "one"])?["status"];
        if status["ready"] == 1 { Ok(()) } else { Err(format!("{status:#}").into()) }
    })?;
    environment.assert_eq("ENIs ever made", environment.account.created().len(), 1);
    let creates = environment.account.mutations().into_iter().filter(|call| call.action == "CreateNetworkInterface");
    let tokens: Vec<_> = creates.map(|call| call.client_token).collect();
    assert!(tokens.len() <= 2 && tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
    let mut leading = Vec::new();
    for replica in &environment.replicas {
        // The killed replica does not answer.
        leading.push(replica.metrics().is_ok_and(|text| text.lines().any(|line| line == "multi_eni_leading 1")));
    }
    environment.assert_eq("replicas that lead", leading, vec![false, true]);
    environment.idle()?;
    environment.passed();
    Ok(())
}

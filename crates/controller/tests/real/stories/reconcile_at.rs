//! The annotation `networking.k8s.aws/reconcile-at`: a call that EC2 refused, and that would be repeated only after ten minutes, is
//! tried once for each new value.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use multi_eni_sim::ec2::Fault;
use serde_json::Value;
use std::thread;
use std::time::Duration;

const INSTANCES: [&str; 2] = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"];
/// "Within a second or so", on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

fn annotate(environment: &Environment, object: &str, value: &str) -> Result<(), Failure> {
    let annotation = format!("networking.k8s.aws/reconcile-at={value}");
    environment.kubectl(&["annotate", object, "--overwrite", &annotation])?;
    Ok(())
}

/// Waits until EC2 has got this many Creates, and makes sure that no further one follows.
fn tried(environment: &Environment, what: &str, expected: usize) -> Result<(), Failure> {
    let creates = || environment.account.mutations().len();
    environment.until(&format!("{expected} Creates: {what}"), AT_ONCE, || {
        if creates() == expected { Ok(()) } else { Err(format!("{} Creates", creates()).into()) }
    })?;
    thread::sleep(Duration::from_secs(3));
    environment.assert_eq(what, creates(), expected);
    Ok(())
}

#[test]
fn each_new_value_wakes_a_refused_call_once() -> Result<(), Failure> {
    let mut environment = Environment::with_a_controller()?;
    for (number, instance) in (1..).zip(INSTANCES) {
        environment.node(&format!("node{number}"), instance)?;
    }
    environment.account.ec2.set_fault_source(|call| {
        let fails = call.action == "CreateNetworkInterface";
        fails.then(|| Fault::Fail { code: "NeverHeardOf".to_owned(), status: None })
    });
    environment.apply(&nodeeni("one", &[&format!("subnetID: {SUBNET_A}"), &format!("securityGroupIDs: [{GROUP}]")]))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    let (_, message) = environment.condition("one", "Degraded", "True", SOON)?;
    assert!(message.contains("NeverHeardOf"), "{message}");
    tried(&environment, "one for each ENIAttachment, before the annotation", 2)?;

    let attachments = environment.names("eniattachments")?;
    annotate(&environment, &attachments[0], "2026-01-01T00:00:00Z")?;
    tried(&environment, "the ENIAttachment is annotated", 3)?;
    annotate(&environment, &attachments[0], "2026-01-01T00:00:00Z")?;
    tried(&environment, "the same value again", 3)?;
    annotate(&environment, "nodeeni/one", "2026-01-01T00:00:10Z")?;
    tried(&environment, "the NodeENI wakes both", 5)?;
    // One Event for each new value, on the object that has the annotation.
    let events = environment.get(&["events", "-n", "default", "--field-selector", "reason=Retried"])?;
    let of = |event: &Value| event["involvedObject"]["kind"].as_str().unwrap_or_default().to_owned();
    let mut kinds: Vec<String> = events["items"].as_array().into_iter().flatten().map(of).collect();
    kinds.sort();
    environment.assert_eq("Events", kinds, vec!["ENIAttachment".to_owned(), "NodeENI".to_owned()]);

    // A new leader takes the values that it finds as handled.
    environment.crash()?;
    environment.condition("one", "Degraded", "True", SOON)?;
    tried(&environment, "a new process", 5)?;

    environment.account.ec2.clear_faults();
    environment.account.ec2.clear_calls();
    annotate(&environment, "nodeeni/one", "2026-01-01T00:00:20Z")?;
    for instance in INSTANCES {
        environment.attached(instance, &[1], AT_ONCE * 2)?;
    }
    environment.condition("one", "Ready", "True", SOON)?;
    environment.passed();
    Ok(())
}

//! A typo in a selector takes ten nodes and not the fleet: the rest waits, is told apart, and stays when the typo is undone.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Environment, Failure, SOON};
use std::thread;
use std::time::Duration;

const NODES: usize = 14;

fn select(environment: &Environment, value: &str) -> Result<(), Failure> {
    let patch = format!("{{\"spec\":{{\"nodeSelector\":{{\"ng\":\"{value}\"}}}}}}");
    environment.kubectl(&["patch", "nodeeni", "one", "--type=merge", "-p", &patch])?;
    Ok(())
}

/// How many ENIs of ours are attached, or on their way to or from it.
fn attached(environment: &Environment) -> usize {
    environment.account.ours().iter().filter(|eni| eni.attachment.is_some()).count()
}

/// Until so many are attached on EC2 and none else is, and the status says that all are.
fn until_attached(environment: &Environment, wanted: usize) -> Result<(), Failure> {
    environment.until(&format!("{wanted} ENIs attached"), SOON * 2, || {
        let (found, said) = (attached(environment), environment.get(&["nodeeni", "one"])?["status"]["ready"].as_u64());
        let is_so = found == wanted && said == u64::try_from(wanted).ok();
        if is_so { Ok(()) } else { Err(format!("{found} are attached, the status says {said:?}").into()) }
    })
}

/// Until so many are left on EC2.
fn until_left(environment: &Environment, wanted: usize) -> Result<(), Failure> {
    environment.until(&format!("{wanted} ENIs left"), SOON * 2, || {
        let found = attached(environment);
        if found == wanted { Ok(()) } else { Err(format!("{found} are left").into()) }
    })
}

#[test]
fn a_typo_takes_ten_nodes_and_is_undone_or_let_go_on() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    for n in 1..=NODES {
        environment.node(&format!("node{n:02}"), &format!("i-0aaaaaaaaaaaaaa{n:02}"))?;
    }
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    environment.apply(&nodeeni("one", &[&subnet, &group]))?;
    environment.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    until_attached(&environment, NODES)?;
    environment.condition("one", "Ready", "True", SOON)?;

    select(&environment, "multi-enl")?;
    let (reason, message) = environment.condition("one", "RemovalPaced", "True", SOON)?;
    environment.assert_eq(&message, reason.as_str(), "TooManyAtOnce");
    until_left(&environment, NODES - 10)?;
    thread::sleep(Duration::from_secs(5));
    environment.assert_eq("ENIs that wait for their turn", attached(&environment), NODES - 10);
    let (_, message) = environment.condition("one", "RemovalPaced", "True", SOON)?;
    for words in ["4 nodes are to lose ENIs and wait", "no more than 10 of 14", "undo the change", "allow-removals=2"] {
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }

    // Undone: what waits stays, and the others come back.
    let kept = environment.account.ours().into_iter().filter(|eni| eni.attachment.is_some()).map(|eni| eni.id);
    let kept: Vec<String> = kept.collect();
    select(&environment, "multi-eni")?;
    until_attached(&environment, NODES)?;
    environment.condition("one", "RemovalPaced", "False", SOON)?;
    let now: Vec<String> = environment.account.ours().into_iter().map(|eni| eni.id).collect();
    assert!(kept.iter().all(|id| now.contains(id)), "{kept:?} are not all among {now:?}");

    // Meant so: the annotation that the message names lets all go at once. That of an older generation does not.
    let allow = |generation: &str| {
        let value = format!("multi-eni.networking.k8s.aws/allow-removals={generation}");
        environment.kubectl(&["annotate", "nodeeni", "one", "--overwrite", &value])
    };
    allow("2")?;
    select(&environment, "other")?;
    environment.condition("one", "RemovalPaced", "True", SOON)?;
    let generation = environment.get(&["nodeeni", "one"])?["metadata"]["generation"].to_string();
    allow(&generation)?;
    environment.clean(SOON * 2)?;
    environment.condition("one", "RemovalPaced", "False", SOON)?;
    environment.passed();
    Ok(())
}

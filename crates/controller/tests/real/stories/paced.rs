//! A typo in a selector removes the ENIs of ten nodes, not of the fleet. The other nodes wait, are reported, and keep their ENIs
//! when the typo is corrected.

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

/// How many ENIs of ours are attached, being attached or being detached.
fn attached(environment: &Environment) -> usize {
    environment.account.ours().iter().filter(|eni| eni.attachment.is_some()).count()
}

/// Waits until this many ENIs are attached on EC2, and the status says the same.
fn until_attached(environment: &Environment, expected: usize) -> Result<(), Failure> {
    environment.until(&format!("{expected} ENIs attached"), SOON * 2, || {
        let (found, said) = (attached(environment), environment.get(&["nodeeni", "one"])?["status"]["ready"].as_u64());
        let is_so = found == expected && said == u64::try_from(expected).ok();
        if is_so { Ok(()) } else { Err(format!("{found} are attached, the status says {said:?}").into()) }
    })
}

/// Waits until this many ENIs are left on EC2.
fn until_left(environment: &Environment, expected: usize) -> Result<(), Failure> {
    environment.until(&format!("{expected} ENIs left"), SOON * 2, || {
        let found = attached(environment);
        if found == expected { Ok(()) } else { Err(format!("{found} are left").into()) }
    })
}

#[test]
fn a_typo_affects_ten_nodes_and_can_be_undone_or_allowed() -> Result<(), Failure> {
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
    environment.assert_eq("ENIs that wait for their removal", attached(&environment), NODES - 10);
    let (_, message) = environment.condition("one", "RemovalPaced", "True", SOON)?;
    for words in ["4 nodes wait for the removal of ENIs", "at most 10 of 14", "undo the change", "allow-removals=2"] {
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }

    // The selector is corrected: waiting nodes keep their ENIs, and the others get ENIs again.
    let kept = environment.account.ours().into_iter().filter(|eni| eni.attachment.is_some()).map(|eni| eni.id);
    let kept: Vec<String> = kept.collect();
    select(&environment, "multi-eni")?;
    until_attached(&environment, NODES)?;
    environment.condition("one", "RemovalPaced", "False", SOON)?;
    let now: Vec<String> = environment.account.ours().into_iter().map(|eni| eni.id).collect();
    assert!(kept.iter().all(|id| now.contains(id)), "{kept:?} are not all among {now:?}");

    // The change is intended: the annotation from the message allows all removals at once. An annotation for an older generation
    // does not.
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

//! A typo in a selector takes ten nodes and not the fleet: the rest waits, is told apart, and stays when the typo is undone.

use super::nodeeni;
use crate::harness::account::{GROUP, SUBNET_A};
use crate::harness::{Failure, SOON, Stage};
use std::thread;
use std::time::Duration;

const NODES: usize = 14;

fn select(stage: &Stage, value: &str) -> Result<(), Failure> {
    let patch = format!("{{\"spec\":{{\"nodeSelector\":{{\"ng\":\"{value}\"}}}}}}");
    stage.kubectl(&["patch", "nodeeni", "one", "--type=merge", "-p", &patch])?;
    Ok(())
}

/// How many ENIs of ours are attached, or on their way to or from it.
fn attached(stage: &Stage) -> usize {
    stage.account.ours().iter().filter(|eni| eni.attachment.is_some()).count()
}

/// Until so many are attached on EC2 and none else is, and the status says that all are.
fn until_attached(stage: &Stage, wanted: usize) -> Result<(), Failure> {
    stage.until(&format!("{wanted} ENIs attached"), SOON * 2, || {
        let (found, said) = (attached(stage), stage.get(&["nodeeni", "one"])?["status"]["ready"].as_u64());
        let is_so = found == wanted && said == u64::try_from(wanted).ok();
        if is_so { Ok(()) } else { Err(format!("{found} are attached, the status says {said:?}").into()) }
    })
}

/// Until so many are left on EC2.
fn until_left(stage: &Stage, wanted: usize) -> Result<(), Failure> {
    stage.until(&format!("{wanted} ENIs left"), SOON * 2, || {
        let found = attached(stage);
        if found == wanted { Ok(()) } else { Err(format!("{found} are left").into()) }
    })
}

#[test]
fn a_typo_takes_ten_nodes_and_is_undone_or_let_go_on() -> Result<(), Failure> {
    let stage = Stage::with_a_controller()?;
    for n in 1..=NODES {
        stage.node(&format!("node{n:02}"), &format!("i-0aaaaaaaaaaaaaa{n:02}"))?;
    }
    let (subnet, group) = (format!("subnetID: {SUBNET_A}"), format!("securityGroupIDs: [{GROUP}]"));
    stage.apply(&nodeeni("one", &[&subnet, &group]))?;
    stage.kubectl(&["label", "node", "--all", "ng=multi-eni"])?;
    until_attached(&stage, NODES)?;
    stage.condition("one", "Ready", "True", SOON)?;

    select(&stage, "multi-enl")?;
    let (reason, message) = stage.condition("one", "RemovalPaced", "True", SOON)?;
    stage.assert_eq(&message, reason.as_str(), "TooManyAtOnce");
    until_left(&stage, NODES - 10)?;
    thread::sleep(Duration::from_secs(5));
    stage.assert_eq("ENIs that wait for their turn", attached(&stage), NODES - 10);
    let (_, message) = stage.condition("one", "RemovalPaced", "True", SOON)?;
    for words in ["4 nodes are to lose ENIs and wait", "no more than 10 of 14", "undo the change", "allow-removals=2"] {
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }

    // Undone: what waits stays, and the others come back.
    let kept = stage.account.ours().into_iter().filter(|eni| eni.attachment.is_some()).map(|eni| eni.id);
    let kept: Vec<String> = kept.collect();
    select(&stage, "multi-eni")?;
    until_attached(&stage, NODES)?;
    stage.condition("one", "RemovalPaced", "False", SOON)?;
    let now: Vec<String> = stage.account.ours().into_iter().map(|eni| eni.id).collect();
    assert!(kept.iter().all(|id| now.contains(id)), "{kept:?} are not all among {now:?}");

    // Meant so: the annotation that the message names lets all go at once. That of an older generation does not.
    let allow = |generation: &str| {
        let value = format!("multi-eni.networking.k8s.aws/allow-removals={generation}");
        stage.kubectl(&["annotate", "nodeeni", "one", "--overwrite", &value])
    };
    allow("2")?;
    select(&stage, "other")?;
    stage.condition("one", "RemovalPaced", "True", SOON)?;
    let generation = stage.get(&["nodeeni", "one"])?["metadata"]["generation"].to_string();
    allow(&generation)?;
    stage.clean(SOON * 2)?;
    stage.condition("one", "RemovalPaced", "False", SOON)?;
    stage.passed();
    Ok(())
}

//! The scenario for one file of NodeENIs: apply them, label the nodes, wait for the ENIs, unlabel a node, delete the NodeENIs.
//! Each step is followed by its checks.

use super::agent_checks::{check_configured, check_taken_back};
use super::checks::{self, CheckResults};
use super::cli_flags::Flags;
use super::environment::Environment;
use super::keep::keep;
use super::manifests::{Labels, Manifests};
use super::wait::until;
use multi_eni_plan::counted::counted;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::sleep;

/// Timeout of each step.
const TIMEOUT: Duration = Duration::from_secs(90);
/// With `--keep` the sandbox says after this time how to reach it, even if ENIs are missing: the user looks for the reason then.
const KEEP_AFTER: Duration = Duration::from_secs(20);

/// Runs the scenario for one file.
pub async fn run_file(
    environment: &Environment,
    flags: &Flags,
    number: usize,
    file: &Manifests,
    results: &mut CheckResults,
) -> Result<(), String> {
    let terminal = &environment.terminal;
    terminal.heading(&format!("{number}. {}", file.title));
    for (object, name) in file.objects.iter().zip(file.names()) {
        environment
            .kubectl
            .apply(object)
            .await
            .map_err(|refusal| format!("the API server refuses NodeENI {name}: {refusal}"))?;
        terminal.event("kubectl", &format!("apply NodeENI {name}"));
    }
    say_places(environment);
    let labelled = label(environment, file).await?;
    let expected = expected(environment, file, &labelled);
    let timeout = if flags.keep { KEEP_AFTER } else { TIMEOUT };
    let attached = check_attached(environment, file, &expected, timeout, results).await;
    check_configured(environment, results).await;
    if flags.keep {
        keep(environment, &labelled, attached.is_ok()).await;
    }
    attached?;
    unlabel_first(environment, file, &labelled, results).await?;
    if let Some((node, _)) = labelled.first() {
        check_taken_back(environment, &[node], results).await;
    }
    delete(environment, file, results).await?;
    let nodes: Vec<&str> = environment.nodes.iter().map(|node| node.name.as_str()).collect();
    check_taken_back(environment, &nodes, results).await;
    for (node, labels) in &labelled {
        let away = labels.keys().map(|key| (key.clone(), None)).collect();
        environment.kubectl.label(node, &away).await?;
    }
    Ok(())
}

/// Says in which zones the nodes and the subnets are, if there are several zones.
fn say_places(environment: &Environment) {
    if environment.places.zones().count() < 2 {
        return;
    }
    for zone in environment.places.zones() {
        let nodes = environment.nodes.iter().filter(|node| node.zone == zone).map(|node| node.name.as_str());
        let subnets = environment.places.subnets().filter(|(_, of)| *of == zone).map(|(id, _)| id);
        let there: Vec<&str> = nodes.chain(subnets).collect();
        environment.terminal.event("account", &format!("in zone {}: {}", zone.name(), there.join(", ")));
    }
}

/// Gives each node, in turn, one of the sets of labels.
async fn label(environment: &Environment, file: &Manifests) -> Result<Vec<(String, Labels)>, String> {
    let sets = file.label_sets();
    let mut labelled = Vec::new();
    for (node, labels) in environment.nodes.iter().map(|node| &node.name).zip(sets.iter().cycle()) {
        environment.kubectl.label(node, &labels.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()).await?;
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        environment.terminal.event("kubectl", &format!("label node {node} {}", shown.join(" ")));
        labelled.push((node.clone(), labels.clone()));
    }
    Ok(labelled)
}

/// The names of the NodeENIs that select and cover each node.
fn expected(
    environment: &Environment,
    file: &Manifests,
    labelled: &[(String, Labels)],
) -> BTreeMap<String, Vec<String>> {
    let selectors = file.selectors();
    let zone_of = |node: &str| environment.nodes.iter().find(|of| of.name == node).map(|of| of.zone);
    let asks = |node: &str, labels: &Labels| {
        let zone = zone_of(node);
        let all = selectors.iter().zip(&file.objects).filter(|((_, selector), object)| {
            let is_selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
            is_selected && zone.is_some_and(|zone| environment.places.covers(&object["spec"], zone))
        });
        all.map(|((name, _), _)| name.clone()).collect()
    };
    labelled.iter().map(|(node, labels)| (node.clone(), asks(node, labels))).collect()
}

/// Waits until all ENIs are attached and Ready, and checks the statuses against EC2.
async fn check_attached(
    environment: &Environment,
    file: &Manifests,
    expected: &BTreeMap<String, Vec<String>>,
    timeout: Duration,
    results: &mut CheckResults,
) -> Result<(), String> {
    let names = file.names();
    let ready = until(&environment.terminal, "the ENIs to be attached and ready", timeout, async || {
        checks::attached(environment, &names, expected).await
    })
    .await;
    let pairs = counted(expected.values().map(Vec::len).sum(), "pair");
    let enis = ready.as_ref().map(|enis| format!(", {}", counted(*enis, "ENI"))).unwrap_or_default();
    results.check(
        format!("each NodeENI has its ENIs on each of its nodes ({pairs} of Node and NodeENI{enis}), and every status agrees with EC2"),
        ready.clone().map(drop),
    );
    results.check(
        "no slot has two ENIs, every ENI has its ENIAttachment, and every Ready is true on EC2",
        checks::invariants_hold(environment).await,
    );
    results.check("the ENIs that existed before are unchanged", checks::foreign_untouched(environment));
    ready.map(drop)
}

/// Removes the labels of one node: its ENIs must go, and those of the others must stay.
async fn unlabel_first(
    environment: &Environment,
    file: &Manifests,
    labelled: &[(String, Labels)],
    results: &mut CheckResults,
) -> Result<(), String> {
    let (Some((node, labels)), Some(first)) = (labelled.first(), environment.nodes.first()) else {
        return Ok(());
    };
    let instance = first.instance.as_str();
    let others: BTreeSet<String> = on_others(environment, instance);
    environment.kubectl.label(node, &labels.keys().map(|key| (key.clone(), None)).collect()).await?;
    let shown: Vec<String> = labels.keys().map(|key| format!("{key}-")).collect();
    environment.terminal.event("kubectl", &format!("label node {node} {}", shown.join(" ")));
    let names = file.names();
    let gone = until(&environment.terminal, "the removal of the ENIs of the unlabelled node", TIMEOUT, async || {
        let objects = environment
            .kubectl
            .attachments()
            .await?
            .into_iter()
            .filter(|object| object.spec.node_name == *node)
            .count();
        let left = checks::ours(environment).keys().filter(|(on, _)| on == instance).count();
        if objects + left > 0 {
            let (enis, objects) = (counted(left, "ENI"), counted(objects, "ENIAttachment"));
            return Err(format!("left on {instance}: {enis}; left of {node}: {objects}"));
        }
        checks::all_ready(environment, &names).await?;
        checks::status_matches_ec2(environment).await
    })
    .await;
    results.check(format!("{node} without its labels has no ENI of a NodeENI any more"), gone.clone().map(drop));
    let kept = on_others(environment, instance);
    let same = if kept == others { Ok(()) } else { Err(format!("before: {others:?}, now: {kept:?}")) };
    results.check("the other nodes kept their ENIs", same);
    gone.map(drop)
}

fn on_others(environment: &Environment, instance: &str) -> BTreeSet<String> {
    checks::ours(environment).into_iter().filter(|((on, _), _)| on != instance).map(|(_, eni)| eni.id).collect()
}

/// Deletes the NodeENIs: no object and no ENI may be left.
async fn delete(environment: &Environment, file: &Manifests, results: &mut CheckResults) -> Result<(), String> {
    for name in file.names() {
        environment.kubectl.delete(&name).await?;
        environment.terminal.event("kubectl", &format!("delete NodeENI {name}"));
    }
    let gone = until(&environment.terminal, "the removal of the NodeENIs and their ENIs", TIMEOUT, async || {
        no_object(environment).await
    })
    .await;
    results.check("the deleted NodeENIs and their ENIAttachments no longer exist", gone.clone());
    results.check(
        "EC2 is as it was before: no ENI leaked, and no other ENI changed",
        checks::account_is_unchanged(environment),
    );
    gone
}

async fn no_object(environment: &Environment) -> Result<(), String> {
    let (nodeenis, attachments) =
        (environment.kubectl.nodeenis().await?.len(), environment.kubectl.attachments().await?.len());
    if nodeenis + attachments == 0 {
        Ok(())
    } else {
        Err(format!("left: {} and {}", counted(nodeenis, "NodeENI"), counted(attachments, "ENIAttachment")))
    }
}

/// Checks that an idle controller makes no call that changes EC2.
pub async fn check_idle(environment: &Environment, results: &mut CheckResults) -> Result<(), String> {
    environment.terminal.heading("Idle");
    let mutations = || environment.ec2.calls().iter().filter(|call| !call.action.starts_with("Describe")).count();
    let before = mutations();
    environment.terminal.progress("watching an idle controller for 3 seconds");
    sleep(Duration::from_secs(3)).await;
    let more = mutations() - before;
    let idle = if more == 0 { Ok(()) } else { Err(format!("{} to change EC2", counted(more, "call"))) };
    results.check("the controller is idle: for 3 seconds it makes no call that changes EC2", idle);
    Ok(())
}

/// Deletes all NodeENIs and waits until EC2 is clean.
pub async fn clean_up(environment: &Environment) -> Result<(), String> {
    for name in environment.kubectl.nodeenis().await?.into_keys() {
        environment.kubectl.delete(&name).await?;
    }
    until(&environment.terminal, "the removal of all NodeENIs and their ENIs", TIMEOUT, async || {
        no_object(environment).await
    })
    .await?;
    checks::account_is_unchanged(environment)
}

//! A chapter: apply, label, see the ENIs come; unlabel, see them go; delete, see nothing left.

use super::Flags;
use super::manifests::{Labels, Manifests};
use super::stage::{LABEL_GRACE, REGION, Stage};
use super::verdict::{self, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Nothing in the story takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Plays one file of NodeENIs.
pub async fn play(
    stage: &Stage,
    flags: &Flags,
    number: usize,
    file: &Manifests,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let account = &stage.account;
    account.headline(&format!("{number}. {}", file.title));
    for (object, name) in file.objects.iter().zip(file.names()) {
        stage.person.apply(object).await.map_err(|refusal| format!("NodeENI {name} is refused: {refusal}"))?;
        account.event("kubectl", &format!("apply NodeENI {name}"));
    }
    let labelled = label(stage, file).await?;
    let wanted = wanted(file, &labelled);
    arrive(stage, file, &wanted, verdict).await?;
    if flags.keep {
        keep(stage).await;
    }
    unlabel_first(stage, file, &labelled, verdict).await?;
    delete(stage, file, verdict).await?;
    for (node, labels) in &labelled {
        let away = labels.keys().map(|key| (key.clone(), None)).collect();
        stage.person.label(node, &away).await?;
    }
    Ok(())
}

/// Each node gets one set of labels that fit together, in turn.
async fn label(stage: &Stage, file: &Manifests) -> Result<Vec<(String, Labels)>, String> {
    let sets = file.label_sets();
    let mut labelled = Vec::new();
    for ((node, _), labels) in stage.nodes.iter().zip(sets.iter().cycle()) {
        stage.person.label(node, &labels.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()).await?;
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        stage.account.event("kubectl", &format!("label node {node} {}", shown.join(" ")));
        labelled.push((node.clone(), labels.clone()));
    }
    Ok(labelled)
}

/// For each node the NodeENIs that match it.
fn wanted(file: &Manifests, labelled: &[(String, Labels)]) -> BTreeMap<String, Vec<String>> {
    let selectors = file.selectors();
    let matching = |labels: &Labels| {
        let fits =
            selectors.iter().filter(|(_, selector)| selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
        fits.map(|(name, _)| name.clone()).collect()
    };
    labelled.iter().map(|(node, labels)| (node.clone(), matching(labels))).collect()
}

/// The ENIs come: Ready, and the status is what EC2 shows.
async fn arrive(
    stage: &Stage,
    file: &Manifests,
    wanted: &BTreeMap<String, Vec<String>>,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let names = file.names();
    let pairs: usize = wanted.values().map(Vec::len).sum();
    let ready = until(stage, "the ENIs to be attached and ready", async || {
        verdict::all_ready(stage, &names).await?;
        let held = held_pairs(stage).await?;
        let missing = wanted
            .iter()
            .flat_map(|(node, names)| names.iter().map(move |name| (node, name)))
            .find(|(node, name)| !held.contains(&((*node).clone(), (*name).clone())));
        match missing {
            Some((node, name)) => Err(format!("{node} has no ready ENI of {name} yet")),
            // deleteOnTermination is set right after Ready, off the path.
            None => verdict::status_is_the_truth(stage).await,
        }
    })
    .await;
    let enis = *ready.as_ref().unwrap_or(&0);
    verdict.check(
        format!(
            "{pairs} pairs of node and NodeENI have their ENIs ({enis} in all), and every status is what EC2 shows"
        ),
        ready.clone().map(drop),
    );
    verdict.check("no slot is held twice, no ENI is unknown, every Ready is so", verdict::invariants_hold(stage).await);
    verdict.check("nothing foreign was touched", verdict::foreign_untouched(stage));
    ready.map(drop)
}

/// (Node, NodeENI) with an ENIAttachment that is Ready.
async fn held_pairs(stage: &Stage) -> Result<BTreeSet<(String, String)>, String> {
    use multi_eni_api::conditions::{is_true, types};
    let all = stage.person.attachments().await?.into_iter();
    let ready =
        all.filter(|object| object.status.as_ref().is_some_and(|status| is_true(&status.conditions, types::READY)));
    Ok(ready.map(|object| (object.spec.node_name, object.spec.node_eni_name)).collect())
}

/// `--keep`: the world stands until Ctrl-C.
async fn keep(stage: &Stage) {
    stage.account.headline("Kept running. In another terminal:");
    stage.account.line(&format!("  export KUBECONFIG={}", stage.kubeconfig.display()));
    stage.account.line(&format!(
        "  export AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox MULTI_ENI_CLUSTER_NAME=sandbox MULTI_ENI_LABEL_GRACE={LABEL_GRACE}s",
        stage.ec2_url
    ));
    // Nothing called multi-eni is on the PATH of who has built it.
    let program = std::env::current_exe().map_or_else(|_| "multi-eni".to_owned(), |path| path.display().to_string());
    stage.account.line(&format!("  kubectl get nodes,neni,enia\n  {program} explain node/node1\n  kubectl label node node1 ng-\n  kubectl describe neni\n\nCtrl-C cleans up and ends."));
    std::future::pending().await
}

/// One node loses its labels: its ENIs go, the others' stay.
async fn unlabel_first(
    stage: &Stage,
    file: &Manifests,
    labelled: &[(String, Labels)],
    verdict: &mut Verdict,
) -> Result<(), String> {
    let (Some((node, labels)), Some((_, instance))) = (labelled.first(), stage.nodes.first()) else { return Ok(()) };
    let others: BTreeSet<String> = on_others(stage, instance);
    stage.person.label(node, &labels.keys().map(|key| (key.clone(), None)).collect()).await?;
    stage.account.event(
        "kubectl",
        &format!("label node {node} {}", labels.keys().map(|k| format!("{k}-")).collect::<Vec<_>>().join(" ")),
    );
    let names = file.names();
    let gone = until(stage, "the ENIs of the unlabelled node to go", async || {
        let held =
            stage.person.attachments().await?.into_iter().filter(|object| object.spec.node_name == *node).count();
        let left = verdict::ours(stage).keys().filter(|(on, _)| on == instance).count();
        if held + left > 0 {
            return Err(format!("{left} ENIs are still on {instance}, {held} ENIAttachments still on {node}"));
        }
        verdict::all_ready(stage, &names).await?;
        verdict::status_is_the_truth(stage).await
    })
    .await;
    verdict.check(format!("{node} without its labels has no ENI of ours any more"), gone.clone().map(drop));
    let kept = on_others(stage, instance);
    let same = if kept == others { Ok(()) } else { Err(format!("{others:?} became {kept:?}")) };
    verdict.check("the other nodes kept their ENIs", same);
    gone.map(drop)
}

fn on_others(stage: &Stage, instance: &str) -> BTreeSet<String> {
    verdict::ours(stage).into_iter().filter(|((on, _), _)| on != instance).map(|(_, eni)| eni.id).collect()
}

/// The NodeENIs are deleted: no object, no ENI.
async fn delete(stage: &Stage, file: &Manifests, verdict: &mut Verdict) -> Result<(), String> {
    for name in file.names() {
        stage.person.delete(&name).await?;
        stage.account.event("kubectl", &format!("delete NodeENI {name}"));
    }
    let gone = until(stage, "the NodeENIs and their ENIs to go", async || no_object(stage).await).await;
    verdict.check("the deleted NodeENIs are gone, and their ENIAttachments with them", gone.clone());
    verdict.check(
        "EC2 is as it was before: nothing leaked, nothing foreign touched",
        verdict::account_is_as_before(stage),
    );
    gone
}

async fn no_object(stage: &Stage) -> Result<(), String> {
    let (left, held) = (stage.person.nodeenis().await?.len(), stage.person.attachments().await?.len());
    if left + held == 0 { Ok(()) } else { Err(format!("{left} NodeENIs and {held} ENIAttachments are left")) }
}

/// When all is over: planning again gives nothing to do.
pub async fn epilogue(stage: &Stage, verdict: &mut Verdict) -> Result<(), String> {
    stage.account.headline("And then nothing");
    let mutations = || stage.ec2.calls().iter().filter(|call| !call.action.starts_with("Describe")).count();
    let before = mutations();
    stage.account.progress("watching an idle controller for 3 seconds");
    sleep(Duration::from_secs(3)).await;
    let more = mutations() - before;
    let idle = if more == 0 { Ok(()) } else { Err(format!("{more} calls that change something")) };
    verdict.check("planning again gives nothing to do: 3 idle seconds without a call that changes EC2", idle);
    Ok(())
}

/// Deletes all NodeENIs and waits until EC2 is clean.
pub async fn clean_up(stage: &Stage) -> Result<(), String> {
    for name in stage.person.nodeenis().await?.into_keys() {
        stage.person.delete(&name).await?;
    }
    until(stage, "everything to go", async || no_object(stage).await).await?;
    verdict::account_is_as_before(stage)
}

/// Looks four times a second until the look answers, or says what it last missed.
async fn until<T>(stage: &Stage, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() >= end => {
                return Err(format!("waited {} s for {what}: {why}", PATIENCE.as_secs()));
            }
            Err(why) => stage.account.progress(&format!("waiting for {what}: {why}")),
        }
        sleep(Duration::from_millis(250)).await;
    }
}

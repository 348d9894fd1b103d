//! A chapter: apply, label, see the ENIs come; unlabel, see them go; delete, see nothing left.

use super::Flags;
use super::checks::{self, Verdict};
use super::environment::{Environment, LABEL_GRACE, REGION};
use super::manifests::{Labels, Manifests};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Nothing in the story takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Plays one file of NodeENIs.
pub async fn play(
    environment: &Environment,
    flags: &Flags,
    number: usize,
    file: &Manifests,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let account = &environment.account;
    account.headline(&format!("{number}. {}", file.title));
    for (object, name) in file.objects.iter().zip(file.names()) {
        environment.person.apply(object).await.map_err(|refusal| format!("NodeENI {name} is refused: {refusal}"))?;
        account.event("kubectl", &format!("apply NodeENI {name}"));
    }
    let labelled = label(environment, file).await?;
    let wanted = wanted(file, &labelled);
    arrive(environment, file, &wanted, verdict).await?;
    if flags.keep {
        keep(environment).await;
    }
    unlabel_first(environment, file, &labelled, verdict).await?;
    delete(environment, file, verdict).await?;
    for (node, labels) in &labelled {
        let away = labels.keys().map(|key| (key.clone(), None)).collect();
        environment.person.label(node, &away).await?;
    }
    Ok(())
}

/// Each node gets one set of labels that fit together, in turn.
async fn label(environment: &Environment, file: &Manifests) -> Result<Vec<(String, Labels)>, String> {
    let sets = file.label_sets();
    let mut labelled = Vec::new();
    for ((node, _), labels) in environment.nodes.iter().zip(sets.iter().cycle()) {
        environment.person.label(node, &labels.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()).await?;
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        environment.account.event("kubectl", &format!("label node {node} {}", shown.join(" ")));
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
    environment: &Environment,
    file: &Manifests,
    wanted: &BTreeMap<String, Vec<String>>,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let names = file.names();
    let pairs: usize = wanted.values().map(Vec::len).sum();
    let ready = until(environment, "the ENIs to be attached and ready", async || {
        checks::all_ready(environment, &names).await?;
        let attachment = held_pairs(environment).await?;
        let missing = wanted
            .iter()
            .flat_map(|(node, names)| names.iter().map(move |name| (node, name)))
            .find(|(node, name)| !attachment.contains(&((*node).clone(), (*name).clone())));
        match missing {
            Some((node, name)) => Err(format!("{node} has no ready ENI of {name} yet")),
            // deleteOnTermination is set right after Ready, off the path.
            None => checks::status_is_the_truth(environment).await,
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
    verdict.check(
        "no slot is held twice, no ENI is unknown, every Ready is so",
        checks::invariants_hold(environment).await,
    );
    verdict.check("nothing foreign was touched", checks::foreign_untouched(environment));
    ready.map(drop)
}

/// (Node, NodeENI) with an ENIAttachment that is Ready.
async fn held_pairs(environment: &Environment) -> Result<BTreeSet<(String, String)>, String> {
    use multi_eni_api::conditions::{is_true, types};
    let all = environment.person.attachments().await?.into_iter();
    let ready =
        all.filter(|object| object.status.as_ref().is_some_and(|status| is_true(&status.conditions, types::READY)));
    Ok(ready.map(|object| (object.spec.node_name, object.spec.node_eni_name)).collect())
}

/// `--keep`: the world stands until Ctrl-C.
async fn keep(environment: &Environment) {
    environment.account.headline("Kept running. In another terminal:");
    environment.account.line(&format!("  export KUBECONFIG={}", environment.kubeconfig.display()));
    environment.account.line(&format!(
        "  export AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox MULTI_ENI_CLUSTER_NAME=sandbox MULTI_ENI_LABEL_GRACE={LABEL_GRACE}s",
        environment.ec2_url
    ));
    // Nothing called multi-eni is on the PATH of who has built it.
    let program = std::env::current_exe().map_or_else(|_| "multi-eni".to_owned(), |path| path.display().to_string());
    environment.account.line(&format!("  kubectl get nodes,neni,enia\n  {program} explain node/node1\n  kubectl label node node1 ng-\n  kubectl describe neni\n\nCtrl-C cleans up and ends."));
    std::future::pending().await
}

/// One node loses its labels: its ENIs go, the others' stay.
async fn unlabel_first(
    environment: &Environment,
    file: &Manifests,
    labelled: &[(String, Labels)],
    verdict: &mut Verdict,
) -> Result<(), String> {
    let (Some((node, labels)), Some((_, instance))) = (labelled.first(), environment.nodes.first()) else {
        return Ok(());
    };
    let others: BTreeSet<String> = on_others(environment, instance);
    environment.person.label(node, &labels.keys().map(|key| (key.clone(), None)).collect()).await?;
    environment.account.event(
        "kubectl",
        &format!("label node {node} {}", labels.keys().map(|k| format!("{k}-")).collect::<Vec<_>>().join(" ")),
    );
    let names = file.names();
    let gone = until(environment, "the ENIs of the unlabelled node to go", async || {
        let attachment =
            environment.person.attachments().await?.into_iter().filter(|object| object.spec.node_name == *node).count();
        let left = checks::ours(environment).keys().filter(|(on, _)| on == instance).count();
        if attachment + left > 0 {
            return Err(format!("{left} ENIs are still on {instance}, {attachment} ENIAttachments still on {node}"));
        }
        checks::all_ready(environment, &names).await?;
        checks::status_is_the_truth(environment).await
    })
    .await;
    verdict.check(format!("{node} without its labels has no ENI of ours any more"), gone.clone().map(drop));
    let kept = on_others(environment, instance);
    let same = if kept == others { Ok(()) } else { Err(format!("{others:?} became {kept:?}")) };
    verdict.check("the other nodes kept their ENIs", same);
    gone.map(drop)
}

fn on_others(environment: &Environment, instance: &str) -> BTreeSet<String> {
    checks::ours(environment).into_iter().filter(|((on, _), _)| on != instance).map(|(_, eni)| eni.id).collect()
}

/// The NodeENIs are deleted: no object, no ENI.
async fn delete(environment: &Environment, file: &Manifests, verdict: &mut Verdict) -> Result<(), String> {
    for name in file.names() {
        environment.person.delete(&name).await?;
        environment.account.event("kubectl", &format!("delete NodeENI {name}"));
    }
    let gone = until(environment, "the NodeENIs and their ENIs to go", async || no_object(environment).await).await;
    verdict.check("the deleted NodeENIs are gone, and their ENIAttachments with them", gone.clone());
    verdict.check(
        "EC2 is as it was before: nothing leaked, nothing foreign touched",
        checks::account_is_as_before(environment),
    );
    gone
}

async fn no_object(environment: &Environment) -> Result<(), String> {
    let (left, attachment) =
        (environment.person.nodeenis().await?.len(), environment.person.attachments().await?.len());
    if left + attachment == 0 {
        Ok(())
    } else {
        Err(format!("{left} NodeENIs and {attachment} ENIAttachments are left"))
    }
}

/// When all is over: planning again gives nothing to do.
pub async fn epilogue(environment: &Environment, verdict: &mut Verdict) -> Result<(), String> {
    environment.account.headline("And then nothing");
    let mutations = || environment.ec2.calls().iter().filter(|call| !call.action.starts_with("Describe")).count();
    let before = mutations();
    environment.account.progress("watching an idle controller for 3 seconds");
    sleep(Duration::from_secs(3)).await;
    let more = mutations() - before;
    let idle = if more == 0 { Ok(()) } else { Err(format!("{more} calls that change something")) };
    verdict.check("planning again gives nothing to do: 3 idle seconds without a call that changes EC2", idle);
    Ok(())
}

/// Deletes all NodeENIs and waits until EC2 is clean.
pub async fn clean_up(environment: &Environment) -> Result<(), String> {
    for name in environment.person.nodeenis().await?.into_keys() {
        environment.person.delete(&name).await?;
    }
    until(environment, "everything to go", async || no_object(environment).await).await?;
    checks::account_is_as_before(environment)
}

/// Looks four times a second until the look answers, or says what it last missed.
async fn until<T>(
    environment: &Environment,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() >= end => {
                return Err(format!("waited {} s for {what}: {why}", PATIENCE.as_secs()));
            }
            Err(why) => environment.account.progress(&format!("waiting for {what}: {why}")),
        }
        sleep(Duration::from_millis(250)).await;
    }
}

//! The checks of the sandbox and their summary. Each check compares what the simulated EC2 and the simulated API server show;
//! none trusts the controller.

use super::environment::Environment;
use super::observed_eni::seen;
use super::terminal::Terminal;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::TAG_CLUSTER;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::invariants;
use multi_eni_plan::observed::{Cluster, ObservedEni};
use multi_eni_sim::ec2::{AttachmentStatus, Eni};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// The results of the checks so far.
pub struct CheckResults {
    terminal: Terminal,
    checks: Vec<(String, Result<(), String>)>,
}

impl CheckResults {
    /// No results yet.
    pub fn new(terminal: Terminal) -> Self {
        Self { terminal, checks: Vec::new() }
    }

    /// Prints and keeps the result of one check.
    pub fn check(&mut self, what: impl Into<String>, outcome: Result<(), String>) {
        let what = what.into();
        match &outcome {
            Ok(()) => self.terminal.event("check", &format!("✓ {what}")),
            Err(why) => self.terminal.event("check", &format!("✗ {what}: {why}")),
        }
        self.checks.push((what, outcome));
    }

    /// Records that the scenario could not go on.
    pub fn fail(&mut self, reason: &str) {
        self.check("the scenario runs to its end", Err(reason.to_owned()));
    }

    /// Prints all results. The exit code is 0 only if there are checks and all hold.
    pub fn summary(&self) -> ExitCode {
        self.terminal.settled();
        self.terminal.heading("Summary");
        for (what, outcome) in &self.checks {
            match outcome {
                Ok(()) => self.terminal.line(&format!("  ✓ {what}")),
                Err(why) => self.terminal.line(&format!("  ✗ {what}\n      {why}")),
            }
        }
        let failed = self.checks.iter().filter(|(_, outcome)| outcome.is_err()).count();
        if failed == 0 && !self.checks.is_empty() {
            self.terminal
                .line(&format!("\nAll {} checks passed: no ENI is missing, and none is left over.", self.checks.len()));
            ExitCode::SUCCESS
        } else {
            self.terminal.line(&format!("\n{failed} of {} checks failed.", self.checks.len()));
            ExitCode::FAILURE
        }
    }
}

/// The ENIs of this cluster, by instance and device index.
pub fn ours(environment: &Environment) -> BTreeMap<(String, u32), Eni> {
    let snapshot = environment.ec2.snapshot();
    let ours = snapshot.enis.into_values().filter(|eni| eni.tags.get(TAG_CLUSTER) == Some(&environment.cluster));
    ours.filter_map(|eni| {
        let at = eni.attachment.clone().filter(|at| at.status == AttachmentStatus::Attached)?;
        Some(((at.instance_id, at.device_index), eni))
    })
    .collect()
}

/// Whether each entry of each status is as EC2 shows it, and each of this cluster's ENIs is in a status. Returns the number of
/// entries.
pub async fn status_matches_ec2(environment: &Environment) -> Result<usize, String> {
    let on_ec2 = ours(environment);
    let mut reported: BTreeSet<(String, u32)> = BTreeSet::new();
    for (name, object) in environment.kubectl.nodeenis().await? {
        let status = object.status.unwrap_or_default();
        for entry in status.attachments {
            let slot =
                (entry.instance_id.clone(), entry.device_index.and_then(|i| u32::try_from(i).ok()).unwrap_or_default());
            let Some(eni) = on_ec2.get(&slot) else {
                return Err(format!(
                    "the status of {name} has {} at {slot:?}, which EC2 does not show attached",
                    entry.eni_id
                ));
            };
            if eni.id != entry.eni_id || Some(&eni.subnet_id) != entry.subnet_id.as_ref() || entry.status != "attached"
            {
                return Err(format!(
                    "the status of {name} has {entry:?}, and EC2 shows {} in {}",
                    eni.id, eni.subnet_id
                ));
            }
            if eni.attachment.as_ref().is_none_or(|at| at.delete_on_termination != object.spec.delete_on_termination) {
                return Err(format!("deleteOnTermination of {} differs from the spec of {name}", eni.id));
            }
            reported.insert(slot);
        }
    }
    match on_ec2.iter().find(|(slot, _)| !reported.contains(*slot)) {
        Some((slot, eni)) => Err(format!("{} at {slot:?} is in the status of no NodeENI", eni.id)),
        None => Ok(reported.len()),
    }
}

/// Whether the invariants of `plan` hold: no slot is held twice, each ENI has its ENIAttachment, and each Ready is true on EC2.
pub async fn invariants_hold(environment: &Environment) -> Result<(), String> {
    let attachments: Vec<Attachment> = environment.kubectl.attachments().await?.iter().map(Attachment::read).collect();
    let enis: Vec<ObservedEni> = environment.ec2.snapshot().enis.values().filter_map(seen).collect();
    let (attachments, enis): (Vec<&Attachment>, Vec<&ObservedEni>) =
        (attachments.iter().collect(), enis.iter().collect());
    let cluster = Cluster { uid: environment.cluster.clone(), name: String::new() };
    let breaches =
        invariants::at_rest(&invariants::World { cluster: &cluster, enis: &enis, attachments: &attachments });
    if breaches.is_empty() { Ok(()) } else { Err(breaches.join("; ")) }
}

/// Whether the account has exactly the ENIs that it had before the controller started, unchanged.
pub fn account_is_unchanged(environment: &Environment) -> Result<(), String> {
    let now = environment.ec2.snapshot();
    let added: Vec<&String> = now.enis.keys().filter(|id| !environment.before.enis.contains_key(*id)).collect();
    if !added.is_empty() {
        return Err(format!("leaked: {added:?} exist without a NodeENI"));
    }
    foreign_untouched(environment)
}

/// Whether the ENIs that existed before the controller started are unchanged.
pub fn foreign_untouched(environment: &Environment) -> Result<(), String> {
    let now = environment.ec2.snapshot();
    for (id, eni) in &environment.before.enis {
        if now.enis.get(id) != Some(eni) {
            return Err(format!("{id}, an ENI that existed before the controller started, has changed"));
        }
    }
    Ok(())
}

/// Whether each NodeENI is Ready in its present generation.
pub async fn all_ready(environment: &Environment, names: &[String]) -> Result<(), String> {
    let objects = environment.kubectl.nodeenis().await?;
    for name in names {
        let Some(object) = objects.get(name) else { return Err(format!("NodeENI {name} does not exist")) };
        let status = object.status.clone().unwrap_or_default();
        if status.observed_generation != object.metadata.generation || !is_true(&status.conditions, types::READY) {
            let ready = status.conditions.iter().find(|c| c.type_ == types::READY);
            return Err(format!("{name}: {}", ready.map_or("no condition yet", |c| c.message.as_str())));
        }
    }
    Ok(())
}

/// Whether all ENIs are attached and Ready, and the statuses are as EC2 shows the ENIs. Returns the number of ENIs.
pub async fn attached(
    environment: &Environment,
    names: &[String],
    expected: &BTreeMap<String, Vec<String>>,
) -> Result<usize, String> {
    all_ready(environment, names).await?;
    let ready = ready_pairs(environment).await?;
    let missing = expected
        .iter()
        .flat_map(|(node, names)| names.iter().map(move |name| (node, name)))
        .find(|(node, name)| !ready.contains(&((*node).clone(), (*name).clone())));
    match missing {
        Some((node, name)) => Err(format!("{node} has no ready ENI of {name} yet")),
        // deleteOnTermination is set after Ready, so the ENI may not have it yet.
        None => status_matches_ec2(environment).await,
    }
}

/// Pairs of Node and NodeENI whose ENIAttachment is Ready.
async fn ready_pairs(environment: &Environment) -> Result<BTreeSet<(String, String)>, String> {
    let all = environment.kubectl.attachments().await?.into_iter();
    let ready =
        all.filter(|object| object.status.as_ref().is_some_and(|status| is_true(&status.conditions, types::READY)));
    Ok(ready.map(|object| (object.spec.node_name, object.spec.node_eni_name)).collect())
}

//! The checks and their summary: each line was looked at, on EC2 and on the API server.

use super::ec2_state::seen;
use super::environment::Environment;
use super::terminal::Account;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::names::TAG_CLUSTER;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::invariants;
use multi_eni_plan::observed::{Cluster, ObservedEni};
use multi_eni_sim::ec2::{AttachmentStatus, Eni};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// What was checked so far.
pub struct Verdict {
    account: Account,
    checks: Vec<(String, Result<(), String>)>,
}

impl Verdict {
    /// Nothing checked yet.
    pub fn new(account: Account) -> Self {
        Self { account, checks: Vec::new() }
    }

    /// Takes the outcome of a look.
    pub fn check(&mut self, what: impl Into<String>, outcome: Result<(), String>) {
        let what = what.into();
        match &outcome {
            Ok(()) => self.account.event("check", &format!("✓ {what}")),
            Err(why) => self.account.event("check", &format!("✗ {what}: {why}")),
        }
        self.checks.push((what, outcome));
    }

    /// The story could not go on.
    pub fn broken(&mut self, reason: &str) {
        self.check("the story goes on to its end", Err(reason.to_owned()));
    }

    /// All of it, and the exit code that it means.
    pub fn summary(&self) -> ExitCode {
        self.account.settled();
        self.account.headline("Summary");
        for (what, outcome) in &self.checks {
            match outcome {
                Ok(()) => self.account.line(&format!("  ✓ {what}")),
                Err(why) => self.account.line(&format!("  ✗ {what}\n      {why}")),
            }
        }
        let failed = self.checks.iter().filter(|(_, outcome)| outcome.is_err()).count();
        if failed == 0 && !self.checks.is_empty() {
            self.account
                .line(&format!("\nAll {} checks hold: everything happened, and nothing leaked.", self.checks.len()));
            ExitCode::SUCCESS
        } else {
            self.account.line(&format!("\n{failed} of {} checks do not hold.", self.checks.len()));
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

/// Every entry of every status is what EC2 shows, and every ENI of ours is in a status.
pub async fn status_is_the_truth(environment: &Environment) -> Result<usize, String> {
    let on_ec2 = ours(environment);
    let mut told: BTreeSet<(String, u32)> = BTreeSet::new();
    for (name, object) in environment.person.nodeenis().await? {
        let status = object.status.unwrap_or_default();
        for entry in status.attachments {
            let slot =
                (entry.instance_id.clone(), entry.device_index.and_then(|i| u32::try_from(i).ok()).unwrap_or_default());
            let Some(eni) = on_ec2.get(&slot) else {
                return Err(format!("{name} tells of {} at {slot:?}, which EC2 does not show attached", entry.eni_id));
            };
            if eni.id != entry.eni_id || Some(&eni.subnet_id) != entry.subnet_id.as_ref() || entry.status != "attached"
            {
                return Err(format!("{name} tells {entry:?} and EC2 shows {} in {}", eni.id, eni.subnet_id));
            }
            if eni.attachment.as_ref().is_none_or(|at| at.delete_on_termination != object.spec.delete_on_termination) {
                return Err(format!("deleteOnTermination of {} is not what {name} says", eni.id));
            }
            told.insert(slot);
        }
    }
    match on_ec2.iter().find(|(slot, _)| !told.contains(*slot)) {
        Some((slot, eni)) => Err(format!("{} at {slot:?} is in no status", eni.id)),
        None => Ok(told.len()),
    }
}

/// The invariants of `plan`: no slot twice, no ENI that no ENIAttachment knows, and every Ready is so on EC2.
pub async fn invariants_hold(environment: &Environment) -> Result<(), String> {
    let attachments: Vec<Attachment> = environment.person.attachments().await?.iter().map(Attachment::read).collect();
    let enis: Vec<ObservedEni> = environment.ec2.snapshot().enis.values().filter_map(seen).collect();
    let (attachments, enis): (Vec<&Attachment>, Vec<&ObservedEni>) =
        (attachments.iter().collect(), enis.iter().collect());
    let cluster = Cluster { uid: environment.cluster.clone(), name: String::new() };
    let breaches =
        invariants::at_rest(&invariants::World { cluster: &cluster, enis: &enis, attachments: &attachments });
    if breaches.is_empty() { Ok(()) } else { Err(breaches.join("; ")) }
}

/// Nothing but what was there before: no ENI more, none fewer, none changed.
pub fn account_is_as_before(environment: &Environment) -> Result<(), String> {
    let now = environment.ec2.snapshot();
    let added: Vec<&String> = now.enis.keys().filter(|id| !environment.before.enis.contains_key(*id)).collect();
    if !added.is_empty() {
        return Err(format!("leaked: {added:?} exist and nobody asks for them"));
    }
    foreign_untouched(environment)
}

/// What was there before is as it was.
pub fn foreign_untouched(environment: &Environment) -> Result<(), String> {
    let now = environment.ec2.snapshot();
    for (id, eni) in &environment.before.enis {
        if now.enis.get(id) != Some(eni) {
            return Err(format!("{id}, which is not ours, was changed"));
        }
    }
    Ok(())
}

/// Every NodeENI says Ready, of the generation that it has now.
pub async fn all_ready(environment: &Environment, names: &[String]) -> Result<(), String> {
    let objects = environment.person.nodeenis().await?;
    for name in names {
        let Some(object) = objects.get(name) else { return Err(format!("{name} is gone")) };
        let status = object.status.clone().unwrap_or_default();
        if status.observed_generation != object.metadata.generation || !is_true(&status.conditions, types::READY) {
            let ready = status.conditions.iter().find(|c| c.type_ == types::READY);
            return Err(format!("{name}: {}", ready.map_or("no condition yet", |c| c.message.as_str())));
        }
    }
    Ok(())
}

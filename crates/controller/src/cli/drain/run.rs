//! The steps of a removal: read the cluster, delete the NodeENIs, wait, audit EC2. The decisions are in the files beside it.

use super::ec2_audit::Ec2Audit;
use super::leader::{self, Leader};
use super::nodes;
use super::orphans::{self, Orphans};
use super::progress::Progress;
use super::removal::{Removal, Scope};
use super::rights::Need;
use super::verdict::{Audit, End, Looks, NextLook, exit_status, next_look};
use super::watches::{self, WatchResult};
use super::{left, text};
use crate::cli::output::say;
use crate::client;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client};
use multi_eni_api::NodeENI;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_ec2::{Options, OwnedEnis};
use multi_eni_plan::orphans::RemovalEstimates;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How often progress is printed, at most.
const PRINT_EVERY: Duration = Duration::from_secs(1);
/// After this time without progress, everything that waits is printed.
const QUIET: Duration = Duration::from_secs(30);
/// How old the list of Nodes may be while an orphan is attached.
const NODES_VALID: Duration = Duration::from_secs(60);

/// When the command stops waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    timeout: SignedDuration,
    /// None: the timeout is beyond what the clock can show.
    at: Option<Instant>,
    shown: Option<Timestamp>,
}

impl Deadline {
    /// The deadline after this time.
    pub fn after(timeout: SignedDuration) -> Self {
        let at = Duration::try_from(timeout).ok().and_then(|timeout| Instant::now().checked_add(timeout));
        Self { timeout, at, shown: Timestamp::now().checked_add(timeout).ok() }
    }

    fn is_over(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    fn text(&self) -> String {
        format!("{:#}", self.timeout)
    }
}

/// The Nodes' instances, as they were listed.
#[derive(Debug)]
struct ListedNodes {
    at: Instant,
    instances: BTreeSet<InstanceId>,
}

/// A removal with its connections.
pub(super) struct Drain {
    kube: Client,
    ec2: Option<Ec2Audit>,
    changes: BoxStream<'static, WatchResult>,
    owned: Option<OwnedEnis>,
    nodes: Option<ListedNodes>,
    orphans: Orphans,
    /// What the controller did with the orphans when the command began.
    at_first: RemovalEstimates,
    /// The URL of the API server.
    server: String,
    /// What was printed of the progress.
    progress: Progress,
    pub removal: Removal,
}

impl Drain {
    /// Reads what is there. With `audit` EC2 is asked too: a user without AWS credentials must know that before anything is
    /// removed.
    pub async fn begin(scope: Scope, audit: bool) -> Result<Self, String> {
        let config = client::config().await?;
        let kube = client::plain(&config).map_err(|error| error.to_string())?;
        let mut removal = Removal::new(scope);
        let mut changes = watches::changes(&kube);
        while !removal.is_known() {
            let change = changes.next().await.ok_or("the watch of the API server ended")?;
            removal.take(change)?;
        }
        removal.begin();
        if !removal.is_over() {
            watches::check_rights(&kube).await?;
        }
        let ec2 = if audit { Some(audit_of(&kube).await?) } else { None };
        let owned = match &ec2 {
            Some(ec2) => Some(ec2.owned().await.map_err(|why| text::audit_failed(&why))?),
            None => None,
        };
        let mut drain = Self {
            kube,
            ec2,
            changes,
            owned: None,
            nodes: None,
            orphans: Orphans::default(),
            at_first: RemovalEstimates::default(),
            server: config.cluster_url.to_string(),
            progress: Progress::default(),
            removal,
        };
        if let Some(owned) = owned {
            drain.at_first = drain.judge_orphans(&owned).await?;
            drain.owned = Some(owned);
        }
        Ok(drain)
    }

    /// Whether EC2 shows orphans that the controller removes by itself.
    pub fn has_orphans(&self) -> bool {
        !self.at_first.is_final()
    }

    /// What will be removed.
    pub fn announcement(&self) -> String {
        let scope = &self.removal.scope;
        let number = |owned: &OwnedEnis| scope.enis(&owned.enis).count() + owned.without_id;
        let text = text::announcement(&self.removal, &self.server, self.owned.as_ref().map(number));
        text + &self.orphans_announcement()
    }

    /// What the controller does with the ENIs that no ENIAttachment has.
    pub fn orphans_announcement(&self) -> String {
        orphans::announcement(&self.at_first)
    }

    /// What the controller does with the orphans among these ENIs.
    async fn judge_orphans(&mut self, owned: &OwnedEnis) -> Result<RemovalEstimates, String> {
        let is_old = self.nodes.as_ref().is_none_or(|nodes| nodes.at.elapsed() >= NODES_VALID);
        if is_old && orphans::is_one_attached(&self.removal, &owned.enis) {
            self.nodes = Some(ListedNodes { at: Instant::now(), instances: nodes::instances(&self.kube).await? });
        }
        let none = BTreeSet::new();
        let instances = self.nodes.as_ref().map_or(&none, |nodes| &nodes.instances);
        let resync_every = SignedDuration::try_from(Options::default().resync_every).unwrap_or(SignedDuration::MAX);
        Ok(self.orphans.look(&self.removal, &owned.enis, instances, resync_every, Timestamp::now()))
    }

    /// Whether a controller leads.
    pub async fn leader(&self, namespace: Option<&str>) -> Result<Leader, String> {
        leader::find(&self.kube, namespace).await
    }

    /// Deletes the NodeENIs, waits for the controller, and audits EC2. Returns the exit status.
    pub async fn remove(&mut self, timeout: SignedDuration) -> Result<u8, String> {
        let deadline = Deadline::after(timeout);
        self.delete_nodeenis().await?;
        let end = tokio::select! {
            biased;
            waited = self.wait() => waited?,
            () = until(deadline.at) => End::TimedOut,
        };
        match end {
            End::Complete => {
                self.say_progress();
            }
            End::TimedOut => say(&text::timed_out(&self.removal, &deadline.text())),
        }
        Ok(self.finish(end, Some(deadline)).await)
    }

    async fn delete_nodeenis(&self) -> Result<(), String> {
        let api: Api<NodeENI> = Api::all(self.kube.clone());
        for nodeeni in self.removal.nodeenis_left() {
            if nodeeni.deleting {
                continue;
            }
            // The UID: one that was created again in the meantime is another NodeENI.
            let params = DeleteParams::default()
                .preconditions(Preconditions { uid: Some(nodeeni.uid.clone()), resource_version: None });
            match api.delete(&nodeeni.name, &params).await {
                Ok(_) => say(&format!("Deleted NodeENI {}; the controller removes its ENIs\n", nodeeni.name)),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(Need::Delete(&nodeeni.name).failed(&error)),
            }
        }
        Ok(())
    }

    /// Waits until nothing is left, and prints progress.
    async fn wait(&mut self) -> Result<End, String> {
        let mut printed_at = Instant::now();
        let mut tick = tokio::time::interval(PRINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.removal.is_over() {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    if self.say_progress() {
                        printed_at = Instant::now();
                    } else if printed_at.elapsed() >= QUIET {
                        say(&text::waiting(&self.removal));
                        printed_at = Instant::now();
                    }
                }
                change = self.changes.next() => {
                    self.removal.take(change.ok_or("the watch of the API server ended")?)?;
                }
            }
        }
        Ok(End::Complete)
    }

    /// Prints the progress if there is any. Returns whether there is.
    fn say_progress(&mut self) -> bool {
        let news = self.progress.news(&self.removal);
        if let Some(news) = &news {
            say(news);
        }
        news.is_some()
    }

    /// Audits EC2 and prints the result. Returns the exit status. `deadline`: how long the controller may take to remove orphans;
    /// None if nobody removes them.
    pub async fn finish(&mut self, end: End, deadline: Option<Deadline>) -> u8 {
        let audit = self.audit(end, deadline).await;
        let created = self.removal.created_since();
        say(&text::created_since(&created));
        say(&text::audit(&self.removal.scope, &audit));
        exit_status(end, &audit, &created)
    }

    /// Asks EC2 what is left: again while EC2 may show what is gone, and while the controller decides about orphans.
    async fn audit(&mut self, end: End, deadline: Option<Deadline>) -> Audit {
        let mut looks = Looks::default();
        let first: BTreeSet<EniId> =
            self.at_first.removed_by.keys().chain(self.at_first.kept.keys()).cloned().collect();
        loop {
            let (audit, estimates) = match self.look().await {
                None => return Audit::Skipped,
                Some(Ok((audit, estimates))) => {
                    (looks.answered, looks.failed) = (looks.answered + 1, 0);
                    (audit, estimates)
                }
                Some(Err(why)) => {
                    looks.failed += 1;
                    (Audit::Failed(why), RemovalEstimates::default())
                }
            };
            let orphans = deadline.map_or(0, |_| estimates.removed_by.len());
            let next = next_look(&audit, looks, audit.left().any(|eni| !first.contains(&eni.id)), orphans);
            let pause = match (end, next) {
                (End::TimedOut, _) | (End::Complete, NextLook::Never) => return audit,
                (End::Complete, NextLook::Soon(pause)) => pause,
                (End::Complete, NextLook::WhileWaiting(pause)) => {
                    looks.has_waited = true;
                    let shown = deadline.and_then(|deadline| deadline.shown);
                    // A look without an answer says nothing of the orphans.
                    if orphans > 0
                        && let Some(news) = self.orphans.news(&estimates, shown)
                    {
                        say(&news);
                    }
                    if let Some(deadline) = deadline.filter(Deadline::is_over) {
                        if orphans > 0 {
                            say(&orphans::timed_out(orphans, &deadline.text()));
                        }
                        return audit;
                    }
                    pause
                }
            };
            let ends = Instant::now().checked_add(pause);
            let ends = match (next, deadline.and_then(|deadline| deadline.at)) {
                (NextLook::WhileWaiting(_), Some(at)) => ends.map(|ends| ends.min(at)),
                _ => ends,
            };
            self.pause(ends).await;
        }
    }

    /// Asks EC2 once. None if the user asked for no audit.
    async fn look(&mut self) -> Option<Result<(Audit, RemovalEstimates), String>> {
        let owned = match self.ec2.as_ref()?.owned().await {
            Ok(owned) => owned,
            Err(why) => return Some(Err(why)),
        };
        let estimates = match self.judge_orphans(&owned).await {
            Ok(estimates) => estimates,
            Err(why) => return Some(Err(why)),
        };
        let holders: Vec<_> = self.removal.attachments.items.values().collect();
        let left = left::left(&self.removal.scope, &owned.enis, &holders, &estimates);
        Some(Ok((Audit::Made { left, without_id: owned.without_id }, estimates)))
    }

    /// Waits until this time, and takes what the watches show meanwhile.
    async fn pause(&mut self, ends: Option<Instant>) {
        let mut ended = std::pin::pin!(until(ends));
        loop {
            let change = tokio::select! {
                biased;
                () = &mut ended => return,
                change = self.changes.next() => change,
            };
            match change.map(|change| self.removal.take(change)) {
                Some(Ok(())) => {}
                Some(Err(why)) => tracing::warn!("{why}"),
                None => return ended.await,
            }
        }
    }
}

/// The audit of this cluster. Its identity is the UID of kube-system.
async fn audit_of(kube: &Client) -> Result<Ec2Audit, String> {
    let namespace = Api::<Namespace>::all(kube.clone()).get("kube-system").await;
    let namespace = namespace.map_err(|error| Need::KubeSystem.failed(&error))?;
    let uid = namespace.metadata.uid.filter(|uid| !uid.is_empty());
    let uid = uid.ok_or("the namespace kube-system has no UID: the ENIs of this cluster cannot be told from others")?;
    Ec2Audit::new(uid).await.map_err(|why| text::audit_failed(&why))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

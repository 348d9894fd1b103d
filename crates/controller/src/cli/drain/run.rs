//! The steps of a removal: read the cluster, delete the NodeENIs, wait, audit EC2. The decisions are in the files beside it.

use super::ec2_audit::Ec2Audit;
use super::leader::{self, Leader};
use super::removal::{Removal, Scope};
use super::verdict::{Audit, End, exit_status};
use super::watches::{self, WatchResult};
use super::{left, text};
use crate::cli::api_error::{Command, said};
use crate::cli::output::say;
use crate::client;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client};
use multi_eni_api::NodeENI;
use multi_eni_ec2::OwnedEnis;
use std::time::Duration;
use tokio::time::Instant;

/// How often progress is printed, at most.
const PRINT_EVERY: Duration = Duration::from_secs(1);
/// After this time without progress, everything that waits is printed.
const QUIET: Duration = Duration::from_secs(30);
/// Waits between the tries of the last audit. EC2 may show an ENI for some seconds after its deletion.
const AUDIT_AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10), Duration::from_secs(15)];

/// A removal with its connections.
pub(super) struct Drain {
    kube: Client,
    ec2: Option<Ec2Audit>,
    changes: BoxStream<'static, WatchResult>,
    owned: Option<OwnedEnis>,
    /// The URL of the API server.
    server: String,
    /// What was printed of the progress.
    progress: text::Progress,
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
        let ec2 = if audit { Some(audit_of(&kube).await?) } else { None };
        let owned = match &ec2 {
            Some(ec2) => Some(ec2.owned().await.map_err(|why| text::audit_failed(&why))?),
            None => None,
        };
        Ok(Self {
            kube,
            ec2,
            changes,
            owned,
            server: config.cluster_url.to_string(),
            progress: text::Progress::default(),
            removal,
        })
    }

    /// What will be removed.
    pub fn announcement(&self) -> String {
        let scope = &self.removal.scope;
        let owned = self.owned.as_ref().map(|owned| left::left(scope, &owned.enis, &[]).len() + owned.without_id);
        text::announcement(&self.removal, &self.server, owned)
    }

    /// Whether a controller leads.
    pub async fn leader(&self, namespace: Option<&str>) -> Result<Leader, String> {
        leader::find(&self.kube, namespace).await
    }

    /// Deletes the NodeENIs, waits for the controller, and audits EC2. Returns the exit status.
    pub async fn remove(&mut self, timeout: SignedDuration) -> Result<u8, String> {
        let deadline = Duration::try_from(timeout).ok().and_then(|timeout| Instant::now().checked_add(timeout));
        self.delete_nodeenis().await?;
        let end = tokio::select! {
            biased;
            waited = self.wait() => waited?,
            () = until(deadline) => End::TimedOut,
        };
        match end {
            End::Complete => {
                self.say_progress();
            }
            End::TimedOut => say(&text::timed_out(&self.removal, &format!("{timeout:#}"))),
        }
        Ok(self.finish(end).await)
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
                Err(error) => return Err(said(Command::Drain, &format!("delete NodeENI {}", nodeeni.name), &error)),
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

    /// Audits EC2 and prints the result. Returns the exit status.
    pub async fn finish(&self, end: End) -> u8 {
        let created = self.removal.created_since();
        say(&text::created_since(&created));
        let audit = self.audit(end).await;
        say(&text::audit(&self.removal.scope, &audit));
        exit_status(end, &audit, &created)
    }

    /// Asks EC2 what is left: several times, if the removal is complete and EC2 still shows something.
    async fn audit(&self, end: End) -> Audit {
        let Some(ec2) = &self.ec2 else { return Audit::Skipped };
        let mut again = AUDIT_AGAIN.iter().filter(|_| end == End::Complete);
        loop {
            let audit = match ec2.owned().await {
                Ok(owned) => Audit::Made {
                    left: left::left(&self.removal.scope, &owned.enis, &self.removal.attachments_left()),
                    without_id: owned.without_id,
                },
                Err(why) => Audit::Failed(why),
            };
            match again.next() {
                Some(pause) if !audit.is_clean() => tokio::time::sleep(*pause).await,
                _ => return audit,
            }
        }
    }
}

/// The audit of this cluster. Its identity is the UID of kube-system.
async fn audit_of(kube: &Client) -> Result<Ec2Audit, String> {
    let namespace = Api::<Namespace>::all(kube.clone()).get("kube-system").await;
    let namespace = namespace.map_err(|error| said(Command::Drain, "get the namespace kube-system", &error))?;
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

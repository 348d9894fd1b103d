//! The loop of the leader election: it acquires, renews and releases the Lease, and moves the fence's deadline. [`evaluate`]
//! decides what a Lease means.

use super::decision::{Decision, ObservedLease, evaluate, is_rewound, is_same_term};
use super::fence::Fence;
use crate::clock::Wall;
use crate::metrics::LeaseCounts;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;

/// Name of the Lease.
pub const LEASE_NAME: &str = "multi-eni-controller";

/// Durations of the election.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long a Lease lasts after its renewal was sent.
    pub duration: Duration,
    /// How often it is renewed.
    pub renew_every: Duration,
    /// Timeout of one request.
    pub timeout: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), renew_every: Duration::from_secs(2), timeout: Duration::from_secs(3) }
    }
}

/// The Lease that a candidate competes for, and the identity with which it holds the Lease.
pub struct CandidateConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Holder identity.
    pub identity: String,
    /// Durations of the election.
    pub times: Times,
}

/// A candidate for the Lease.
pub struct Candidate {
    api: Api<Lease>,
    identity: String,
    times: Times,
    wall: Wall,
    fence: Fence,
    observed: ObservedLease,
    /// The object as last read or written. Each write carries its resourceVersion, so a concurrent change is never overwritten.
    object: Option<Lease>,
    /// When the Lease was last read, on the steady clock.
    last_read: Option<Duration>,
    counts: Arc<LeaseCounts>,
}

/// A standby that has not read the Lease for this long is not ready to take over.
const STANDBY_READ_WITHIN: Duration = Duration::from_secs(60);

/// The result of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// The renewal was written.
    Written,
    /// The Lease is still ours, but another client changed the object between each read and write.
    Contended,
    /// Another replica has held the Lease since, or the Lease is gone.
    Over,
    /// The Lease is older than the one that was written: the API server's store was restored, so the objects in our store no
    /// longer exist as they are there.
    Rewound,
}

/// Leadership, until the Lease is lost.
pub struct Leadership<'a>(&'a mut Candidate);

impl Candidate {
    /// A candidate for the Lease of `config`. `client` must not be behind the fence.
    pub fn new(client: Client, config: CandidateConfig, wall: Wall, fence: Fence) -> Self {
        let CandidateConfig { namespace, identity, times } = config;
        let api = Api::namespaced(client, &namespace);
        let (observed, counts) = (ObservedLease::default(), Arc::default());
        Self { api, identity, times, wall, fence, observed, object: None, last_read: None, counts }
    }

    /// The same candidate, which counts its renewals there.
    #[must_use]
    pub fn counting(mut self, counts: Arc<LeaseCounts>) -> Self {
        self.counts = counts;
        self
    }

    /// Waits until this candidate holds the Lease. `can_read` is called with whether the Lease was read recently: a standby that
    /// cannot read the Lease is not ready.
    pub async fn acquire(&mut self, can_read: impl Fn(bool)) -> Leadership<'_> {
        loop {
            let tried = self.try_once().await;
            can_read(self.last_read.is_some_and(|at| self.fence.now().saturating_sub(at) < STANDBY_READ_WITHIN));
            match tried {
                Ok(true) => {
                    tracing::info!(identity = %self.identity, "acquired the Lease, leading");
                    return Leadership(self);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "cannot read or write the Lease"),
            }
            tokio::time::sleep(self.times.renew_every).await;
        }
    }

    /// Reads the Lease and, if the candidate may hold it, writes it. True: the candidate holds the Lease, and the fence is open
    /// until the deadline.
    async fn try_once(&mut self) -> Result<bool, Box<kube::Error>> {
        self.read().await?;
        match evaluate(&self.observed, &self.identity, self.fence.now(), self.times.duration) {
            Decision::Wait(_) => Ok(false),
            Decision::Create | Decision::Take => self.write(true).await,
            Decision::Renew => self.write(false).await,
        }
    }

    /// Renews by a write over the Lease as last written. If the object has changed it is read: the change may be our own write
    /// whose answer was lost. If another replica has held the Lease since, the term is over, even if the Lease is free again: our
    /// store does not have what that replica did.
    async fn renew(&mut self) -> Result<Renewal, Box<kube::Error>> {
        let before = self.object.as_ref().map(|lease| lease.metadata.clone());
        let held = self.object.as_ref().and_then(|lease| lease.spec.clone());
        if held.is_some() && self.write(false).await? {
            return Ok(Renewal::Written);
        }
        let read = self.read().await?;
        let now = self.object.as_ref().map(|lease| &lease.metadata);
        if before.as_ref().zip(now).is_some_and(|(before, now)| is_rewound(before, now)) {
            return Ok(Renewal::Rewound);
        }
        match held.zip(read) {
            Some((held, read)) if is_same_term(&held, &read, &self.identity) => {
                Ok(if self.write(false).await? { Renewal::Written } else { Renewal::Contended })
            }
            _ => Ok(Renewal::Over),
        }
    }

    /// Reads the Lease.
    async fn read(&mut self) -> Result<Option<LeaseSpec>, Box<kube::Error>> {
        let read = self.api.get_opt(LEASE_NAME);
        self.object = self.within(read).await?;
        self.last_read = Some(self.fence.now());
        let spec = self.object.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        self.observed.update(spec.clone(), self.fence.now());
        Ok(spec)
    }

    async fn write(&mut self, take: bool) -> Result<bool, Box<kube::Error>> {
        let sent = self.fence.now();
        let now = (self.wall)();
        let old = self.object.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let transitions = old.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.times.duration.as_secs()).ok(),
            renew_time: Some(MicroTime(now)),
            acquire_time: if take { Some(MicroTime(now)) } else { old.acquire_time.clone() },
            lease_transitions: Some(if take && self.object.is_some() {
                transitions.saturating_add(1)
            } else {
                transitions
            }),
            ..old
        };
        let written = match self.object.clone() {
            None => {
                let metadata = ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(spec) };
                self.within(self.api.create(&PostParams::default(), &lease)).await
            }
            Some(mut lease) => {
                lease.spec = Some(spec);
                self.within(self.api.replace(LEASE_NAME, &PostParams::default(), &lease)).await
            }
        };
        match written {
            Ok(lease) => {
                self.observed.update(lease.spec.clone(), sent);
                self.object = Some(lease);
                // Counts from the moment of sending: the API server may have stored the renewal at any time after it.
                self.fence.extend_to(sent.saturating_add(self.times.duration));
                Ok(true)
            }
            Err(error) if is_not_ours(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn within<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Box<kube::Error>> {
        match tokio::time::timeout(self.times.timeout, call).await {
            Ok(result) => result.map_err(Box::new),
            Err(elapsed) => Err(Box::new(kube::Error::Service(elapsed.into()))),
        }
    }
}

/// Whether another client wrote first, or deleted the Lease. A leader whose Lease is gone ends its term: it must not create a new
/// one and go on, because another replica may have held one in between.
fn is_not_ours(error: &kube::Error) -> bool {
    let gone = |status: &kube::core::Status| status.code == 404 && status.reason == "NotFound";
    matches!(error, kube::Error::Api(status) if status.code == 409 || gone(status))
}

impl Leadership<'_> {
    /// Renews the Lease until it is lost: another replica holds it, or its deadline is too close for another request.
    pub async fn hold(&mut self) {
        loop {
            tokio::time::sleep(self.0.times.renew_every).await;
            let sent = self.0.fence.now();
            let renewed = self.0.renew().await;
            match &renewed {
                Ok(Renewal::Written) => self.0.counts.renewed(self.0.fence.now().saturating_sub(sent).as_secs_f64()),
                Ok(Renewal::Contended | Renewal::Over | Renewal::Rewound) | Err(_) => self.0.counts.not_renewed(),
            }
            let in_time = self.0.fence.may_send(self.0.times.timeout);
            match renewed {
                Ok(Renewal::Written) => {}
                Ok(Renewal::Over) => {
                    tracing::error!(
                        "another replica holds or has held the Lease, or the Lease was deleted: this replica stops leading"
                    );
                    break;
                }
                Ok(Renewal::Rewound) => {
                    tracing::error!(
                        "the API server shows an older Lease than this process wrote: etcd was restored from a backup; \
                         this replica stops leading and reads everything again"
                    );
                    break;
                }
                Ok(Renewal::Contended) if in_time => {
                    tracing::warn!("another client changed the Lease between each read and write, trying again");
                }
                Ok(Renewal::Contended) => {
                    tracing::error!(
                        "another client changed the Lease between each read and write: the Lease was not renewed in time"
                    );
                    break;
                }
                Err(error) if in_time => {
                    tracing::warn!(%error, "Lease not renewed, trying again");
                }
                Err(error) => {
                    tracing::error!(%error, "Lease not renewed in time");
                    break;
                }
            }
        }
        self.0.fence.close();
    }

    /// Releases the Lease, so that another replica need not wait for its end. Best effort.
    pub async fn release(&mut self) {
        self.0.fence.close();
        let Some(mut lease) = self.0.object.clone() else { return };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime((self.0.wall)()));
        }
        match self.0.within(self.0.api.replace(LEASE_NAME, &PostParams::default(), &lease)).await {
            Ok(_) => tracing::info!("released the Lease"),
            Err(error) => tracing::warn!(%error, "Lease not released, it expires by itself"),
        }
    }
}

//! The loop around [`election`](super::evaluate): acquire, renew, release.

use super::election::{Observed, Verdict, evaluate, is_rewound, is_same_term};
use super::fence::Fence;
use crate::clock::Wall;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::time::Duration;

/// Name of the Lease.
pub const LEASE_NAME: &str = "multi-eni-controller";

/// Times of the election.
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

/// One candidate for one Lease.
pub struct Candidate {
    api: Api<Lease>,
    identity: String,
    times: Times,
    wall: Wall,
    fence: Fence,
    observed: Observed,
    /// The object as last read or written: its resourceVersion makes every write safe.
    object: Option<Lease>,
    /// When it was read last, on the steady clock.
    last_read: Option<Duration>,
}

/// A standby that has not been able to read the Lease for so long could not take over.
const READ_LATELY: Duration = Duration::from_secs(60);

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// It was written.
    Written,
    /// Ours still, but somebody changed the object between reading and writing, each time: tried again.
    Contended,
    /// Another has held it since, or it is gone.
    Over,
    /// It is older than what was written: all that is known of the API server's objects is of a time that it has forgotten.
    Rewound,
}

/// Leadership until it is lost.
pub struct Leadership<'a>(&'a mut Candidate);

impl Candidate {
    /// A candidate that will hold the Lease as `identity` in `namespace`. `client` must not be behind the fence.
    pub fn new(client: Client, namespace: &str, identity: String, times: Times, wall: Wall, fence: Fence) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, identity, times, wall, fence, observed: Observed::default(), object: None, last_read: None }
    }

    /// Waits until the Lease is ours. `can_read` is told whether it could be read lately: a standby that cannot is no
    /// standby.
    pub async fn acquire(&mut self, can_read: impl Fn(bool)) -> Leadership<'_> {
        loop {
            let tried = self.try_once().await;
            can_read(self.last_read.is_some_and(|at| self.fence.now().saturating_sub(at) < READ_LATELY));
            match tried {
                Ok(true) => {
                    tracing::info!(identity = %self.identity, "leading");
                    return Leadership(self);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the Lease cannot be read or written"),
            }
            tokio::time::sleep(self.times.renew_every).await;
        }
    }

    /// One look and, if it may be ours, one write. True: it is ours, and the fence is open until its deadline.
    async fn try_once(&mut self) -> Result<bool, Box<kube::Error>> {
        self.look().await?;
        match evaluate(&self.observed, &self.identity, self.fence.now(), self.times.duration) {
            Verdict::Wait(_) => Ok(false),
            Verdict::Create | Verdict::Take => self.write(true).await,
            Verdict::Renew => self.write(false).await,
        }
    }

    /// One write on what was written last; a look as well only if that is not what is there. That may be a write of ours
    /// whose answer was lost. If another has held the Lease since, the term is over, even if the Lease is free again: what
    /// that one did is not in our picture.
    async fn renew(&mut self) -> Result<Renewal, Box<kube::Error>> {
        let before = self.object.as_ref().map(|lease| lease.metadata.clone());
        let attachment = self.object.as_ref().and_then(|lease| lease.spec.clone());
        if attachment.is_some() && self.write(false).await? {
            return Ok(Renewal::Written);
        }
        let read = self.look().await?;
        let now = self.object.as_ref().map(|lease| &lease.metadata);
        if before.as_ref().zip(now).is_some_and(|(before, now)| is_rewound(before, now)) {
            return Ok(Renewal::Rewound);
        }
        match attachment.zip(read) {
            Some((attachment, read)) if is_same_term(&attachment, &read, &self.identity) => {
                Ok(if self.write(false).await? { Renewal::Written } else { Renewal::Contended })
            }
            _ => Ok(Renewal::Over),
        }
    }

    /// Reads the Lease.
    async fn look(&mut self) -> Result<Option<LeaseSpec>, Box<kube::Error>> {
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
                // Counted from when it was sent: the API server may have stored it at any moment after.
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

/// Another wrote first, or somebody has deleted it. A leader whose Lease is gone ends its term: it may not make it anew and
/// go on, since another may have held one meanwhile.
fn is_not_ours(error: &kube::Error) -> bool {
    let gone = |status: &kube::core::Status| status.code == 404 && status.reason == "NotFound";
    matches!(error, kube::Error::Api(status) if status.code == 409 || gone(status))
}

impl Leadership<'_> {
    /// Renews until the Lease is lost: another holds it, or its deadline is too near to do anything in.
    pub async fn hold(&mut self) {
        loop {
            tokio::time::sleep(self.0.times.renew_every).await;
            let renewed = self.0.renew().await;
            let in_time = self.0.fence.may_send(self.0.times.timeout);
            match renewed {
                Ok(Renewal::Written) => {}
                Ok(Renewal::Over) => {
                    tracing::error!(
                        "another replica holds the Lease, or has held it, or it was deleted: this term is over"
                    );
                    break;
                }
                Ok(Renewal::Rewound) => {
                    tracing::error!(
                        "the API server shows an older Lease than this process wrote: etcd was restored from a backup; \
                         this term is over, and everything is read anew"
                    );
                    break;
                }
                Ok(Renewal::Contended) if in_time => {
                    tracing::warn!("somebody else writes to the Lease at each renewal, tried again");
                }
                Ok(Renewal::Contended) => {
                    tracing::error!(
                        "somebody else writes to the Lease at each renewal: it could not be renewed in time"
                    );
                    break;
                }
                Err(error) if in_time => {
                    tracing::warn!(%error, "the Lease could not be renewed, tried again");
                }
                Err(error) => {
                    tracing::error!(%error, "the Lease could not be renewed in time");
                    break;
                }
            }
        }
        self.0.fence.close();
    }

    /// Gives the Lease up, so that another replica need not wait for its end. Best effort.
    pub async fn release(&mut self) {
        self.0.fence.close();
        let Some(mut lease) = self.0.object.clone() else { return };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime((self.0.wall)()));
        }
        match self.0.within(self.0.api.replace(LEASE_NAME, &PostParams::default(), &lease)).await {
            Ok(_) => tracing::info!("the Lease is released"),
            Err(error) => tracing::warn!(%error, "the Lease could not be released: it ends by itself"),
        }
    }
}

//! A controller's life: stand by, lead, release.

use crate::api_writes::Writer;
use crate::client::FenceLayer;
use crate::clock::{self, Steady, Wall};
use crate::events::Publisher;
use crate::http_server::Gauges;
use crate::leader_election::{Candidate, Fence, lease};
use crate::reconcile::{Dependencies, Reconciler};
use crate::watch;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use multi_eni_ec2::{Buckets, Ec2};
use multi_eni_plan::observed::Cluster;
use multi_eni_plan::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long calls on their way get when the process is told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a controller needs from outside.
pub struct Parts {
    /// The API server, for reads and the Lease.
    pub kube: Client,
    /// The API server, behind `fence`.
    pub fenced: Client,
    /// The fence that EC2 calls and writes ask.
    pub fence: Fence,
    /// EC2.
    pub aws: AwsClient,
    /// How EC2 is called.
    pub ec2_options: multi_eni_ec2::Options,
    /// Readable cluster name; None: the UID of kube-system.
    pub cluster_name: Option<String>,
    /// Election; None: there is one replica.
    pub election: Option<Election>,
    /// Holder identity, also the reporter of events.
    pub identity: String,
    /// Graces.
    pub settings: Settings,
    /// Wall clock.
    pub wall: Wall,
    /// What is shown.
    pub gauges: Arc<Gauges>,
}

/// The SDK's client, as crate `ec2` makes it.
pub type AwsClient = multi_eni_ec2::Client;

/// Where and how the Lease is held.
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its times.
    pub times: lease::Times,
}

impl Parts {
    /// The fence for these clocks: closed until a Lease is held, or open for ever.
    pub fn fence(elect: bool, steady: Steady) -> Fence {
        if elect { Fence::closed(steady) } else { Fence::open(steady) }
    }

    /// A client behind the fence over any service, for the simulator.
    pub fn fence_layer(fence: &Fence) -> FenceLayer {
        FenceLayer(fence.clone())
    }
}

/// Runs until `stop` is told. A lost Lease ends a term, not the process: it stands by again.
pub async fn run(parts: Parts, stop: impl Future<Output = ()>) {
    let stop = futures::FutureExt::shared(stop);
    let Some(cluster) = or_stop(cluster(&parts), stop.clone()).await else { return };
    tracing::info!(cluster = %cluster.uid, name = %cluster.name, "this cluster");
    let buckets = Buckets::new(parts.ec2_options.budget_share, parts.ec2_options.burst_share);
    let Some(election) = &parts.election else {
        return term(&parts, cluster, &buckets, stop).await;
    };
    let (namespace, identity) = (&election.namespace, parts.identity.clone());
    let mut candidate = Candidate::new(
        parts.kube.clone(),
        namespace,
        identity,
        election.times,
        parts.wall.clone(),
        parts.fence.clone(),
    );
    loop {
        let standby = parts.gauges.clone();
        let acquire = candidate.acquire(move |can_read| standby.standby.store(can_read, Ordering::Relaxed));
        let Some(mut lead) = or_stop(acquire, stop.clone()).await else { return };
        parts.gauges.standby.store(false, Ordering::Relaxed);
        let mut stopped = false;
        {
            let over = async {
                tokio::select! {
                    biased;
                    () = stop.clone() => stopped = true,
                    () = lead.hold() => {}
                }
            };
            term(&parts, cluster.clone(), &buckets, over).await;
        }
        if stopped {
            return lead.release().await;
        }
    }
}

async fn or_stop<T>(work: impl Future<Output = T>, stop: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop => None,
        done = work => Some(done),
    }
}

/// The UID of kube-system is this cluster's name on EC2. Asked until the API server answers.
async fn cluster(parts: &Parts) -> Cluster {
    let api: Api<Namespace> = Api::all(parts.kube.clone());
    loop {
        match api.get("kube-system").await {
            Ok(namespace) => {
                let uid = namespace.metadata.uid.unwrap_or_default();
                let name = parts.cluster_name.clone().unwrap_or_else(|| uid.clone());
                return Cluster { uid, name };
            }
            Err(error) => {
                tracing::warn!(%error, "the namespace kube-system cannot be read (needs: get namespaces kube-system), tried again");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}

/// One term of leadership: a fresh picture, and everything that acts on it.
async fn term(parts: &Parts, cluster: Cluster, buckets: &Buckets, over: impl Future<Output = ()>) {
    parts.gauges.leading.set(1);
    let (fence, steady) = (parts.fence.clone(), parts.fence.clone());
    let wall = clock::anchored(&parts.wall, move || steady.now());
    let (ec2, seen) = Ec2::new(
        parts.aws.clone(),
        cluster.clone(),
        parts.ec2_options.clone(),
        wall.clone(),
        Arc::new(move |timeout| fence.may_send(timeout)),
        buckets,
    );
    parts.gauges.watch_ec2(ec2.clone());
    let reconciler = Reconciler::new(Dependencies {
        cluster,
        ec2: ec2.clone(),
        writer: Writer::new(parts.fenced.clone()),
        publisher: Publisher::new(parts.fenced.clone(), parts.identity.clone()),
        settings: parts.settings.clone(),
        wall,
        gauges: parts.gauges.clone(),
    });
    let changes = watch::changes(&parts.kube, parts.settings.pod_annotation.as_deref(), &parts.identity);
    let reconciling = reconciler.run(changes, seen, over, PATIENCE);
    tokio::select! {
        biased;
        () = reconciling => {}
        () = ec2.run(std::future::pending()) => {}
    }
    parts.gauges.forget_ec2();
    parts.gauges.leading.set(0);
    parts.gauges.ready.store(false, Ordering::Relaxed);
}

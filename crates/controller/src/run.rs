//! The life of one controller process: it waits for the Lease, leads for a term, and releases the Lease when the process stops.
//! It is given all clients and clocks in [`Components`]. It decides nothing about ENIs: each term runs a [`Reconciler`].

use crate::api_writes::Writer;
use crate::client::FenceLayer;
use crate::clock::{self, Steady, Wall};
use crate::events::EventRecorder;
use crate::http_server::Gauges;
use crate::leader_election::{Candidate, Fence, Target, elector};
use crate::metrics::Role;
use crate::reconcile::{Dependencies, Reconciler};
use crate::watch;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use multi_eni_ec2::{Buckets, Ec2};
use multi_eni_otlp::SpanQueue;
use multi_eni_plan::observed::Cluster;
use multi_eni_plan::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long calls that are under way may take when the process must stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// The dependencies of a controller process.
pub struct Components {
    /// Client of the API server without the fence: for reads and for the Lease.
    pub kube: Client,
    /// Client of the API server behind `fence`: for all other writes.
    pub fenced: Client,
    /// The fence that each EC2 call and each write must pass.
    pub fence: Fence,
    /// Client of EC2.
    pub aws: AwsClient,
    /// Options of the EC2 calls: timeout and rate limits.
    pub ec2_options: multi_eni_ec2::Options,
    /// Readable name of the cluster. None: the UID of kube-system.
    pub cluster_name: Option<String>,
    /// Leader election. None: there is only one replica.
    pub election: Option<Election>,
    /// Holder identity of the Lease, and reporting instance of events.
    pub identity: String,
    /// Grace periods and limits.
    pub settings: Settings,
    /// Wall clock.
    pub wall: Wall,
    /// Metrics and readiness of this process.
    pub gauges: Arc<Gauges>,
    /// Takes the spans of ENIAttachments. None: no OpenTelemetry collector is configured.
    pub spans: Option<SpanQueue>,
}

/// The EC2 client that crate `multi-eni-ec2` builds.
pub type AwsClient = multi_eni_ec2::Client;

/// The Lease: where it is and how long it lasts.
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Durations of the election.
    pub times: elector::Times,
}

impl Components {
    /// The fence for this clock. With leader election the fence is closed until the Lease is held; without, it is always open.
    pub fn fence(elect: bool, steady: Steady) -> Fence {
        if elect { Fence::closed(steady) } else { Fence::open(steady) }
    }

    /// The layer that puts the fence before any service. The simulators use it.
    pub fn fence_layer(fence: &Fence) -> FenceLayer {
        FenceLayer(fence.clone())
    }
}

/// Runs until `stop` completes. A lost Lease ends the term but not the process: the process waits for the Lease again.
pub async fn run(parts: Components, stop: impl Future<Output = ()>) {
    let stop = futures::FutureExt::shared(stop);
    parts.gauges.watch_fence(parts.fence.clone());
    if let Some(spans) = &parts.spans {
        parts.gauges.watch_spans(spans.counts().clone());
    }
    let Some(cluster) = unless_stopped(cluster(&parts), stop.clone()).await else { return };
    tracing::info!(cluster = %cluster.uid, name = %cluster.name, "cluster identity read");
    let buckets = Buckets::new(parts.ec2_options.budget_share, parts.ec2_options.burst_share);
    let Some(election) = &parts.election else {
        return term(&parts, cluster, &buckets, stop).await;
    };
    let config = elector::CandidateConfig {
        namespace: election.namespace.clone(),
        identity: parts.identity.clone(),
        times: election.times,
    };
    let lease = parts.gauges.counted.lease.clone();
    let mut candidate =
        Candidate::new(parts.kube.clone(), config, parts.wall.clone(), parts.fence.clone()).counting(lease.clone());
    loop {
        let standby = parts.gauges.clone();
        let acquire = candidate.acquire(move |can_read| standby.standby.store(can_read, Ordering::Relaxed));
        let Some(mut lead) = unless_stopped(acquire, stop.clone()).await else { return };
        parts.gauges.standby.store(false, Ordering::Relaxed);
        lease.became(Role::Leader);
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
        lease.became(Role::Standby);
        if stopped {
            return lead.release().await;
        }
    }
}

async fn unless_stopped<T>(work: impl Future<Output = T>, stop: impl Future<Output = ()>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop => None,
        done = work => Some(done),
    }
}

/// Reads the identity of this cluster: the UID of kube-system. Tries until the API server answers.
async fn cluster(parts: &Components) -> Cluster {
    let api: Api<Namespace> = Api::all(parts.kube.clone());
    loop {
        match api.get("kube-system").await {
            Ok(namespace) => {
                let uid = namespace.metadata.uid.unwrap_or_default();
                let name = parts.cluster_name.clone().unwrap_or_else(|| uid.clone());
                return Cluster { uid, name };
            }
            Err(error) => {
                tracing::warn!(%error, "cannot get the namespace kube-system (needs the right to get it), trying again");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}

/// Runs one term of leadership with an empty store and empty caches, until `over` completes.
async fn term(parts: &Components, cluster: Cluster, buckets: &Buckets, over: impl Future<Output = ()>) {
    parts.gauges.leading.set(1);
    let (fence, steady) = (parts.fence.clone(), parts.fence.clone());
    let wall = clock::anchored(&parts.wall, move || steady.now());
    let (ec2, ec2_changes) = Ec2::new(
        parts.aws.clone(),
        cluster.clone(),
        parts.ec2_options.clone(),
        wall.clone(),
        Arc::new(move |timeout| fence.lets_pass(Target::Ec2, timeout)),
        buckets,
    );
    parts.gauges.watch_ec2(ec2.clone());
    let reconciler = Reconciler::new(Dependencies {
        cluster,
        ec2: ec2.clone(),
        writer: Writer::new(parts.fenced.clone()),
        recorder: EventRecorder::new(parts.fenced.clone(), parts.identity.clone()),
        settings: parts.settings.clone(),
        wall,
        gauges: parts.gauges.clone(),
        spans: parts.spans.clone(),
    });
    let restarts = &parts.gauges.counted.api.watch_restarts;
    let changes = watch::changes(&parts.kube, parts.settings.pod_annotation.as_deref(), &parts.identity, restarts);
    let reconciling = reconciler.run(changes, ec2_changes, over, SHUTDOWN_GRACE);
    tokio::select! {
        biased;
        () = reconciling => {}
        () = ec2.run(std::future::pending()) => {}
    }
    parts.gauges.forget_ec2();
    parts.gauges.leading.set(0);
    parts.gauges.ready.store(false, Ordering::Relaxed);
}

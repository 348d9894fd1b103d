//! The workload in real time: it does the pieces of work with one candidate and returns counts, times and resources.

use super::candidate::{Candidate, OURS, Running, Usage};
use super::cluster::{Cluster, POOL};
use super::labels::{self, Labelled};
use super::simulated_ec2::Account;
use crate::floor;
use crate::phase::{Piece, Scale};
use crate::region::{Neighbours, REGION};
use crate::statistics;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The result of one piece of work of a candidate.
#[derive(Debug, Clone, Serialize)]
pub struct RealMeasurement {
    /// The candidate.
    pub candidate: String,
    /// The piece of work.
    pub piece: Piece,
    /// The size of the fleet. The share of EC2's rates is for the floor; the candidate has it in its command line.
    pub scale: Scale,
    /// How many ENIs had to be attached or removed.
    pub enis: u32,
    /// How many of them were, when the work ended or nothing changed for too long.
    pub done: u32,
    /// Seconds until the last ENI was attached or removed; for an idle time its length.
    pub seconds: f64,
    /// The fewest seconds that EC2's buckets allow at this share. None: nothing had to be done.
    pub floor: Option<f64>,
    /// EC2 calls that took effect, by action.
    pub calls: BTreeMap<String, u64>,
    /// EC2 calls that were refused, by action and code.
    pub refused: BTreeMap<String, u64>,
    /// Writes of the candidate to the API server, except Leases.
    pub writes: BTreeMap<String, u64>,
    /// The largest memory since the candidate started, in MiB.
    pub peak_mib: f64,
    /// CPU seconds during this piece of work.
    pub cpu_seconds: f64,
    /// When ENIs became attached, in seconds.
    pub attached: Vec<f64>,
    /// For nodes that are labelled one by one: the 50th and the 99th percentile of the milliseconds from the label to the Attach,
    /// without EC2's own time.
    pub added_ms: Option<[f64; 2]>,
    /// These nodes, with what passed between the label and the Attach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Labelled>,
}

impl RealMeasurement {
    /// Whether the candidate is this repository's controller.
    pub fn is_ours(&self) -> bool {
        self.candidate == OURS
    }
}

/// If nothing has changed for this long, unfinished work is stopped.
const STUCK: Duration = Duration::from_secs(180);
/// The time in which a candidate may warm up.
const WARM_UP: Duration = Duration::from_secs(20);
/// If nothing has changed for this long, finished work is over: late writes belong to the work.
const REST: Duration = Duration::from_secs(10);

/// How many nodes are labelled one by one.
const LABELLED: u32 = 100;
/// Does the pieces of work: attach, an idle time with heartbeats, nodes labelled one by one, and the deletion of all NodeENIs, or
/// as many of them as possible before `stop`. Calls `done` after each.
///
/// # Errors
/// If a part does not start, or the candidate ends; the message says why. Work that a candidate does not finish is no error.
pub async fn run(
    candidate: &Candidate,
    scale: Scale,
    neighbours: Neighbours,
    idle: Duration,
    stop: impl Future<Output = ()>,
    done: impl FnMut(RealMeasurement),
) -> Result<(), String> {
    let Scale { nodes, .. } = scale;
    let account = Account::open(nodes + LABELLED, neighbours).await?;
    let cluster = Cluster::open(&candidate.crds).await?;
    let mut stop = std::pin::pin!(stop);
    let populated = async {
        cluster.add_nodes(1..=nodes, POOL).await?;
        cluster.add_nodes(nodes + 1..=nodes + LABELLED, "none").await
    };
    // Ctrl-C reaches the processes too, so it is no failure that they end.
    tokio::select! {
        biased;
        () = &mut stop => {
            cluster.plane.passed();
            return Ok(());
        }
        populated = populated => populated?,
    }
    let _heartbeats = cluster.heartbeats(nodes);
    let running = candidate.start(&cluster.plane, &account.endpoint, REGION)?;
    let mut bench = Bench { candidate: candidate.name.clone(), scale, account, cluster, running };
    tokio::select! {
        biased;
        () = stop => {}
        worked = bench.work(idle, done) => worked?,
    }
    bench.cluster.plane.passed();
    Ok(())
}

fn count(of: i64) -> u32 {
    u32::try_from(of).unwrap_or(0)
}

struct Bench {
    candidate: String,
    scale: Scale,
    account: Account,
    cluster: Cluster,
    running: Running,
}

struct Meter {
    began: Instant,
    writes: BTreeMap<String, u64>,
    usage: Usage,
}

impl Bench {
    async fn work(&mut self, idle: Duration, mut done: impl FnMut(RealMeasurement)) -> Result<(), String> {
        let Scale { nodeenis, share, .. } = self.scale;
        tokio::time::sleep(WARM_UP).await;
        let enis = self.scale.enis();

        let meter = self.begin().await?;
        for n in 1..=nodeenis {
            self.cluster.apply(n).await?;
        }
        let goal = i64::from(enis);
        self.until(|bench| bench.account.observations().attached == goal).await?;
        let reached = self.account.observations().attached;
        done(self.end(meter, Piece::Attach, [enis, count(reached)], Some(floor::seconds(enis, share))).await?);

        let meter = self.begin().await?;
        tokio::time::sleep(idle).await;
        done(self.end(meter, Piece::Idle, [0, 0], None).await?);

        let meter = self.begin().await?;
        let nodes = self.scale.nodes;
        let labels =
            labels::label_one_by_one(&self.account, &self.cluster, nodes + 1..=nodes + LABELLED, STUCK).await?;
        self.until(|bench| bench.account.observations().attached == goal + i64::from(LABELLED * nodeenis)).await?;
        let labelled = [LABELLED * nodeenis, count(self.account.observations().attached - goal)];
        let mut took = self.end(meter, Piece::Label, labelled, None).await?;
        took.added_ms = statistics::percentiles(labels.iter().map(|label| label.added_ms).collect());
        took.labels = labels;
        done(took);

        let meter = self.begin().await?;
        for n in 1..=nodeenis {
            self.cluster.delete(n).await?;
        }
        let there = self.account.observations().there;
        self.until(|bench| bench.account.observations().there == 0).await?;
        let left = self.account.observations().there;
        let gone = [count(there), count(there - left)];
        done(self.end(meter, Piece::Delete, gone, Some(floor::seconds(count(there), share))).await?);
        Ok(())
    }

    async fn begin(&mut self) -> Result<Meter, String> {
        let (writes, usage) = (self.cluster.writes().await?, self.running.usage()?);
        self.account.begin();
        Ok(Meter { began: Instant::now(), writes, usage })
    }

    /// Waits until `is_so` holds and nothing changes any more, or nothing has changed for too long.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.running.usage()?;
            let still = self.account.observations().still().min(began.elapsed());
            if still > if is_so(self) { REST } else { STUCK } {
                return Ok(());
            }
        }
    }

    async fn end(
        &mut self,
        meter: Meter,
        piece: Piece,
        [enis, done]: [u32; 2],
        floor: Option<f64>,
    ) -> Result<RealMeasurement, String> {
        let (moved, attached) = {
            let observations = self.account.observations();
            (observations.moved, observations.times.clone())
        };
        let (usage, (calls, refused)) = (self.running.usage()?, statistics::calls(&self.account.ec2));
        let mut writes = self.cluster.writes().await?;
        for (what, before) in meter.writes {
            if let Some(now) = writes.get_mut(&what) {
                *now -= before;
            }
        }
        // These writes are this benchmark's own.
        for what in ["POST nodeenis", "DELETE nodeenis"] {
            writes.remove(what);
        }
        writes.retain(|_, count| *count > 0);
        Ok(RealMeasurement {
            candidate: self.candidate.clone(),
            piece,
            scale: self.scale,
            enis,
            done,
            seconds: if enis > 0 { moved } else { meter.began.elapsed().as_secs_f64() },
            floor,
            calls,
            refused,
            writes,
            peak_mib: usage.peak_mib,
            cpu_seconds: usage.cpu_seconds - meter.usage.cpu_seconds,
            attached,
            added_ms: None,
            labels: Vec::new(),
        })
    }
}

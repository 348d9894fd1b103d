//! What is measured in real time.

use super::account::Account;
use super::candidate::{Candidate, OURS, Running, Usage};
use super::cluster::{Cluster, POOL};
use crate::floor;
use crate::region::{REGION, instance};
use crate::tally;
use crate::work::{Piece, Scale};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a piece of work took a candidate.
#[derive(Debug, Clone, Serialize)]
pub struct Took {
    /// Who did it.
    pub candidate: String,
    /// What.
    pub piece: Piece,
    /// Where. The share of EC2's rates is for the floor; the candidate is told by its command line.
    pub scale: Scale,
    /// ENIs that were to be attached, or removed.
    pub enis: u32,
    /// How many of them were, when it was done or given up.
    pub done: u32,
    /// Seconds until the last one was; for an idle time its length.
    pub seconds: f64,
    /// The fewest that EC2's buckets allow at the configured share; None: nothing was to be done.
    pub floor: Option<f64>,
    /// EC2 calls that took effect, by action.
    pub calls: BTreeMap<String, u64>,
    /// EC2 calls that were refused, by action and code.
    pub refused: BTreeMap<String, u64>,
    /// Writes to the API server by the candidate, but for Leases.
    pub writes: BTreeMap<String, u64>,
    /// The most memory that it has had since it began, in MiB.
    pub peak_mib: f64,
    /// CPU seconds that it used in this time.
    pub cpu_seconds: f64,
    /// When ENIs became attached, in seconds.
    pub attached: Vec<f64>,
    /// Half of the nodes that were labelled one by one, and 99 % of them, had their Attach sent so many milliseconds after the label,
    /// beyond what EC2 took to answer.
    pub added_ms: Option<[f64; 2]>,
}

impl Took {
    /// Whether it was this repository's controller that did it.
    pub fn is_ours(&self) -> bool {
        self.candidate == OURS
    }
}

/// Given up when nothing has moved for so long, and the work is not done.
const STUCK: Duration = Duration::from_secs(180);
/// What a candidate gets to warm up.
const WARM_UP: Duration = Duration::from_secs(20);
/// Done when nothing has moved for so long: late writes belong to the work.
const REST: Duration = Duration::from_secs(10);

/// Nodes that are labelled while nothing else is to be done.
const LABELLED: u32 = 30;
/// What one call of EC2 takes meanwhile.
const LATENCY: Duration = Duration::from_millis(20);
/// A label is followed by two of them before Attach can be sent: the look at what is on the instance, and Create.
const BEFORE_ATTACH: u32 = 2;
/// For one, before the next.
const PAUSE: Duration = Duration::from_millis(2_500);

/// Plays attach, so long an idle time with heartbeats, nodes that are labelled one by one, and the deletion of all NodeENIs, or as
/// much of it as there is time for before `stop`. `done` gets each when it is over.
///
/// # Errors
/// If a part does not start, or the candidate ends; the message says why. What a candidate does not get done is no error.
pub async fn play(
    candidate: &Candidate,
    scale: Scale,
    idle: Duration,
    stop: impl Future<Output = ()>,
    done: impl FnMut(Took),
) -> Result<(), String> {
    let Scale { nodes, .. } = scale;
    let account = Account::open(nodes + LABELLED).await?;
    let cluster = Cluster::open(&candidate.crds).await?;
    let mut stop = std::pin::pin!(stop);
    let populated = async {
        cluster.add_nodes(1..=nodes, POOL).await?;
        cluster.add_nodes(nodes + 1..=nodes + LABELLED, "none").await
    };
    // Ctrl-C reaches the processes, too: that they end by it is no failure.
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
    async fn work(&mut self, idle: Duration, mut done: impl FnMut(Took)) -> Result<(), String> {
        let Scale { nodeenis, share, .. } = self.scale;
        tokio::time::sleep(WARM_UP).await;
        let enis = self.scale.enis();

        let meter = self.begin().await?;
        for n in 1..=nodeenis {
            self.cluster.apply(n).await?;
        }
        let goal = i64::from(enis);
        self.until(|bench| bench.account.seen().attached == goal).await?;
        let reached = self.account.seen().attached;
        done(self.end(meter, Piece::Attach, [enis, count(reached)], Some(floor::seconds(enis, share))).await?);

        let meter = self.begin().await?;
        tokio::time::sleep(idle).await;
        done(self.end(meter, Piece::Idle, [0, 0], None).await?);

        let meter = self.begin().await?;
        let added = self.label_one_by_one().await?;
        self.until(|bench| bench.account.seen().attached == goal + i64::from(LABELLED * nodeenis)).await?;
        let labelled = [LABELLED * nodeenis, count(self.account.seen().attached - goal)];
        let mut took = self.end(meter, Piece::Label, labelled, None).await?;
        took.added_ms = tally::percentiles(added);
        done(took);

        let meter = self.begin().await?;
        for n in 1..=nodeenis {
            self.cluster.delete(n).await?;
        }
        let there = self.account.seen().there;
        self.until(|bench| bench.account.seen().there == 0).await?;
        let left = self.account.seen().there;
        let gone = [count(there), count(there - left)];
        done(self.end(meter, Piece::Delete, gone, Some(floor::seconds(count(there), share))).await?);
        Ok(())
    }

    async fn begin(&mut self) -> Result<Meter, String> {
        let (writes, usage) = (self.cluster.writes().await?, self.running.usage()?);
        self.account.begin();
        Ok(Meter { began: Instant::now(), writes, usage })
    }

    /// Waits until it is so and nothing moves any more, or nothing has moved for too long.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.running.usage()?;
            let moved = Duration::from_secs_f64(self.account.seen().moved);
            let still = began.elapsed().saturating_sub(moved);
            if still > if is_so(self) { REST } else { STUCK } {
                return Ok(());
            }
        }
    }

    /// For each the milliseconds from its label to its Attach, less what EC2 took.
    async fn label_one_by_one(&mut self) -> Result<Vec<f64>, String> {
        self.account.answer_after(LATENCY);
        let mut added = Vec::new();
        for n in self.scale.nodes + 1..=self.scale.nodes + LABELLED {
            let (on, sent) = (instance(n), jiff::Timestamp::now());
            let attach = self.account.ec2.wait_for_call(|call| {
                call.action == "AttachNetworkInterface" && call.instance_id.as_ref() == Some(&on)
            });
            let (attach, labelled) = tokio::join!(tokio::time::timeout(STUCK, attach), self.cluster.label(n));
            labelled?;
            // What never came took longer than anything.
            let took = attach.map_or(f64::INFINITY, |attach| attach.received.duration_since(sent).as_secs_f64());
            added.push((took - (LATENCY * BEFORE_ATTACH).as_secs_f64()) * 1000.0);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(added)
    }

    async fn end(
        &mut self,
        meter: Meter,
        piece: Piece,
        [enis, done]: [u32; 2],
        floor: Option<f64>,
    ) -> Result<Took, String> {
        let (moved, attached) = {
            let seen = self.account.seen();
            (seen.moved, seen.times.clone())
        };
        let (usage, (calls, refused)) = (self.running.usage()?, tally::calls(&self.account.ec2));
        let mut writes = self.cluster.writes().await?;
        for (what, before) in meter.writes {
            if let Some(now) = writes.get_mut(&what) {
                *now -= before;
            }
        }
        // Those are ours.
        for what in ["POST nodeenis", "DELETE nodeenis"] {
            writes.remove(what);
        }
        writes.retain(|_, count| *count > 0);
        Ok(Took {
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
        })
    }
}

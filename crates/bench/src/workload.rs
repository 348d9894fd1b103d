//! The workloads in virtual time: each does pieces of work in a simulated world and returns the counts and times.

use crate::floor;
use crate::phase::{Piece, Scale};
use crate::statistics;
use crate::world::{IMPOSSIBLE, World, nodeenis};
use multi_eni_histories::entropy;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// The result of one piece of work.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// The piece of work.
    pub piece: Piece,
    /// The size of the fleet.
    pub scale: Scale,
    /// How many ENIs had to be attached or removed.
    pub enis: u32,
    /// Virtual seconds until the last ENI was Ready or gone; for an idle time its length.
    pub seconds: f64,
    /// The fewest seconds that EC2's buckets allow at this share. None: nothing had to be done.
    pub floor: Option<f64>,
    /// EC2 calls that took effect, by action.
    pub calls: BTreeMap<String, u64>,
    /// EC2 calls that were refused, by action and code.
    pub refused: BTreeMap<String, u64>,
    /// Writes to the API server, by resource.
    pub writes: BTreeMap<String, u64>,
    /// The most writes that one ENIAttachment got.
    pub most_writes: u64,
    /// Events about ENIs.
    pub events: u64,
    /// Virtual seconds until half of the ENIs were Ready, and until 99 % were.
    pub ready: Option<[f64; 2]>,
    /// When ENIs became attached, in virtual seconds.
    #[serde(skip)]
    pub attached: Vec<f64>,
    /// Seconds that the work took on this machine. They are only shown.
    pub real: f64,
}

impl Measurement {
    /// Seconds divided by the floor.
    pub fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.seconds / floor)
    }

    /// Calls of one action that took effect.
    pub fn count(&self, action: &str) -> u64 {
        self.calls.get(action).copied().unwrap_or(0)
    }

    /// Calls of one action, refused ones included.
    pub fn attempts(&self, action: &str) -> u64 {
        let refused = self.refused.iter().filter(|(what, _)| what.split(' ').next() == Some(action));
        self.count(action) + refused.map(|(_, count)| count).sum::<u64>()
    }

    /// Calls of all actions, refused ones included.
    pub fn all_tried(&self) -> f64 {
        let all: u64 = self.calls.values().chain(self.refused.values()).sum();
        f64::from(u32::try_from(all).unwrap_or(u32::MAX))
    }

    /// Writes to all resources.
    pub fn all_writes(&self) -> u64 {
        self.writes.values().sum()
    }

    /// Calls that took effect, Describe excepted.
    pub fn mutations(&self) -> u64 {
        self.calls.iter().filter(|(action, _)| !action.starts_with("Describe")).map(|(_, count)| count).sum()
    }

    /// Calls other than Describe, refused ones included.
    pub fn tried_mutations(&self) -> u64 {
        let refused = self.refused.iter().filter(|(action, _)| !action.starts_with("Describe"));
        self.mutations() + refused.map(|(_, count)| count).sum::<u64>()
    }
}

/// Runs all pieces of work in one world: attach, an idle hour, a restart of the controller, the replacement of a tenth of the
/// nodes, an hour with a NodeENI that cannot work, the deletion of the first NodeENI. Calls `on_measured` after each. Runs on a
/// thread of its own, with the same random numbers each time.
///
/// # Errors
/// If the world does not reach the state that it should; the message says what is missing.
pub fn run(scale: Scale, on_measured: impl Fn(&Measurement) + Send + 'static) -> Result<Vec<Measurement>, String> {
    run_isolated(move || run_phases(scale, on_measured))
}

async fn run_phases(scale: Scale, on_measured: impl Fn(&Measurement)) -> Result<Vec<Measurement>, String> {
    let Scale { nodes, nodeenis: each, share } = scale;
    let mut world = World::open(nodes, share).await?;
    let mut all = Vec::new();
    let mut done = |measured: Measurement| {
        on_measured(&measured);
        all.push(measured);
    };

    let meter = Meter::begin(&world, scale);
    (1..=each).try_for_each(|n| world.apply(n))?;
    world.until_ready(nodes * each).await?;
    let last = world.observer.observations().ready.values().copied().fold(0.0, f64::max);
    done(meter.end(&world, Piece::Attach, nodes * each, last, Some(floor::seconds(nodes * each, share))));

    // Work that follows the last change can end within this hour, and the buckets are full again.
    world.pass(3600).await;
    let meter = Meter::begin(&world, scale);
    world.pass(3600).await;
    done(meter.end(&world, Piece::Idle, 0, 3600.0, None));

    // Three resyncs, and some seconds for the first lists.
    let meter = Meter::begin(&world, scale);
    world.restart().await;
    world.pass(190).await;
    done(meter.end(&world, Piece::Restart, 0, 190.0, None));
    world.until_ready(nodes * each).await?;

    let tenth = nodes / 10;
    let meter = Meter::begin(&world, scale);
    for n in 1..=tenth {
        world.terminate(n)?;
        world.join(nodes + n)?;
    }
    world.until_ready(nodes * each).await?;
    let last = world.observer.observations().ready.values().copied().fold(0.0, f64::max);
    let replaced = floor::seconds(tenth * each, share);
    done(meter.end(&world, Piece::Replace, tenth * each, last, Some(replaced)));

    world.pass(3600).await;
    let meter = Meter::begin(&world, scale);
    world.apply_impossible()?;
    world.pass(3600).await;
    done(meter.end(&world, Piece::Impossible, 0, 3600.0, None));
    world.api.delete(&nodeenis(), "", IMPOSSIBLE).map_err(|error| error.to_string())?;

    let meter = Meter::begin(&world, scale);
    world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
    world.until_ready(nodes * (each - 1)).await?;
    let last = world.observer.observations().moved;
    done(meter.end(&world, Piece::Delete, nodes, last, Some(floor::seconds(nodes, share))));
    world.close().await;
    Ok(all)
}

/// How long nodes wait that join during a burst: seconds from the join until the node's ENI was Ready.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latecomers {
    /// A node that the NodeENI of the burst selects.
    pub node: f64,
    /// A node with a NodeENI of its own.
    pub nodeeni: f64,
    /// The whole burst, from its start.
    pub burst: f64,
}

/// Creates a NodeENI for all of `nodes`. After 20 s one more node joins, and another one with a NodeENI of its own.
///
/// # Errors
/// If the world does not reach the state that it should; the message says what is missing.
pub fn latecomers(nodes: u32, share: f64) -> Result<Latecomers, String> {
    run_isolated(move || async move {
        let world = World::open(nodes, share).await?;
        world.observer.begin();
        world.apply(1)?;
        world.pass(20).await;
        let came = world.observer.now();
        world.join(nodes + 1)?;
        world.join_pool(nodes + 2, "b")?;
        world.apply_to(2, "b")?;
        world.until_ready(nodes + 2).await?;
        let late = Latecomers {
            node: world.ready_on(nodes + 1)? - came,
            nodeeni: world.ready_on(nodes + 2)? - came,
            burst: world.observer.observations().ready.values().copied().fold(0.0, f64::max),
        };
        world.close().await;
        Ok(late)
    })
}

/// How many Creates the Region's quota refuses in the first minute. There is one NodeENI, and the quota has room for `room` ENIs.
///
/// # Errors
/// If the world does not reach the state that it should; the message says what is missing.
pub fn refused_by_the_quota(nodes: u32, room: u32) -> Result<u64, String> {
    run_isolated(move || async move {
        let world = World::open(nodes, 0.8).await?;
        let there = u32::try_from(world.ec2.snapshot().enis.len()).unwrap_or(u32::MAX);
        world.ec2.configure(|settings| settings.eni_quota = Some(there + room));
        let meter = Meter::begin(&world, Scale { nodes, nodeenis: 1, share: 0.8 });
        world.apply(1)?;
        world.pass(60).await;
        let measured = meter.end(&world, Piece::Attach, room, 60.0, None);
        world.close().await;
        if measured.count("CreateNetworkInterface") != u64::from(room) {
            return Err(format!("{} of {room} ENIs were created", measured.count("CreateNetworkInterface")));
        }
        Ok(measured.refused.values().sum())
    })
}

/// How many ENIs are created for a NodeENI that is deleted after this many seconds.
///
/// # Errors
/// If the world does not reach the state that it should; the message says what is missing.
pub fn created_for_nothing(nodes: u32, after: u64) -> Result<u64, String> {
    run_isolated(move || async move {
        let world = World::open(nodes, 0.8).await?;
        let meter = Meter::begin(&world, Scale { nodes, nodeenis: 1, share: 0.8 });
        world.apply(1)?;
        world.pass(after).await;
        world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
        world.until_ready(0).await?;
        let measured = meter.end(&world, Piece::Delete, 0, 0.0, None);
        world.close().await;
        let (created, deleted) = (measured.count("CreateNetworkInterface"), measured.count("DeleteNetworkInterface"));
        if created != deleted {
            return Err(format!("{created} ENIs were created, and {deleted} deleted"));
        }
        Ok(created)
    })
}

/// Runs a future on a thread of its own, in virtual time, with the same random numbers each time.
///
/// # Errors
/// The error of the future, or that it panicked.
pub fn run_isolated<T: Send + 'static, F: Future<Output = Result<T, String>>>(
    what: impl FnOnce() -> F + Send + 'static,
) -> Result<T, String> {
    let played = std::thread::spawn(move || {
        entropy::begin(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.map_err(|error| error.to_string())?.block_on(what())
    });
    played.join().map_err(|_| "the simulation panicked".to_owned())?
}

/// Counts the calls, writes and observations of one piece of work.
struct Meter {
    scale: Scale,
    began: Instant,
}

impl Meter {
    fn begin(world: &World, scale: Scale) -> Self {
        world.ec2.clear_calls();
        world.api.reset_requests();
        world.observer.begin();
        Self { scale, began: Instant::now() }
    }

    fn end(self, world: &World, piece: Piece, enis: u32, seconds: f64, floor: Option<f64>) -> Measurement {
        let (calls, refused) = statistics::calls(&world.ec2);
        let observations = world.observer.observations();
        Measurement {
            piece,
            scale: self.scale,
            enis,
            seconds,
            floor,
            calls,
            refused,
            writes: world.api.writes(),
            most_writes: observations.writes.values().copied().max().unwrap_or(0),
            events: observations.events,
            ready: statistics::percentiles(observations.ready.values().copied().collect()),
            attached: observations.attached.clone(),
            real: self.began.elapsed().as_secs_f64(),
        }
    }
}

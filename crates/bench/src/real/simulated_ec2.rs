//! The simulated EC2 over TCP, with a record of the ENIs of NodeENIs.

use crate::region::{self, Neighbours};
use jiff::Timestamp;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{AttachmentStatus, Ec2, Eni, Happening};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What was observed of the ENIs in the subnets of NodeENIs.
#[derive(Debug)]
pub struct Observations {
    began: Instant,
    /// ENIs that exist.
    pub there: i64,
    /// ENIs that are attached.
    pub attached: i64,
    /// When ENIs became attached, in seconds since [`Account::begin`].
    pub times: Vec<f64>,
    /// When an ENI last changed, in seconds since [`Account::begin`].
    pub moved: f64,
}

impl Observations {
    /// For how long no ENI has changed.
    pub fn still(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_secs_f64(self.moved))
    }
}

/// The simulated EC2 account.
#[derive(Debug)]
pub struct Account {
    /// The simulated EC2.
    pub ec2: Ec2,
    /// Its endpoint.
    pub endpoint: String,
    clock: SimClock,
    observations: Arc<Mutex<Observations>>,
}

impl Account {
    /// Starts the simulated EC2 with this many instances and the ENIs of the VPC CNI on each.
    ///
    /// # Errors
    /// If the simulator refuses something, or no port is free; the message says what.
    pub async fn open(instances: u32, neighbours: Neighbours) -> Result<Self, String> {
        let clock = SimClock::starting_at(Timestamp::now());
        let ec2 = region::open(clock)?;
        neighbours.add_subnets(&ec2, instances)?;
        (1..=instances).try_for_each(|n| {
            region::run_instance(&ec2, n)?;
            neighbours.attach(&ec2, n)
        })?;
        let failed = |error: std::io::Error| format!("the simulated EC2 cannot listen: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        let serving = ec2.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let observations = Observations { began: Instant::now(), there: 0, attached: 0, times: Vec::new(), moved: 0.0 };
        let observations = Arc::new(Mutex::new(observations));
        let shared = observations.clone();
        ec2.observe(Box::new(move |_, happening| observe(&mut lock(&shared), happening)));
        Ok(Self { ec2, endpoint, clock, observations })
    }

    /// The time by the clock of EC2's records. The wall clock is adjusted now and then, and after half an hour differs by many
    /// milliseconds.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Clears the counts and the times.
    pub fn begin(&self) {
        self.ec2.clear_calls();
        let mut observations = lock(&self.observations);
        (observations.began, observations.moved, observations.times) = (Instant::now(), 0.0, Vec::new());
    }

    /// The observations so far.
    pub fn observations(&self) -> MutexGuard<'_, Observations> {
        lock(&self.observations)
    }

    /// From now on each EC2 call takes exactly this long.
    pub fn answer_after(&self, latency: Duration) {
        self.ec2.configure(|settings| settings.call_latency = latency..=latency);
    }
}

fn observe(observations: &mut Observations, happening: &Happening<'_>) {
    let Happening::Changed { before, after, .. } = happening else { return };
    let ours = |eni: &Option<&Eni>| eni.is_some_and(|eni| region::is_of_nodeeni(&eni.subnet_id));
    let attached = |eni: &Option<&Eni>| {
        ours(eni)
            && eni.and_then(|eni| eni.attachment.as_ref()).is_some_and(|at| at.status == AttachmentStatus::Attached)
    };
    if !ours(before) && !ours(after) {
        return;
    }
    let now = observations.began.elapsed().as_secs_f64();
    observations.moved = now;
    observations.there += i64::from(ours(after)) - i64::from(ours(before));
    observations.attached += i64::from(attached(after)) - i64::from(attached(before));
    if attached(after) && !attached(before) {
        observations.times.push(now);
    }
}

fn lock(observations: &Mutex<Observations>) -> MutexGuard<'_, Observations> {
    observations.lock().unwrap_or_else(PoisonError::into_inner)
}

//! EC2 over TCP.

use crate::region::{self, NODES_SUBNET};
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{AttachmentStatus, Ec2, Eni, Happening};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What is seen of the subnets of NodeENIs.
#[derive(Debug)]
pub struct Seen {
    began: Instant,
    /// ENIs that are there.
    pub there: i64,
    /// Those that are attached.
    pub attached: i64,
    /// When ENIs became attached, in seconds since the beginning.
    pub times: Vec<f64>,
    /// When one last came, went, or was attached, in seconds since the beginning.
    pub moved: f64,
}

/// The account.
#[derive(Debug)]
pub struct Account {
    /// EC2.
    pub ec2: Ec2,
    /// Where it listens.
    pub endpoint: String,
    seen: Arc<Mutex<Seen>>,
}

impl Account {
    /// Opens it, with so many instances.
    ///
    /// # Errors
    /// If the simulator refuses; the message says what.
    pub async fn open(instances: u32) -> Result<Self, String> {
        let ec2 = region::open(SimClock::starting_at(jiff::Timestamp::now()))?;
        (1..=instances).try_for_each(|n| region::run_instance(&ec2, n))?;
        let failed = |error: std::io::Error| format!("EC2 does not listen: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        let serving = ec2.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let seen = Seen { began: Instant::now(), there: 0, attached: 0, times: Vec::new(), moved: 0.0 };
        let seen = Arc::new(Mutex::new(seen));
        let eyes = seen.clone();
        ec2.observe(Box::new(move |_, happening| look(&mut lock(&eyes), happening)));
        Ok(Self { ec2, endpoint, seen })
    }

    /// Counts from now.
    pub fn begin(&self) {
        self.ec2.clear_calls();
        let mut seen = lock(&self.seen);
        (seen.began, seen.moved, seen.times) = (Instant::now(), 0.0, Vec::new());
    }

    /// What is seen.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Every call of EC2 takes exactly so long from now on.
    pub fn answer_after(&self, latency: Duration) {
        self.ec2.configure(|settings| settings.call_latency = latency..=latency);
    }
}

fn look(seen: &mut Seen, happening: &Happening<'_>) {
    let Happening::Changed { before, after, .. } = happening else { return };
    let ours = |eni: &Option<&Eni>| eni.is_some_and(|eni| eni.subnet_id != NODES_SUBNET);
    let attached = |eni: &Option<&Eni>| {
        ours(eni)
            && eni.and_then(|eni| eni.attachment.as_ref()).is_some_and(|at| at.status == AttachmentStatus::Attached)
    };
    if !ours(before) && !ours(after) {
        return;
    }
    let now = seen.began.elapsed().as_secs_f64();
    seen.moved = now;
    seen.there += i64::from(ours(after)) - i64::from(ours(before));
    seen.attached += i64::from(attached(after)) - i64::from(attached(before));
    if attached(after) && !attached(before) {
        seen.times.push(now);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

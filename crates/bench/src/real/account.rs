//! EC2 over TCP.

use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{AttachmentStatus, Buckets, Ec2, Eni, Happening, Outcome, Settings};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// The region that the endpoint stands for.
pub const REGION: &str = "eu-west-1";
/// The one zone.
pub const ZONE: &str = "eu-west-1a";
/// The type of all instances.
pub const TYPE: &str = "m5.24xlarge";
/// The one security group.
pub const GROUP: &str = "sg-05da196f3314d4af8";
const VPC: &str = "vpc-0a1b2c3d4e5f60718";
const NODES_SUBNET: &str = "subnet-00000000000000aaa";

/// The subnet of the nth NodeENI.
pub fn subnet(n: u32) -> String {
    format!("subnet-{n:017x}")
}

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
    /// EC2: default buckets, 40 to 120 ms a call, 1 to 4 s an attach or detach.
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
        let settings =
            Settings { buckets: Some(Buckets::default()), eni_quota: None, records: 0, ..Settings::default() };
        let ec2 = Ec2::new(SimClock::starting_at(jiff::Timestamp::now()), settings);
        ec2.add_vpc(VPC);
        for (id, cidr) in
            [(NODES_SUBNET.to_owned(), "10.0.0.0/16"), (subnet(1), "10.1.0.0/16"), (subnet(2), "10.2.0.0/16")]
        {
            ec2.add_subnet(&id, VPC, ZONE, cidr, None).map_err(|error| format!("subnet {id}: {error}"))?;
        }
        ec2.add_security_group(GROUP, VPC, "pool");
        for n in 1..=instances {
            ec2.run_instance(&instance(n), TYPE, NODES_SUBNET).map_err(|error| error.to_string())?;
        }
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

    /// Calls since the beginning that took effect, by action; and those that were refused, by action and code.
    pub fn calls(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let (mut done, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for (action, outcomes) in self.ec2.counts() {
            for (outcome, count) in outcomes {
                match outcome {
                    Outcome::Done => *done.entry(action.clone()).or_default() += count,
                    Outcome::Refused(code) => *refused.entry(format!("{action} {code}")).or_default() += count,
                    Outcome::NeverArrived => *refused.entry(format!("{action} never arrived")).or_default() += count,
                }
            }
        }
        (done, refused)
    }
}

/// The ID of the nth instance.
pub fn instance(n: u32) -> String {
    format!("i-{n:017x}")
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

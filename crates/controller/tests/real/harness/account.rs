//! The simulated AWS account of a story: the page's own IDs, served over TCP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use multi_eni_api::names::TAG_CLUSTER;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{CallRecord, Ec2, Eni, Fault, Outcome, Settings};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub const VPC: &str = "vpc-0a1b2c3d4e5f60718";
pub const ZONE: &str = "eu-central-1a";
pub const OTHER_ZONE: &str = "eu-central-1b";
/// Where the instances' primary interfaces are.
pub const NODE_SUBNET: &str = "subnet-00c0ffee00c0ffee0";
/// The page's "Subnet A".
pub const SUBNET_A: &str = "subnet-0f59b4f14737be9ad";
/// The page's "Subnet B".
pub const SUBNET_B: &str = "subnet-abcdef1234567890";
/// A subnet in [`OTHER_ZONE`].
pub const FAR_SUBNET: &str = "subnet-0badbadbadbadbad0";
/// The page's security group.
pub const GROUP: &str = "sg-05da196f3314d4af8";

/// EC2, and the runtime that it answers on.
#[derive(Debug)]
pub struct Account {
    pub ec2: Ec2,
    pub endpoint: String,
    runtime: Runtime,
}

impl Account {
    /// An account with the page's subnets and group, and no instance.
    pub fn open() -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("the simulated EC2 does not start: {e}");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|e| failed(&e))?;
        let milliseconds = |from, to| Duration::from_millis(from)..=Duration::from_millis(to);
        let settings = Settings {
            attach_delay: milliseconds(200, 600),
            detach_delay: milliseconds(200, 600),
            call_latency: milliseconds(10, 30),
            ..Settings::default()
        };
        let (ec2, endpoint) = runtime
            .block_on(async {
                let ec2 = Ec2::new(SimClock::starting_at(jiff::Timestamp::now()), settings);
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let endpoint = format!("http://{}", listener.local_addr()?);
                let serving = ec2.clone();
                tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
                Ok::<_, std::io::Error>((ec2, endpoint))
            })
            .map_err(|e| failed(&e))?;
        for (subnet, zone, cidr) in [
            (NODE_SUBNET, ZONE, "10.0.0.0/24"),
            (SUBNET_A, ZONE, "10.0.1.0/24"),
            (SUBNET_B, ZONE, "10.0.2.0/24"),
            (FAR_SUBNET, OTHER_ZONE, "10.0.3.0/24"),
        ] {
            ec2.add_subnet(subnet, VPC, zone, cidr, None).map_err(|e| failed(&e))?;
        }
        ec2.add_security_group(GROUP, VPC, "page");
        Ok(Self { ec2, endpoint, runtime })
    }

    /// Waits for `work` on the account's runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The ENIs that carry a cluster's ownership tag, whoever's: what this product made.
    pub fn ours(&self) -> Vec<Eni> {
        self.ec2.snapshot().enis.into_values().filter(|eni| eni.tags.contains_key(TAG_CLUSTER)).collect()
    }

    /// Everything else in the account.
    pub fn foreign(&self) -> BTreeMap<String, Eni> {
        let enis = self.ec2.snapshot().enis.into_iter();
        enis.filter(|(_, eni)| !eni.tags.contains_key(TAG_CLUSTER)).collect()
    }

    /// Our ENIs on an instance by device index.
    pub fn ours_on(&self, instance: &str) -> BTreeMap<u32, Eni> {
        let snapshot = self.ec2.snapshot();
        let there = snapshot.attached_to(instance).into_iter();
        there
            .filter(|(_, eni)| eni.tags.contains_key(TAG_CLUSTER))
            .map(|((_, index), eni)| (index, eni.clone()))
            .collect()
    }

    /// The calls so far that may have changed something, and those that tried to and were refused.
    pub fn mutations(&self) -> Vec<CallRecord> {
        self.ec2.calls().into_iter().filter(|call| !call.action.starts_with("Describe")).collect()
    }

    /// How often each mutating action took effect; refusals are counted under "ACTION: CODE".
    pub fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for call in self.mutations() {
            let key = match call.outcome {
                Outcome::Done => call.action,
                Outcome::Refused(code) => format!("{}: {code}", call.action),
                Outcome::NeverArrived => format!("{}: never arrived", call.action),
            };
            *tally.entry(key).or_default() += 1;
        }
        tally
    }

    /// The distinct ENIs that Create calls have made.
    pub fn created(&self) -> BTreeSet<String> {
        let calls = self.mutations().into_iter();
        calls
            .filter(|call| call.action == "CreateNetworkInterface" && call.mutated())
            .filter_map(|c| c.eni_id)
            .collect()
    }

    /// The next call of this action meets this fault; the receiver is told when that call has arrived.
    pub fn ambush(&self, action: &'static str, fault: Fault) -> Receiver<()> {
        let (told, arrived) = channel();
        let mut left = Some(fault);
        self.ec2.set_fault_source(move |call| {
            let fault = if call.action == action { left.take() } else { None };
            if fault.is_some() {
                // A story that waits no longer has failed already.
                let _ = told.send(());
            }
            fault
        });
        arrived
    }

    /// The last calls, one a line, for a failure's report.
    pub fn tail(&self) -> String {
        let calls = self.ec2.calls();
        let lines = calls.iter().skip(calls.len().saturating_sub(30)).map(|call| {
            let what = call.eni_id.as_deref().or(call.instance_id.as_deref()).unwrap_or("");
            format!("{} {} {what} {:?} {:?}\n", call.received, call.action, call.filters, call.outcome)
        });
        format!("--- EC2, last calls:\n{}", lines.collect::<String>())
    }
}

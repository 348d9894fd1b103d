//! The simulated AWS account of a story, with the IDs of the architecture page, served over TCP.

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
/// The subnet of the instances' primary interfaces.
pub const NODE_SUBNET: &str = "subnet-00c0ffee00c0ffee0";
/// "Subnet A" of the architecture page.
pub const SUBNET_A: &str = "subnet-0f59b4f14737be9ad";
/// "Subnet B" of the architecture page.
pub const SUBNET_B: &str = "subnet-abcdef1234567890";
/// A subnet in [`OTHER_ZONE`].
pub const FAR_SUBNET: &str = "subnet-0badbadbadbadbad0";
/// The security group of the architecture page.
pub const GROUP: &str = "sg-05da196f3314d4af8";

/// The simulated EC2, and the runtime that serves it.
#[derive(Debug)]
pub struct Account {
    pub ec2: Ec2,
    pub endpoint: String,
    runtime: Runtime,
}

impl Account {
    /// An account with the subnets and the group of the architecture page, and no instance.
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

    /// Runs `work` on the account's runtime and waits for it.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The ENIs with the ownership tag of any cluster: those that the controller made.
    pub fn ours(&self) -> Vec<Eni> {
        self.ec2.snapshot().enis.into_values().filter(|eni| eni.tags.contains_key(TAG_CLUSTER)).collect()
    }

    /// All other ENIs of the account.
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

    /// The calls so far other than Describe, refused ones included.
    pub fn mutations(&self) -> Vec<CallRecord> {
        self.ec2.calls().into_iter().filter(|call| !call.action.starts_with("Describe")).collect()
    }

    /// How often each action took effect, Describe excepted. Refusals are counted under "ACTION: CODE".
    pub fn call_counts(&self) -> BTreeMap<String, usize> {
        let mut call_counts = BTreeMap::new();
        for call in self.mutations() {
            let key = match call.outcome {
                Outcome::Done => call.action,
                Outcome::Refused(code) => format!("{}: {code}", call.action),
                Outcome::NeverArrived => format!("{}: never arrived", call.action),
            };
            *call_counts.entry(key).or_default() += 1;
        }
        call_counts
    }

    /// The different ENIs that Create calls have made.
    pub fn created(&self) -> BTreeSet<String> {
        let calls = self.mutations().into_iter();
        calls
            .filter(|call| call.action == "CreateNetworkInterface" && call.mutated())
            .filter_map(|c| c.eni_id)
            .collect()
    }

    /// Injects a fault into the next call of this action. The receiver gets a message when that call arrives.
    pub fn inject_once(&self, action: &'static str, fault: Fault) -> Receiver<()> {
        let (sender, arrived) = channel();
        let mut left = Some(fault);
        self.ec2.set_fault_source(move |call| {
            let fault = if call.action == action { left.take() } else { None };
            if fault.is_some() {
                // If the receiver is dropped, the story has failed already.
                let _ = sender.send(());
            }
            fault
        });
        arrived
    }

    /// Withdraws the permission for all other actions, as an IAM policy does that names only these. `clear_faults` gives it back.
    pub fn permit_only(&self, actions: BTreeSet<String>) {
        self.ec2.set_fault_source(move |call| {
            let denied = Fault::Fail { code: "UnauthorizedOperation".to_owned(), status: None };
            (!actions.contains(&call.action)).then_some(denied)
        });
    }

    /// The last calls, one per line, for the report of a failure.
    pub fn tail(&self) -> String {
        let calls = self.ec2.calls();
        let lines = calls.iter().skip(calls.len().saturating_sub(30)).map(|call| {
            let what = call.eni_id.as_deref().or(call.instance_id.as_deref()).unwrap_or("");
            format!("{} {} {what} {:?} {:?}\n", call.received, call.action, call.filters, call.outcome)
        });
        format!("--- EC2, last calls:\n{}", lines.collect::<String>())
    }
}

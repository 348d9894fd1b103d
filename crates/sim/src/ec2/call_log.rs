//! The log of EC2 calls: action, caller, times and outcome of each, and the counts.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use super::faults::{Fault, Incoming};

/// One call, recorded when it takes effect, is refused or fails to arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The number of the request, counted from 1 in the order of arrival.
    pub number: u64,
    /// The time of arrival.
    pub received: Timestamp,
    /// The time at which the call took effect or was refused.
    pub landed: Timestamp,
    /// The action.
    pub action: String,
    /// The caller's User-Agent.
    pub user_agent: String,
    /// `NetworkInterfaceId`; for a Create that succeeded, the new interface.
    pub eni_id: Option<String>,
    /// `InstanceId`.
    pub instance_id: Option<String>,
    /// `AttachmentId`, at the top or in a Modify.
    pub attachment_id: Option<String>,
    /// `SubnetId`.
    pub subnet_id: Option<String>,
    /// `ClientToken`.
    pub client_token: Option<String>,
    /// (network card, device index) of an Attach.
    pub slot: Option<(u32, u32)>,
    /// Whether a Detach was forced.
    pub force: bool,
    /// Filters by name, with the number of their values.
    pub filters: BTreeMap<String, usize>,
    /// Whether the call was a dry run.
    pub dry_run: bool,
    /// The number of items in a Describe's answer.
    pub items: Option<usize>,
    /// The outcome.
    pub outcome: Outcome,
    /// The injected fault.
    pub fault: Option<Fault>,
}

impl CallRecord {
    /// Whether the call may have changed the account: it took effect and is no Describe.
    pub fn mutated(&self) -> bool {
        self.outcome == Outcome::Done && !self.action.starts_with("Describe")
    }
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The call took effect. Its answer may be lost all the same: see [`CallRecord::fault`].
    Done,
    /// EC2 refused the call with this code.
    Refused(String),
    /// The request did not arrive.
    NeverArrived,
}

/// The last calls, the counts of all calls, and the channels that report them.
#[derive(Debug)]
pub(super) struct CallLog {
    records: VecDeque<CallRecord>,
    keep: usize,
    counts: BTreeMap<String, BTreeMap<Outcome, u64>>,
    /// The number of calls by action since the beginning. [`Self::clear`] keeps it.
    all: BTreeMap<String, u64>,
    /// The number of requests so far.
    pub arrivals: u64,
    /// Reports each call that is recorded.
    pub landed: broadcast::Sender<CallRecord>,
    /// Wakes tasks that wait for a change of the account.
    pub changed: watch::Sender<u64>,
}

impl CallLog {
    /// An empty log that keeps the last `keep` calls.
    pub fn new(keep: usize) -> Self {
        let (landed, _) = broadcast::channel(4096);
        let (changed, _) = watch::channel(0);
        Self {
            records: VecDeque::new(),
            keep,
            counts: BTreeMap::new(),
            all: BTreeMap::new(),
            arrivals: 0,
            landed,
            changed,
        }
    }

    /// Records and reports a call.
    pub fn push(&mut self, record: CallRecord) {
        let by_outcome = self.counts.entry(record.action.clone()).or_default();
        *by_outcome.entry(record.outcome.clone()).or_default() += 1;
        *self.all.entry(record.action.clone()).or_default() += 1;
        if self.records.len() >= self.keep {
            self.records.pop_front();
        }
        // Sending fails if there is no subscriber.
        let _ = self.landed.send(record.clone());
        self.records.push_back(record);
        self.touch();
    }

    /// Wakes the tasks that wait for a change of the account.
    pub fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The calls that are kept, oldest first.
    pub fn records(&self) -> Vec<CallRecord> {
        self.records.iter().cloned().collect()
    }

    /// The number of calls by action and outcome.
    pub fn counts(&self) -> BTreeMap<String, BTreeMap<Outcome, u64>> {
        self.counts.clone()
    }

    /// The number of calls by action since the beginning, whatever their outcome.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.all.clone()
    }

    /// Drops the records, and the counts by action and outcome.
    pub fn clear(&mut self) {
        self.records.clear();
        self.counts.clear();
    }
}

/// The record of a request that has arrived. The outcome is filled in later.
pub(super) fn begin(call: &Incoming, fault: Option<Fault>) -> CallRecord {
    let parameter = |name: &str| call.parameters.get(name).cloned();
    let number = |name: &str| call.parameters.get(name).and_then(|value| value.parse::<u32>().ok());
    let mut filters = BTreeMap::new();
    for (name, value) in &call.parameters {
        if name.starts_with("Filter.")
            && let Some(prefix) = name.strip_suffix(".Name")
        {
            let values = format!("{prefix}.Value.");
            let count = call.parameters.keys().filter(|name| name.starts_with(&values)).count();
            filters.insert(value.clone(), count);
        }
    }
    CallRecord {
        number: call.number,
        received: call.at,
        landed: call.at,
        action: call.action.clone(),
        user_agent: call.user_agent.clone(),
        eni_id: parameter("NetworkInterfaceId"),
        instance_id: parameter("InstanceId"),
        attachment_id: parameter("AttachmentId").or_else(|| parameter("Attachment.AttachmentId")),
        subnet_id: parameter("SubnetId"),
        client_token: parameter("ClientToken"),
        slot: number("DeviceIndex").map(|index| (number("NetworkCardIndex").unwrap_or(0), index)),
        force: parameter("Force").is_some_and(|value| value == "true"),
        filters,
        dry_run: parameter("DryRun").is_some_and(|value| value == "true"),
        items: None,
        outcome: Outcome::NeverArrived,
        fault,
    }
}

//! What was called, when, by whom and with what outcome.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use super::faults::{Fault, Incoming};

/// One call, noted when it took effect (or was refused).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Counts arrivals from 1.
    pub number: u64,
    /// When it arrived.
    pub received: Timestamp,
    /// When it took effect or was refused.
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
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// What a Describe answered: how many.
    pub items: Option<usize>,
    /// How it ended.
    pub outcome: Outcome,
    /// The fault that befell it.
    pub fault: Option<Fault>,
}

impl CallRecord {
    /// Whether it may have changed something: an action other than Describe* that was not refused.
    pub fn mutated(&self) -> bool {
        self.outcome == Outcome::Done && !self.action.starts_with("Describe")
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It took effect (its answer may be lost all the same: see [`CallRecord::fault`]).
    Done,
    /// Refused, with this code.
    Refused(String),
    /// EC2 never had it.
    NeverArrived,
}

/// Records and counts.
#[derive(Debug)]
pub(super) struct Ledger {
    records: VecDeque<CallRecord>,
    keep: usize,
    counts: BTreeMap<String, BTreeMap<Outcome, u64>>,
    pub arrivals: u64,
    pub landed: broadcast::Sender<CallRecord>,
    pub changed: watch::Sender<u64>,
}

impl Ledger {
    pub fn new(keep: usize) -> Self {
        let (landed, _) = broadcast::channel(4096);
        let (changed, _) = watch::channel(0);
        Self { records: VecDeque::new(), keep, counts: BTreeMap::new(), arrivals: 0, landed, changed }
    }

    pub fn note(&mut self, record: CallRecord) {
        let by_outcome = self.counts.entry(record.action.clone()).or_default();
        *by_outcome.entry(record.outcome.clone()).or_default() += 1;
        if self.records.len() >= self.keep {
            self.records.pop_front();
        }
        // Nobody listening is no failure.
        let _ = self.landed.send(record.clone());
        self.records.push_back(record);
        self.touch();
    }

    pub fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn records(&self) -> Vec<CallRecord> {
        self.records.iter().cloned().collect()
    }

    pub fn counts(&self) -> BTreeMap<String, BTreeMap<Outcome, u64>> {
        self.counts.clone()
    }

    /// Forgets what was counted so far.
    pub fn clear(&mut self) {
        self.records.clear();
        self.counts.clear();
    }
}

/// The record of a request, before its outcome is known.
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

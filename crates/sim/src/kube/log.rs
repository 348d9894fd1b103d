//! The log of requests: the last ones, and counts of all.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::request::RequestInfo;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The time, by the simulator's clock.
    pub time: Timestamp,
    /// The Kubernetes verb.
    pub verb: String,
    /// The path.
    pub path: String,
    /// The resource and subresource: `nodes`, `nodeenis.networking.k8s.aws/status`.
    pub target: String,
    /// The client's User-Agent.
    pub user_agent: String,
    /// The HTTP status of the answer; 0 if the connection was cut.
    pub status: u16,
}

/// The last requests, and counts of all requests.
#[derive(Debug)]
pub struct RequestLog {
    records: VecDeque<RequestRecord>,
    cap: usize,
    counts: BTreeMap<(String, String), u64>,
}

impl Default for RequestLog {
    fn default() -> Self {
        Self { records: VecDeque::new(), cap: 10_000, counts: BTreeMap::new() }
    }
}

impl RequestLog {
    /// Records a request.
    pub fn push(&mut self, time: Timestamp, info: &RequestInfo, status: u16) {
        let target = info.target();
        *self.counts.entry((info.verb.clone(), target.clone())).or_default() += 1;
        if self.records.len() >= self.cap {
            self.records.pop_front();
        }
        self.records.push_back(RequestRecord {
            time,
            verb: info.verb.clone(),
            path: info.path.clone(),
            target,
            user_agent: info.user_agent.clone(),
            status,
        });
    }

    /// Sets how many records are kept.
    pub fn cap(&mut self, records: usize) {
        self.cap = records.max(1);
        while self.records.len() > self.cap {
            self.records.pop_front();
        }
    }

    /// The records that are kept, oldest first.
    pub fn records(&self) -> Vec<RequestRecord> {
        self.records.iter().cloned().collect()
    }

    /// The number of requests by verb and target, since the start or the last reset.
    pub fn counts(&self) -> BTreeMap<(String, String), u64> {
        self.counts.clone()
    }

    /// The number of writing requests by target.
    pub fn writes(&self) -> BTreeMap<String, u64> {
        let mut writes = BTreeMap::new();
        for ((verb, target), count) in &self.counts {
            if matches!(verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection") {
                *writes.entry(target.clone()).or_default() += count;
            }
        }
        writes
    }

    /// Clears records and counts.
    pub fn reset(&mut self) {
        self.records.clear();
        self.counts.clear();
    }
}

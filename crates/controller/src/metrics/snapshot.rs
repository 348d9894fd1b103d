//! What the reconciler tells at a scrape, in plain data. It is computed only when somebody asks.

use super::orphans::OrphanVerdicts;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// A scrape that waits for the reconciler's answer.
pub type SnapshotRequest = oneshot::Sender<Snapshot>;

/// The counts of one NodeENI's status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeEniNumbers {
    /// Its name.
    pub name: String,
    /// ENIs that it asks for.
    pub desired: i32,
    /// ENIs that are attached.
    pub attached: i32,
    /// ENIs that are ready.
    pub ready: i32,
    /// ENIs that failed.
    pub failed: i32,
}

/// The state of the reconciler at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Each NodeENI.
    pub nodeenis: Vec<NodeEniNumbers>,
    /// The number of ENIAttachments, by phase and by the reason of the condition Ready.
    pub attachments: BTreeMap<(String, String), usize>,
    /// Keys in the work queue, by kind.
    pub depths: Vec<(&'static str, usize)>,
    /// Seconds since the oldest of those keys was added, by kind.
    pub oldest: Vec<(&'static str, f64)>,
    /// Gates that are closed, by kind.
    pub gates: Vec<(&'static str, usize)>,
    /// What waits in a back-off after a failure, by kind.
    pub backoffs: Vec<(&'static str, usize)>,
    /// The last judgement on ENIs without an ENIAttachment.
    pub orphans: OrphanVerdicts,
}

//! The counters of one process. They outlive a term of leadership.

use super::api_server::ApiCounts;
use super::attachments::AttachmentCounts;
use super::counters::Counters;
use super::leader_election::LeaseCounts;
use super::orphans::ACTED_ON;
use std::sync::Arc;

/// The kinds of keys in the work queue.
const KINDS: [&str; 4] = ["ENIAttachment", "Node", "NodeENI", "Orphans"];

/// All that events increase.
#[derive(Debug)]
pub struct Counted {
    /// ENIAttachments and their ENIs.
    pub attachments: AttachmentCounts,
    /// Writes to the API server, and watches.
    pub api: ApiCounts,
    /// Calls for ENIs without an ENIAttachment, by verdict.
    pub orphan_actions: Counters,
    /// The leader election.
    pub lease: Arc<LeaseCounts>,
    /// Decisions, by the kind of their key.
    pub reconciles: Counters,
    /// Calls and writes that failed, by the kind of their key.
    pub reconcile_errors: Counters,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            attachments: AttachmentCounts::default(),
            api: ApiCounts::default(),
            orphan_actions: Counters::beginning_with(&ACTED_ON),
            lease: Arc::default(),
            reconciles: Counters::beginning_with(&KINDS),
            reconcile_errors: Counters::beginning_with(&KINDS),
        }
    }
}

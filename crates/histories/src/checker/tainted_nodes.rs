//! What the checker remembers of startup taints, and of the ENIs for which Nodes have them. `startup_taint.rs` fills and reads it.

use crate::script::Millis;
use std::collections::BTreeMap;

/// What is known of startup taints.
#[derive(Debug, Default)]
pub struct StartupTaints {
    /// By Node: when it last got the taint.
    pub tainted: BTreeMap<String, Millis>,
    /// By instance: when an ENIAttachment there was last removed, or began to be deleted.
    pub lost: BTreeMap<String, Millis>,
    /// By ENIAttachment: since when it is not Ready.
    pub not_ready: BTreeMap<String, Millis>,
}

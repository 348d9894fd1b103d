//! Conditions of both kinds: their types, and how one is set. The transition time changes only if the status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types of NodeENI and ENIAttachment.
pub mod types {
    /// The ENI exists.
    pub const CREATED: &str = "Created";
    /// EC2 shows the ENI attached in its slot.
    pub const ATTACHED: &str = "Attached";
    /// The agent has configured the interface. Only where the agent is enabled.
    pub const CONFIGURED: &str = "Configured";
    /// Everything that the spec asks for is done.
    pub const READY: &str = "Ready";
    /// Work is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// Adopted ENIs keep a device index other than the spec's. The condition exists only on NodeENIs with such ENIs.
    pub const INDEX_PINNED: &str = "IndexPinned";
    /// Nodes that are no longer selected keep ENIs for Pods that use them. The condition exists only where this has happened.
    pub const WAITING_FOR_PODS: &str = "WaitingForPods";
    /// Nodes that are to lose ENIs wait for the pace of removals. The condition exists only where this has happened.
    pub const REMOVAL_PACED: &str = "RemovalPaced";
    /// Each matching node has a subnet of the list in its zone. False: some nodes get no ENI, which is no failure.
    pub const ZONES_COVERED: &str = "ZonesCovered";
    /// Each matching node can have an ENI. The condition exists only where Fargate, hybrid, HyperPod or managed nodes have matched.
    pub const NODES_SUPPORTED: &str = "NodesSupported";
    /// An operator has to change something.
    pub const DEGRADED: &str = "Degraded";
}

/// The content of a condition, without times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionUpdate {
    /// Its type.
    pub kind: &'static str,
    /// True, False or (None) Unknown.
    pub status: Option<bool>,
    /// A CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl ConditionUpdate {
    /// A condition with a known status.
    pub fn new(kind: &'static str, status: bool, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, status: Some(status), reason: reason.into(), message: message.into() }
    }
}

/// Sets one condition. The transition time changes only if the status does.
pub fn set(conditions: &mut Vec<Condition>, condition: ConditionUpdate, generation: Option<i64>, now: Timestamp) {
    let status = match condition.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let previous = conditions.iter().find(|c| c.type_ == condition.kind);
    let since = match previous {
        Some(previous) if previous.status == status => previous.last_transition_time.clone(),
        // The API server keeps times of conditions in whole seconds.
        _ => Time(now.round(jiff::Unit::Second).unwrap_or(now)),
    };
    let next = Condition {
        type_: condition.kind.to_owned(),
        status: status.to_owned(),
        reason: condition.reason,
        message: condition.message,
        observed_generation: generation,
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|c| c.type_ == condition.kind) {
        Some(slot) => *slot = next,
        None => conditions.push(next),
    }
}

/// Whether a condition of this type is True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|c| c.type_ == kind && c.status == "True")
}

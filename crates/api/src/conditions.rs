//! Kubernetes conditions, set so that a transition time moves only when the status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types of both kinds.
pub mod types {
    /// The ENI exists.
    pub const CREATED: &str = "Created";
    /// EC2 shows the ENI attached in its slot.
    pub const ATTACHED: &str = "Attached";
    /// The node's half is done (only where the agent is enabled).
    pub const CONFIGURED: &str = "Configured";
    /// All that was asked for is there.
    pub const READY: &str = "Ready";
    /// Work is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// ENIs that were taken over keep a device index other than the spec's. Only where there are such.
    pub const INDEX_PINNED: &str = "IndexPinned";
    /// Nodes that are no longer selected keep ENIs for pods that use them. Only where that was ever so.
    pub const WAITING_FOR_PODS: &str = "WaitingForPods";
    /// Nodes that are to lose ENIs wait for their turn. Only where that was ever so.
    pub const REMOVAL_PACED: &str = "RemovalPaced";
    /// Something needs a person.
    pub const DEGRADED: &str = "Degraded";
}

/// One condition to be, before it has times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its type.
    pub kind: &'static str,
    /// True, False or (None) Unknown.
    pub status: Option<bool>,
    /// CamelCase word for programs.
    pub reason: String,
    /// Sentence for people.
    pub message: String,
}

impl Wanted {
    /// A condition whose status is known.
    pub fn new(kind: &'static str, status: bool, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, status: Some(status), reason: reason.into(), message: message.into() }
    }
}

/// Sets one condition; the transition time moves only when the status changes.
pub fn set(conditions: &mut Vec<Condition>, wanted: Wanted, generation: Option<i64>, now: Timestamp) {
    let status = match wanted.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let previous = conditions.iter().find(|c| c.type_ == wanted.kind);
    let since = match previous {
        Some(previous) if previous.status == status => previous.last_transition_time.clone(),
        // Conditions carry whole seconds on the wire.
        _ => Time(now.round(jiff::Unit::Second).unwrap_or(now)),
    };
    let next = Condition {
        type_: wanted.kind.to_owned(),
        status: status.to_owned(),
        reason: wanted.reason,
        message: wanted.message,
        observed_generation: generation,
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|c| c.type_ == wanted.kind) {
        Some(slot) => *slot = next,
        None => conditions.push(next),
    }
}

/// Whether a condition of this type is True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|c| c.type_ == kind && c.status == "True")
}

//! Times that decisions depend on. Defaults are the design's; tests and the sandbox shorten some.

use jiff::SignedDuration;

/// Graces and limits, all settable by flags of `multi-eni controller`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A label away for less than this costs no EC2 call.
    pub label_grace: SignedDuration,
    /// A Node away for less than this keeps its ENIs while its instance runs.
    pub node_gone_grace: SignedDuration,
    /// How long EC2 may show something older than our last call (eventual consistency).
    pub lag: SignedDuration,
    /// How old the last observation of an ENI may be when it is changed: more than two resyncs.
    pub view_valid: SignedDuration,
    /// How long a Create may be repeated with its token.
    pub token_lifetime: SignedDuration,
    /// An attachment in `attaching` for longer gets a condition.
    pub attaching_warn: SignedDuration,
    /// … for longer is detached.
    pub attaching_detach: SignedDuration,
    /// … or `detaching` for longer is detached by force.
    pub force_detach: SignedDuration,
    /// How long a created ENI that finds its slot taken is kept.
    pub unattachable_kept: SignedDuration,
    /// How old a look at an instance may be when something is about to be created for it.
    pub instance_lookup_valid: SignedDuration,
    /// Re-check of what a person must change.
    pub blocked_recheck: SignedDuration,
    /// Cool-down of a full subnet.
    pub subnet_cooldown: SignedDuration,
    /// Of one NodeENI no more nodes than `rollout.maxRemovals` lose ENIs within this time.
    pub removal_window: SignedDuration,
    /// So many orphans may be removed at once; None: 10 % of this cluster's ENIs, at least 10.
    pub max_orphans: Option<usize>,
    /// The annotation by which Pods name the NodeENIs that they use; None: no node keeps its ENIs for Pods.
    pub pod_annotation: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let s = SignedDuration::from_secs;
        Self {
            label_grace: s(10),
            node_gone_grace: s(300),
            lag: s(60),
            view_valid: s(150),
            token_lifetime: s(3600),
            attaching_warn: s(90),
            attaching_detach: s(300),
            force_detach: s(900),
            unattachable_kept: s(600),
            instance_lookup_valid: s(60),
            blocked_recheck: s(600),
            subnet_cooldown: s(120),
            removal_window: s(300),
            max_orphans: None,
            pod_annotation: None,
        }
    }
}

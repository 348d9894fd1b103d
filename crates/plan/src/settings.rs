//! Times and limits of the decisions. Flags of `multi-eni controller` set some of them; tests and the sandbox shorten
//! some.

use jiff::SignedDuration;

/// Times and limits of the decisions.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A label that is missing for less than this causes no EC2 call.
    pub label_grace: SignedDuration,
    /// A Node that is missing for less than this keeps its ENIs while its instance runs.
    pub node_gone_grace: SignedDuration,
    /// How long EC2 may show a state from before the last call (eventual consistency).
    pub lag: SignedDuration,
    /// How old the last observation of an ENI may be when the ENI is changed: longer than two resyncs.
    pub view_valid: SignedDuration,
    /// How long a Create may be repeated with its token.
    pub token_lifetime: SignedDuration,
    /// An attachment that is `attaching` for longer is reported in a condition.
    pub attaching_warn: SignedDuration,
    /// An attachment that is `attaching` for longer is detached.
    pub attaching_detach: SignedDuration,
    /// An attachment is detached by force this long after EC2 accepted a plain Detach, or began to show it `detaching`.
    pub force_detach: SignedDuration,
    /// How long a created ENI is kept whose slot another ENI occupies.
    pub unattachable_kept: SignedDuration,
    /// How old the last lookup of an instance's ENIs may be when an ENIAttachment is created for the instance.
    pub instance_lookup_valid: SignedDuration,
    /// Time between two tries of something that a user must change first.
    pub blocked_recheck: SignedDuration,
    /// Time between two lookups of a full subnet.
    pub subnet_cooldown: SignedDuration,
    /// Within this time at most `rollout.maxRemovals` nodes of one NodeENI lose ENIs.
    pub removal_window: SignedDuration,
    /// How many orphans may be removed at once. None: 10 % of this cluster's ENIs, and at least 10.
    pub max_orphans: Option<usize>,
    /// The annotation by which Pods name the NodeENIs that they use. None: no node keeps its ENIs for Pods.
    pub pod_annotation: Option<String>,
    /// Whether the node agent runs on the nodes: an ENI is Ready only when the agent has configured its interface.
    pub node_agent: bool,
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
            node_agent: false,
        }
    }
}

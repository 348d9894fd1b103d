//! What happens: what people, nodes, other software and the machines of the replicas do.

use super::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    // ---- Nodes and instances -------------------------------------------------------------------------------------
    /// An instance starts, or runs already, and registers as a Node.
    Join {
        /// The Node's name.
        node: String,
        /// The instance.
        instance: String,
        /// `a` or `b`.
        zone: String,
        /// Its labels.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// The Node is deleted; its instance goes with it, or runs on.
    Leave {
        /// The Node.
        node: String,
        /// Whether the instance is terminated first.
        terminate: bool,
    },
    /// The instance under a Node is terminated; the Node stays for now.
    Terminate {
        /// The Node.
        node: String,
    },
    /// The instance is stopped.
    Halt {
        /// The Node.
        node: String,
    },
    /// The instance is started again.
    Boot {
        /// The Node.
        node: String,
    },
    /// Labels are set, or taken away with null.
    Label {
        /// The Node.
        node: String,
        /// Key to value.
        set: BTreeMap<String, Option<String>>,
    },
    /// The instance of a Node registers as a second Node, under another name.
    Twin {
        /// The Node that there is.
        node: String,
        /// The other name.
        name: String,
        /// Labels of the second Node.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// A person sets the zone label of a Node, or takes it away with null.
    ZoneLabel {
        /// The Node.
        node: String,
        /// The zone.
        zone: Option<String>,
    },
    /// DescribeInstances leaves an instance out for a while, though it runs.
    LeftOut {
        /// The instance.
        instance: String,
        /// In how many answers.
        times: u32,
    },
    /// The Node gets a deletionTimestamp, and a finalizer holds it.
    Drain {
        /// The Node.
        node: String,
    },
    /// A drained Node is let go; its instance is terminated.
    Drained {
        /// The Node.
        node: String,
    },
    /// The kubelet reports that it lives.
    Heartbeat {
        /// The Node.
        node: String,
    },

    // ---- NodeENIs and ENIAttachments -----------------------------------------------------------------------------
    /// A NodeENI is created, or its spec replaced.
    Apply {
        /// Its name.
        name: String,
        /// Its spec.
        spec: Value,
    },
    /// A NodeENI is deleted.
    Remove {
        /// Its name.
        name: String,
    },
    /// Somebody deletes an ENIAttachment with kubectl.
    DeleteAttachment(Target),
    /// Somebody strips an ENIAttachment of its finalizer and deletes it.
    StripAttachment(Target),
    /// Somebody annotates an ENIAttachment: its resourceVersion moves.
    Annotate(Target),

    // ---- Hands on EC2 --------------------------------------------------------------------------------------------
    /// Somebody detaches an ENI of ours.
    HandDetach(Target),
    /// Somebody detaches an ENI of ours by force and deletes it.
    HandDelete(Target),
    /// Somebody detaches an ENI of ours by force and attaches it to another Node's instance.
    HandMove {
        /// Which ENI.
        nth: usize,
        /// To whose instance.
        node: String,
        /// At which device index of card 0.
        index: u32,
    },
    /// Somebody changes an ENI of ours.
    HandChange {
        /// Which ENI.
        nth: usize,
        /// What.
        change: HandChange,
    },
    /// The VPC CNI attaches an ENI at the lowest free index.
    CniAttach {
        /// The Node.
        node: String,
    },
    /// An instance that was another cluster's comes with an ENI of that cluster's Multi-ENI, at the lowest free index.
    OtherCluster {
        /// Its Node.
        node: String,
    },
    /// Upstream's controller, about to be stopped, attaches an ENI for a NodeENI.
    Upstream {
        /// The Node.
        node: String,
        /// The NodeENI.
        nodeeni: String,
        /// The subnet.
        subnet: String,
        /// At which device index of card 0.
        index: u32,
        /// It gets so far as to write the status, if ours has not been written yet.
        listed: bool,
    },
    /// A Pod that uses a NodeENI's interface starts on a Node.
    PodStarts {
        /// The Pod.
        pod: String,
        /// The Node.
        node: String,
        /// The NodeENI.
        nodeeni: String,
    },
    /// A Pod ends: it is deleted.
    PodEnds {
        /// The Pod.
        pod: String,
    },
    /// The VPC CNI gives its last ENI back.
    CniRelease {
        /// The Node.
        node: String,
    },
    /// The VPC CNI attaches ENIs with many addresses at the lowest free indexes.
    CniGrows {
        /// The Node.
        node: String,
        /// How many ENIs.
        interfaces: u32,
        /// How many addresses each has.
        addresses: u32,
    },
    /// The VPC CNI gives its last ENIs back.
    CniShrinks {
        /// The Node.
        node: String,
        /// How many.
        interfaces: u32,
    },

    // ---- Circumstances on EC2 ------------------------------------------------------------------------------------
    /// The account's quota allows this many ENIs more; null: AWS's default.
    Quota {
        /// How many more.
        room: Option<u32>,
    },
    /// Others take a subnet's addresses until this many are free.
    Crowd {
        /// The subnet.
        subnet: String,
        /// How many stay free.
        leave: u64,
    },
    /// Others give a subnet's addresses back.
    Uncrowd {
        /// The subnet.
        subnet: String,
    },
    /// A security group is deleted and made again under its name.
    RemakeGroup {
        /// Which, from 1.
        number: u64,
    },
    /// A subnet gets another tag Name.
    RenameSubnet {
        /// The subnet.
        subnet: String,
        /// The name.
        name: String,
    },
    /// IAM no longer allows an action.
    Deny {
        /// EC2's name of it.
        action: String,
    },
    /// IAM allows an action again.
    Allow {
        /// EC2's name of it.
        action: String,
    },

    /// EC2 refuses an action for a while, whatever the reason, each time in other words.
    RefuseCalls {
        /// EC2's name of it.
        action: String,
        /// EC2's code.
        code: String,
        /// How long.
        lasts: Millis,
    },

    // ---- Replicas and their machines -----------------------------------------------------------------------------
    /// The process is killed and starts again after a while.
    Kill {
        /// The replica, from 0.
        replica: usize,
        /// How long it stays away.
        restart: Millis,
    },
    /// The process is told to stop (SIGTERM) and starts again after a while.
    Stop {
        /// The replica, from 0.
        replica: usize,
        /// How long it stays away.
        restart: Millis,
    },
    /// The process ends, and the next one is started with another account's role for a while.
    Elsewhere {
        /// The replica, from 0.
        replica: usize,
        /// How long, until it is started at home again.
        lasts: Millis,
    },
    /// The role of the running process is another account's for a while.
    RoleSwap {
        /// The replica, from 0.
        replica: usize,
        /// How long, until it is its own again.
        lasts: Millis,
    },
    /// The process is frozen for a while; its clocks go on.
    Pause {
        /// The replica, from 0.
        replica: usize,
        /// How long.
        lasts: Millis,
    },
    /// The replica's wall clock is set forward or back.
    ClockStep {
        /// The replica, from 0.
        replica: usize,
        /// By how many milliseconds.
        by: i64,
    },
    /// The replica cannot reach one side for a while.
    Partition {
        /// The replica, from 0.
        replica: usize,
        /// From the API server; else from EC2.
        kube: bool,
        /// How long.
        lasts: Millis,
    },
    /// What the replica watches reaches it late for a while: a stale cache.
    StaleWatch {
        /// The replica, from 0.
        replica: usize,
        /// How long that lasts.
        lasts: Millis,
    },

    // ---- The API server ------------------------------------------------------------------------------------------
    /// All watches end.
    BreakWatches {},
    /// The history of the store is compacted: who resumes a watch from before gets 410.
    Compact {},
    /// The API server restarts: it is away for a while, and all watches end.
    RestartApi {
        /// How long it is away.
        lasts: Millis,
    },
    /// RBAC refuses the controller's writes for a while, or what it reads: then watches that are open go on.
    Forbid {
        /// What it reads; else what it writes.
        #[serde(default, skip_serializing_if = "is_false")]
        reads: bool,
        /// How long.
        lasts: Millis,
    },
    /// Admission (a policy, a webhook) refuses a kind of write for a while.
    Refuse {
        /// `create`, `patch` or `delete`.
        verb: String,
        /// `eniattachments`, `eniattachments/status`, `nodeenis`, `nodeenis/status`.
        resource: String,
        /// HTTP status.
        code: u16,
        /// Of a hundred objects so many.
        percent: u8,
        /// How long.
        lasts: Millis,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One of the ENIs or ENIAttachments of this cluster, in the order of their names, counted round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Which.
    pub nth: usize,
}

/// What somebody changes on an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandChange {
    /// All its tags go.
    Untag,
    /// The tag that names the cluster goes.
    UntagCluster,
    /// The tag that names the ENIAttachment goes.
    UntagAttachment,
    /// Its tag Name is changed.
    Rename,
    /// Its description is changed.
    Describe,
    /// Its security groups are changed.
    Groups,
    /// The source/destination check is switched.
    SourceDestCheck,
    /// deleteOnTermination is switched.
    DeleteOnTermination,
}

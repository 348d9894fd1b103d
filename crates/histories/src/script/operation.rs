//! The operations of a script: what users, nodes, other software and the machines of replicas do.

use super::Millis;
use super::operation_values::{HandChange, Target, UnsupportedKind};
use super::placement::Placement;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    // ---- Nodes and instances -------------------------------------------------------------------------------------
    /// An instance starts, unless it runs already, and registers as a Node.
    Join {
        /// The Node's name.
        node: String,
        /// The instance.
        instance: String,
        /// `a`, `b` or `xyz`.
        zone: String,
        /// Its labels.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Whether the cloud provider has not initialized the Node: the Node has no providerID and no zone, and it has the taint.
        #[serde(default, skip_serializing_if = "is_false")]
        bare: bool,
        /// Whether the instance is on the Outpost, or in the second VPC.
        #[serde(default, skip_serializing_if = "Placement::is_region")]
        placement: Placement,
    },
    /// The cloud provider initializes a Node: it writes the providerID and the zone, and removes the taint.
    Initialize {
        /// The Node.
        node: String,
    },
    /// A Node joins that can never have an ENI.
    JoinUnsupported {
        /// The Node's name.
        node: String,
        /// What the Node is.
        kind: UnsupportedKind,
        /// Its labels.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// An instance that EKS Auto Mode manages starts, unless it runs already, and registers as a Node. EC2 refuses changes of its
    /// interfaces to everybody else.
    JoinManaged {
        /// The Node's name.
        node: String,
        /// The instance.
        instance: String,
        /// `a`, `b` or `xyz`.
        zone: String,
        /// Its labels, besides the one of Auto Mode.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Whether the instance is on the Outpost, or in the second VPC.
        #[serde(default, skip_serializing_if = "Placement::is_region")]
        placement: Placement,
    },
    /// The Node is deleted. Its instance is terminated first, or runs on.
    Leave {
        /// The Node.
        node: String,
        /// Whether the instance is terminated first.
        terminate: bool,
    },
    /// The instance of a Node is terminated. The Node stays for now.
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
    /// Labels are set, or removed with null.
    Label {
        /// The Node.
        node: String,
        /// Key to value.
        set: BTreeMap<String, Option<String>>,
    },
    /// The instance of a Node registers as a second Node, under another name.
    Twin {
        /// The existing Node.
        node: String,
        /// The other name.
        name: String,
        /// Labels of the second Node.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// Someone sets the zone label of a Node, or removes it with null.
    ZoneLabel {
        /// The Node.
        node: String,
        /// The zone.
        zone: Option<String>,
    },
    /// Answers of DescribeInstances leave a running instance out.
    LeftOut {
        /// The instance.
        instance: String,
        /// How many answers.
        times: u32,
    },
    /// The Node gets a deletionTimestamp, and a finalizer holds it.
    Drain {
        /// The Node.
        node: String,
    },
    /// A drained Node loses its finalizer, and its instance is terminated.
    Drained {
        /// The Node.
        node: String,
    },
    /// A Node gets the startup taint, with which Pods wait for its ENIs.
    Taint {
        /// The Node.
        node: String,
        /// `NoSchedule`, `NoExecute` or `PreferNoSchedule`.
        effect: String,
    },
    /// A node reboots: what its agent has configured is gone until the agent has configured it again.
    Reboot {
        /// The Node.
        node: String,
    },
    /// The kubelet writes the Node's status.
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
    /// Someone deletes an ENIAttachment with kubectl.
    DeleteAttachment(Target),
    /// Someone removes the finalizer of an ENIAttachment and deletes it.
    StripAttachment(Target),
    /// Someone annotates an ENIAttachment, which changes its resourceVersion.
    Annotate(Target),
    /// Someone asks for a new try, by the annotation `networking.k8s.aws/reconcile-at`: of a NodeENI, or else of an ENIAttachment.
    ReconcileAt {
        /// The NodeENI's name.
        #[serde(default)]
        nodeeni: Option<String>,
        /// Which ENIAttachment, if no NodeENI is named.
        #[serde(default)]
        nth: usize,
    },

    // ---- Changes by hand on EC2 ----------------------------------------------------------------------------------
    /// Someone detaches an ENI of this cluster.
    HandDetach(Target),
    /// Someone detaches an ENI of this cluster by force and deletes it.
    HandDelete(Target),
    /// Someone detaches an ENI of this cluster by force and attaches it to another Node's instance.
    HandMove {
        /// Which ENI.
        nth: usize,
        /// The Node of the other instance.
        node: String,
        /// The device index on network card 0.
        index: u32,
    },
    /// Someone changes an ENI of this cluster.
    HandChange {
        /// Which ENI.
        nth: usize,
        /// The change.
        change: HandChange,
    },
    /// The VPC CNI attaches an ENI at the lowest free index.
    CniAttach {
        /// The Node.
        node: String,
    },
    /// An instance that belonged to another cluster has an ENI of that cluster's Multi-ENI, at the lowest free index.
    OtherCluster {
        /// Its Node.
        node: String,
    },
    /// Upstream's controller attaches an ENI for a NodeENI before it is stopped.
    Upstream {
        /// The Node.
        node: String,
        /// The NodeENI.
        nodeeni: String,
        /// The subnet.
        subnet: String,
        /// The device index on network card 0.
        index: u32,
        /// Whether upstream also lists the ENI in the NodeENI's status. It does not if this project's controller has written the
        /// status.
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
    /// The VPC CNI releases its last ENI.
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
    /// The VPC CNI releases its last ENIs.
    CniShrinks {
        /// The Node.
        node: String,
        /// How many ENIs.
        interfaces: u32,
    },

    // ---- Conditions on EC2 ---------------------------------------------------------------------------------------
    /// The account's quota allows this many more ENIs; null: AWS's default quota.
    Quota {
        /// How many more ENIs.
        room: Option<u32>,
    },
    /// Others take addresses of a subnet until this many are free.
    Crowd {
        /// The subnet.
        subnet: String,
        /// How many addresses stay free.
        leave: u64,
    },
    /// Others release the addresses that they took of a subnet.
    Uncrowd {
        /// The subnet.
        subnet: String,
    },
    /// A security group is deleted and created again under the same name.
    RemakeGroup {
        /// The number of the group, from 1. The numbers of the second VPC follow those of the first.
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
        /// The EC2 action.
        action: String,
    },
    /// IAM allows an action again.
    Allow {
        /// The EC2 action.
        action: String,
    },

    /// EC2 refuses an action for a time, with another message each time.
    RefuseCalls {
        /// The EC2 action.
        action: String,
        /// EC2's error code.
        code: String,
        /// How long.
        lasts: Millis,
    },

    // ---- Replicas and their machines -----------------------------------------------------------------------------
    /// The process is killed and starts again after a time.
    Kill {
        /// The replica, from 0.
        replica: usize,
        /// How long no process runs.
        restart: Millis,
    },
    /// The process gets SIGTERM and starts again after a time.
    Stop {
        /// The replica, from 0.
        replica: usize,
        /// How long no process runs.
        restart: Millis,
    },
    /// The process ends, and the next ones have another account's role for a time.
    Elsewhere {
        /// The replica, from 0.
        replica: usize,
        /// How long the replica has the other role.
        lasts: Millis,
    },
    /// The running process has another account's role for a time.
    RoleSwap {
        /// The replica, from 0.
        replica: usize,
        /// How long it has the other role.
        lasts: Millis,
    },
    /// The process is frozen for a time. Its clocks go on.
    Pause {
        /// The replica, from 0.
        replica: usize,
        /// How long.
        lasts: Millis,
    },
    /// The replica's wall clock is moved forward or back.
    ClockStep {
        /// The replica, from 0.
        replica: usize,
        /// By how many milliseconds.
        by: i64,
    },
    /// The replica cannot reach the API server, or EC2, for a time.
    Partition {
        /// The replica, from 0.
        replica: usize,
        /// Whether the API server is unreachable; else EC2 is.
        kube: bool,
        /// How long.
        lasts: Millis,
    },
    /// The replica's watches are delayed for a time: its cache is stale.
    StaleWatch {
        /// The replica, from 0.
        replica: usize,
        /// How long that lasts.
        lasts: Millis,
    },

    // ---- The API server ------------------------------------------------------------------------------------------
    /// All watches end.
    BreakWatches {},
    /// The store's history is compacted: a watch that resumes from an older version gets 410.
    Compact {},
    /// The API server restarts: it is unreachable for a time, and all watches end.
    RestartApi {
        /// How long it is unreachable.
        lasts: Millis,
    },
    /// RBAC refuses the controller's writes for a time, or its reads. Open watches go on.
    Forbid {
        /// Whether reads are refused; else writes are.
        #[serde(default, skip_serializing_if = "is_false")]
        reads: bool,
        /// How long.
        lasts: Millis,
    },
    /// Admission (a policy, a webhook) refuses a kind of write for a time.
    Refuse {
        /// `create`, `patch` or `delete`.
        verb: String,
        /// `eniattachments`, `eniattachments/status`, `nodeenis`, `nodeenis/status`.
        resource: String,
        /// HTTP status.
        code: u16,
        /// For how many of a hundred objects the write is refused.
        percent: u8,
        /// How long.
        lasts: Millis,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

//! A Node as plain data: the fields that the decisions need, and why a Node can have no ENI.

use crate::string_map::StringMap;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::InstanceId;

/// Why a Node can have no ENI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOnEc2 {
    /// The Node has no providerID: the cloud provider has not written it yet, or never will.
    #[error("the Node has no providerID yet: the cloud provider sets it, as aws:///ZONE/INSTANCE")]
    NoProviderId,
    /// The Node can never have an ENI of this controller.
    #[error(transparent)]
    Never(#[from] Unattachable),
}

/// Why a Node can never have an ENI of this controller, by its providerID, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unattachable {
    /// A Fargate Pod has a Node of its own and no instance: `aws:///ZONE/TASK/fargate-…`.
    #[error("an AWS Fargate Node")]
    Fargate,
    /// A machine outside AWS: `eks-hybrid:///REGION/CLUSTER/NAME`.
    #[error("an EKS Hybrid Node")]
    Hybrid,
    /// SageMaker attaches the interfaces, and EC2 refuses AttachNetworkInterface: `aws:///ZONE/sagemaker/cluster/hyperpod-…`
    /// (aws/amazon-vpc-cni-k8s#3874).
    #[error("a SageMaker HyperPod Node")]
    HyperPod,
    /// The providerID is of another cloud, or names no instance.
    #[error("a Node whose providerID {0:?} names no EC2 instance")]
    OtherProvider(String),
}

impl Unattachable {
    /// The label by which AWS marks such Nodes, with its value. Fargate and hybrid: EKS user guide; HyperPod: the label that
    /// SageMaker's own add-ons select. None: the kind has none.
    pub fn label(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Fargate => Some((COMPUTE_TYPE_LABEL, "fargate")),
            Self::Hybrid => Some((COMPUTE_TYPE_LABEL, "hybrid")),
            Self::HyperPod => Some(("sagemaker.amazonaws.com/compute-type", "hyperpod")),
            Self::OtherProvider(_) => None,
        }
    }
}

/// The fields of a Node that the decisions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNode {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: StringMap,
    /// The instance, from the providerID.
    pub instance: Result<InstanceId, NotOnEc2>,
    /// Availability Zone by the providerID. A zone that EC2 shows takes precedence over it; the label comes last.
    pub zone: Option<String>,
    /// Instance type, from the well-known label.
    pub instance_type: Option<String>,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it carries the taint of a Node that its cloud provider has not initialized.
    pub uninitialized: bool,
    /// Whether it carries Karpenter's taint of a Node that Karpenter has not registered: labels of its NodePool are still to come.
    pub unregistered: bool,
    /// Whether it carries the taint of a Node whose kubelet the cluster does not reach.
    pub is_unreachable: bool,
    /// The kernel's ID of its boot, as its kubelet reports it.
    pub boot_id: Option<Box<str>>,
    /// The places of the startup taint in `spec.taints`, in ascending order: a Node may have it with several effects.
    pub startup_taints: Vec<usize>,
}

/// For this time after its creation a Node without providerID or zone counts as joining the cluster.
const JOINS_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// The label with which EKS marks Nodes that are no ordinary instances. The Nodes of Auto Mode have the value `auto`.
const COMPUTE_TYPE_LABEL: &str = "eks.amazonaws.com/compute-type";

/// The well-known label of a Node's Availability Zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl ObservedNode {
    /// Whether this Node counts before another Node of the same instance. A Node that is not being deleted comes first, then the
    /// older one, for which the existing ENIs were created, then the order of the names.
    pub fn counts_before(&self, other: &Self) -> bool {
        (self.deleting, self.created, &self.name) < (other.deleting, other.created, &other.name)
    }

    /// Until when the Node counts as joining the cluster: the cloud provider has not written its providerID and zone yet. While
    /// the taint stands the end is not known: [`Timestamp::MAX`].
    pub fn joins_until(&self) -> Timestamp {
        if self.uninitialized {
            return Timestamp::MAX;
        }
        self.created.saturating_add(JOINS_WITHIN).unwrap_or(Timestamp::MAX)
    }

    /// Until when labels may still come that make NodeENIs select the Node: it joins the cluster, or Karpenter has not registered it.
    /// None: it has its labels.
    pub fn awaits_labels_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.unregistered || self.uninitialized {
            return Some(Timestamp::MAX);
        }
        let joins = self.instance == Err(NotOnEc2::NoProviderId);
        Some(self.joins_until()).filter(|until| joins && now < *until)
    }

    /// Whether the label says that EKS Auto Mode manages the instance. EC2 refuses changes of its interfaces to everybody else.
    pub fn is_auto_mode(&self) -> bool {
        self.labels.get(COMPUTE_TYPE_LABEL) == Some("auto")
    }

    /// Availability Zone by the well-known label, which any user can change.
    pub fn zone_by_label(&self) -> Option<&str> {
        self.labels.get(ZONE_LABEL).filter(|zone| !zone.is_empty())
    }
}

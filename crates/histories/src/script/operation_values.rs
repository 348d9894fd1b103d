//! The values of operations: which object an operation is about, what a Node is that can have no ENI, and changes of an ENI by hand.

use serde::{Deserialize, Serialize};

/// One of the ENIs or ENIAttachments of this cluster, sorted by name. The number is taken modulo their count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its number, from 0.
    pub nth: usize,
}

/// What a Node is that can never have an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsupportedKind {
    /// A Fargate Pod's Node.
    Fargate,
    /// A machine outside AWS.
    Hybrid,
    /// An instance of SageMaker HyperPod.
    HyperPod,
}

/// A change of an ENI by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandChange {
    /// All its tags are removed.
    Untag,
    /// The tag that names the cluster is removed.
    UntagCluster,
    /// The tag that names the ENIAttachment is removed.
    UntagAttachment,
    /// Its tag Name is changed.
    Rename,
    /// Its description is changed.
    Describe,
    /// Its security groups are changed.
    Groups,
    /// The source/destination check is switched.
    SourceDestCheck,
    /// The timeouts of connection tracking are changed.
    ConnectionTracking,
    /// deleteOnTermination is switched.
    DeleteOnTermination,
}

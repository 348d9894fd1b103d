//! The input of `explain`: the observed state, the assignments of `assign` and the steps of `lifecycle`.

use crate::assign::Assignment;
use crate::attachment::Attachment;
use crate::lifecycle::{Change, Step};
use crate::nodeeni::NodeEni;
use crate::observed::{Cluster, Ec2Catalog, Observation, ObservedEni, ObservedNode};
use crate::removals::RemovalPace;
use crate::settings::Settings;
use jiff::Timestamp;
use multi_eni_api::eniattachment::Phase;
use std::collections::BTreeMap;

/// An ENIAttachment with its observation and its next step.
#[derive(Debug, Clone)]
pub struct ExplainedAttachment {
    /// The ENIAttachment.
    pub attachment: Attachment,
    /// What EC2 shows of its ENI.
    pub observation: Observation,
    /// Its next step.
    pub step: Step,
    /// The changes in place that its ENI needs.
    pub changes: Vec<Change>,
}

impl ExplainedAttachment {
    /// Whether its phase is Blocked after the step: a person must act.
    pub(super) fn is_blocked(&self) -> bool {
        self.step.status.phase == Phase::Blocked
    }
}

/// The input of [`plan`](super::plan).
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// This cluster.
    pub cluster: &'a Cluster,
    /// All Nodes.
    pub nodes: &'a [&'a ObservedNode],
    /// All NodeENIs.
    pub nodeenis: &'a [&'a NodeEni],
    /// All ENIAttachments.
    pub attachments: &'a [ExplainedAttachment],
    /// The result of `assign` for each Node, by the Node's name.
    pub assignments: &'a BTreeMap<String, Assignment>,
    /// The known subnets and security groups.
    pub catalog: &'a Ec2Catalog,
    /// ENIs that carry this cluster's tag.
    pub owned: &'a [ObservedEni],
    /// ENIs that carry upstream's tags, wherever they are.
    pub upstreams: &'a [ObservedEni],
    /// The pace of each NodeENI's removals, by its UID.
    pub removals: &'a BTreeMap<String, RemovalPace>,
    /// NodeENIs of a file that the API server would refuse, by name, with its message.
    pub refused: &'a BTreeMap<String, String>,
    /// Times and limits.
    pub settings: &'a Settings,
    /// The time of the decisions.
    pub now: Timestamp,
}

impl Input<'_> {
    /// Number of Nodes that a NodeENI matches.
    pub(super) fn matched(&self, uid: &str) -> usize {
        self.assignments.values().filter(|assignment| assignment.matches(uid)).count()
    }
}

//! What an account is given: the observed state, the plans of `assign` and the steps of `lifecycle`.

use crate::assign::Assignment;
use crate::attachment::Attachment;
use crate::lifecycle::{Change, Step};
use crate::nodeeni::NodeEni;
use crate::observed::{Cluster, Ec2Catalog, Observation, ObservedEni, ObservedNode};
use crate::removals::RemovalPace;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// An ENIAttachment with what is known and decided of it.
#[derive(Debug, Clone)]
pub struct ExplainedAttachment {
    /// The attachment.
    pub attachment: Attachment,
    /// What EC2 shows of it.
    pub observation: Observation,
    /// Its next step.
    pub step: Step,
    /// What would be changed in place.
    pub changes: Vec<Change>,
}

/// All that is told.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Who we are.
    pub cluster: &'a Cluster,
    /// All Nodes.
    pub nodes: &'a [&'a ObservedNode],
    /// All NodeENIs.
    pub nodeenis: &'a [&'a NodeEni],
    /// All ENIAttachments.
    pub attachments: &'a [ExplainedAttachment],
    /// What `assign` answered, by Node.
    pub assignments: &'a BTreeMap<String, Assignment>,
    /// What is known of subnets.
    pub catalog: &'a Ec2Catalog,
    /// ENIs that carry this cluster's tag.
    pub owned: &'a [ObservedEni],
    /// ENIs that carry upstream's tags, wherever they are.
    pub upstreams: &'a [ObservedEni],
    /// The pace of each NodeENI's removals, by its UID.
    pub removals: &'a BTreeMap<String, RemovalPace>,
    /// NodeENIs that the API server would not take, and its words: of a file.
    pub refused: &'a BTreeMap<String, String>,
    /// Graces.
    pub settings: &'a Settings,
}

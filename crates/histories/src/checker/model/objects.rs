//! The objects of the model: what EC2 and the API server hold of each, and since when.

use crate::script::{Millis, Placement};
use multi_eni_api::NodeEniSpec;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::ObservedEni;
use multi_eni_plan::string_map::StringMap;
use serde_json::Value;
use std::collections::BTreeMap;

/// A network interface of the model.
#[derive(Debug, Clone)]
pub struct ModelEni {
    /// Its current state.
    pub current: ObservedEni,
    /// The UID of the ENIAttachment for which a replica created or adopted it, whatever its tags say since.
    pub made_for: Option<String>,
    /// The tags with which it was created.
    pub made_with: StringMap,
    /// The ClientToken with which it was created.
    pub token: Option<String>,
    /// When something other than a replica last changed it: someone by hand, or the end of its instance.
    pub disturbed: Millis,
    /// Since when its tags do not say that it is this cluster's.
    pub untagged: Option<Millis>,
    /// When someone put missing ownership tags back.
    pub retagged: Option<Millis>,
    /// Since when it has no ENIAttachment.
    pub orphaned: Option<Millis>,
    /// Whether its ENIAttachment was being deleted when the ENIAttachment went.
    pub left_leaving: bool,
    /// Since when its attachment is in its current state.
    pub state_since: Millis,
    /// The attachment for which EC2 accepted a plain Detach, and when EC2 accepted the first one.
    pub detached: Option<(String, Millis)>,
}

/// A Node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelNode {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The ID of its instance.
    pub instance: String,
    /// Its zone.
    pub zone: String,
    /// Where in the account its instance is.
    pub placement: Placement,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// Whether it can never have an ENI.
    pub is_unsupported: bool,
    /// The ID of its boot; empty if it shows none.
    pub boot: String,
}

/// A NodeENI.
#[derive(Debug, Clone)]
pub struct ModelNodeEni {
    /// Its UID.
    pub uid: String,
    /// Its spec; None if it cannot be read.
    pub spec: Option<NodeEniSpec>,
    /// Its creationTimestamp.
    pub created: String,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// The whole object.
    pub object: Value,
}

/// The spec of a NodeENI before its last change.
#[derive(Debug, Clone)]
pub struct FormerSpec {
    /// The spec; None if it cannot be read.
    pub spec: Option<NodeEniSpec>,
    /// Since when the NodeENI had it.
    pub since: Millis,
}

/// An ENIAttachment.
#[derive(Debug, Clone)]
pub struct ModelAttachment {
    /// Its current state.
    pub attachment: Attachment,
    /// Since when it exists.
    pub since: Millis,
    /// Since when it has its present generation.
    pub generation_since: Millis,
    /// When something other than a replica last changed it.
    pub disturbed: Millis,
    /// Since when it is being deleted.
    pub deleting_since: Option<Millis>,
    /// Whether a driver for DPDK had its device when its deletion began. Whoever knows of the deletion knows this.
    pub bound_when_deleted: bool,
}

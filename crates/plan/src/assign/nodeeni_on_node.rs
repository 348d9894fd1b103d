//! One NodeENI on one Node that its selector matches: what the desired ENIAttachments there are determined from. This file decides
//! nothing.

use crate::attachment::Attachment;
use crate::nodeeni::{EniSpec, NodeEni};
use crate::observed::ObservedNode;

/// A NodeENI on a Node.
#[derive(Clone, Copy)]
pub(super) struct NodeEniOnNode<'n> {
    /// The Node.
    pub node: &'n ObservedNode,
    /// The NodeENI.
    pub nodeeni: &'n NodeEni,
    /// Its spec.
    pub spec: &'n EniSpec,
    /// Its ENIAttachments on the Node's instance, also those that cannot be read.
    pub mine: &'n [&'n Attachment],
}

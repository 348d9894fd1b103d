//! The API group `networking.k8s.aws/v1alpha1`: [`NodeENI`], [`ENIAttachment`], their conditions, names and EC2 tags,
//! and the CRDs generated from them. No client and no decision lives here.

#![allow(clippy::duplicated_attributes, reason = "kube's printcolumn(name = …) repeats its keys by design")]

pub mod conditions;
pub mod crds;
pub mod eniattachment;
pub mod ids;
pub mod names;
pub mod nodeeni;
#[cfg(test)]
mod reference;
mod schema;

pub use eniattachment::{ENIAttachment, EniAttachmentSpec, EniAttachmentStatus, EniRequest, NodeSettings};
pub use nodeeni::{NodeENI, NodeEniSpec, NodeEniStatus};

//! The API resources and names that a history uses.

use multi_eni_api::names::GROUP;
use multi_eni_sim::kube::GroupResource;

/// Nodes.
pub fn nodes() -> GroupResource {
    GroupResource::new("", "nodes")
}

/// NodeENIs.
pub fn nodeenis() -> GroupResource {
    GroupResource::new(GROUP, "nodeenis")
}

/// ENIAttachments.
pub fn eniattachments() -> GroupResource {
    GroupResource::new(GROUP, "eniattachments")
}

/// Pods. All are in the namespace default.
pub fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

/// The annotation with which a Pod names the NodeENI that it uses.
pub const POD_ANNOTATION: &str = "example.com/nodeenis";

/// The namespace of the Lease.
pub const LEASE_NAMESPACE: &str = "kube-system";

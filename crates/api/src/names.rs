//! Names on the API server and on EC2: finalizers, the field manager, labels, annotations and tags, and the names of
//! ENIAttachments.

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The API group of both kinds.
pub const GROUP: &str = "networking.k8s.aws";
/// The one served version.
pub const VERSION: &str = "v1alpha1";

/// Keeps a NodeENI until its last ENI is gone. It is upstream's name, so that upstream's objects can be adopted as they are.
pub const NODEENI_FINALIZER: &str = "nodeeni.networking.k8s.aws/finalizer";
/// Keeps an ENIAttachment until EC2 confirms that its ENI is gone.
pub const ENIATTACHMENT_FINALIZER: &str = "networking.k8s.aws/eni";

/// Field manager of all writes of the controller.
pub const FIELD_MANAGER: &str = "multi-eni-controller";

/// Field manager of all writes of the node agent.
pub const AGENT_FIELD_MANAGER: &str = "multi-eni-agent";

/// Annotation on a NodeENI with which an operator allows paced removals at once. Its value is the generation of the spec: another
/// edit is paced again.
pub const ANNOTATION_ALLOW_REMOVALS: &str = "multi-eni.networking.k8s.aws/allow-removals";

/// Annotation on a NodeENI or an ENIAttachment with which a user asks for a new try of what waits after a refusal. Each new value
/// asks once; by convention it is the time, as RFC 3339. On a NodeENI it asks for all its ENIAttachments too.
pub const ANNOTATION_RECONCILE_AT: &str = "networking.k8s.aws/reconcile-at";

/// Annotation on an ENIAttachment: since when its Node no longer asks for its ENI, as RFC 3339 in whole seconds. The ENIAttachment keeps
/// its slot during the grace period.
pub const ANNOTATION_DESELECTED_SINCE: &str = "multi-eni.networking.k8s.aws/deselected-since";

/// Taint of a Node on which Pods must not start before its ENIs are Ready. The controller removes the taint, whatever its value and
/// effect.
pub const STARTUP_TAINT: &str = "networking.k8s.aws/eni-not-ready";

/// The part before the slash of a `dpdkResourceName` that has none. It is that of upstream and of the SR-IOV network device plugin.
const DEFAULT_RESOURCE_PREFIX: &str = "intel.com";

/// Label on an ENIAttachment: the UID of its NodeENI.
pub const LABEL_NODEENI_UID: &str = "networking.k8s.aws/nodeeni-uid";

/// EC2 tag: UID of the namespace kube-system. Together with [`TAG_ATTACHMENT_UID`] it decides ownership; no other tag does.
pub const TAG_CLUSTER: &str = "multi-eni.networking.k8s.aws/cluster";
/// EC2 tag: the readable name of the cluster. It decides nothing.
pub const TAG_CLUSTER_NAME: &str = "multi-eni.networking.k8s.aws/cluster-name";
/// EC2 tag: name of the NodeENI.
pub const TAG_NODEENI: &str = "multi-eni.networking.k8s.aws/nodeeni";
/// EC2 tag: UID of the NodeENI.
pub const TAG_NODEENI_UID: &str = "multi-eni.networking.k8s.aws/nodeeni-uid";
/// EC2 tag: name of the Node.
pub const TAG_NODE: &str = "multi-eni.networking.k8s.aws/node";
/// EC2 tag: UID of the ENIAttachment.
pub const TAG_ATTACHMENT_UID: &str = "multi-eni.networking.k8s.aws/eniattachment-uid";
/// EC2 tag with which the VPC CNI ignores an ENI (value `true`).
pub const TAG_NO_MANAGE: &str = "node.k8s.amazonaws.com/no_manage";
/// EC2 tag that the AWS VPC CNI sets on the ENIs that it makes or manages, the primary one included; the value is the instance.
pub const TAG_VPC_CNI_INSTANCE: &str = "node.k8s.amazonaws.com/instance_id";
/// The beginning of the description of an ENI that the AWS VPC CNI made.
pub const VPC_CNI_DESCRIPTION: &str = "aws-K8S-";

/// EC2 tag of the controller johnlam90/aws-multi-eni-controller ("upstream"), with the value [`UPSTREAM_MANAGER`]. Upstream's
/// ENIs have no tag that names a cluster.
pub const UPSTREAM_TAG_MANAGED_BY: &str = "kubernetes.io/cluster/managed-by";
/// The value of [`UPSTREAM_TAG_MANAGED_BY`].
pub const UPSTREAM_MANAGER: &str = "nodeeni-controller";
/// Upstream's EC2 tag: name of the NodeENI.
pub const UPSTREAM_TAG_NODEENI: &str = "NodeENI";
/// Upstream's EC2 tag: name of the Node.
pub const UPSTREAM_TAG_NODE: &str = "Node";

/// The most tags that an ENI can have on EC2. Eight of them are the controller's own.
pub const EC2_TAG_LIMIT: usize = 50;

/// The name of the ENIAttachment for one slot: a readable part, made unique by a digest of the NodeENI's UID.
///
/// A NodeENI that is deleted and created again has a new UID, and so new names. The same slot of the same NodeENI always has the
/// same name, so that `AlreadyExists` prevents a second ENIAttachment for it.
pub fn attachment_name(nodeeni: &str, nodeeni_uid: &str, instance: &str, card: i32, index: i32) -> String {
    let readable: String = nodeeni.chars().take(100).collect();
    let readable = readable.trim_end_matches(['.', '-']);
    format!("{readable}-{}-{instance}-{card}-{index}", short_digest(nodeeni_uid))
}

/// The ClientToken of Create number `attempt` for an ENIAttachment. It has at most 64 characters, EC2's limit.
pub fn client_token(attachment_uid: &str, attempt: i32) -> String {
    let token = format!("{attachment_uid}-{attempt}");
    if token.len() <= 64 { token } else { format!("{}-{attempt}", hex(&Sha256::digest(attachment_uid)[..16])) }
}

/// Eight hex digits of the SHA-256 digest.
pub fn short_digest(text: &str) -> String {
    hex(&Sha256::digest(text)[..4])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String never fails.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The name of the extended resource under which pods request an interface with this `dpdkResourceName`.
pub fn full_resource_name(name: &str) -> Cow<'_, str> {
    if name.contains('/') { Cow::Borrowed(name) } else { Cow::Owned(format!("{DEFAULT_RESOURCE_PREFIX}/{name}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_readable_and_differ_by_uid_and_slot() {
        let name = attachment_name("nodeeni-subnet-a", "uid-1", "i-0123456789abcdef0", 0, 1);
        assert_eq!(name, attachment_name("nodeeni-subnet-a", "uid-1", "i-0123456789abcdef0", 0, 1));
        assert!(name.starts_with("nodeeni-subnet-a-") && name.ends_with("-i-0123456789abcdef0-0-1"), "{name}");
        assert_ne!(name, attachment_name("nodeeni-subnet-a", "uid-2", "i-0123456789abcdef0", 0, 1));
        assert_ne!(name, attachment_name("nodeeni-subnet-a", "uid-1", "i-0123456789abcdef0", 0, 2));
        assert!(attachment_name(&"x".repeat(253), "uid-1", "i-0123456789abcdef0", 0, 1).len() <= 253);
    }

    #[test]
    fn a_token_fits_ec2s_64_characters() {
        assert_eq!(client_token("5f0c6a9e-0d5e-4b0e-9a53-0f4b7f1f2a11", 3), "5f0c6a9e-0d5e-4b0e-9a53-0f4b7f1f2a11-3");
        assert!(client_token(&"u".repeat(80), i32::MAX).len() <= 64);
    }
}

//! The tags of an ENI: the tags of the user, and the tags that identify the ENIAttachment of the ENI.

use super::input::Input;
use crate::attachment::Attachment;
use crate::observed::{Cluster, ObservedEni};
use std::collections::BTreeMap;

/// All tags of a new ENI: the tags of the user, as the request stores them, and the controller's tags, which take
/// precedence.
pub fn tags(cluster: &Cluster, attachment: &Attachment) -> BTreeMap<String, String> {
    tags_with(cluster, attachment, &attachment.request.tags)
}

/// All tags of an ENI with these tags of the user.
pub(super) fn tags_with(
    cluster: &Cluster,
    attachment: &Attachment,
    users: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    use multi_eni_api::names as n;
    let mut tags = users.clone();
    let ours = [
        (n::TAG_CLUSTER, cluster.uid.as_str()),
        (n::TAG_CLUSTER_NAME, cluster.name.as_str()),
        (n::TAG_NODEENI, attachment.nodeeni.as_str()),
        (n::TAG_NODEENI_UID, attachment.nodeeni_uid.as_str()),
        (n::TAG_NODE, attachment.node.as_str()),
        (n::TAG_ATTACHMENT_UID, attachment.uid.as_str()),
        (n::TAG_NO_MANAGE, "true"),
    ];
    // EC2 allows 256 characters in a value. Two Kubernetes names can have twice as many.
    let value = |text: &str| text.chars().take(256).collect::<String>();
    tags.entry("Name".to_owned()).or_insert_with(|| value(&format!("{}-{}", attachment.nodeeni, attachment.node)));
    tags.extend(ours.map(|(key, text)| (key.to_owned(), value(text))));
    tags
}

/// Whether the ENI's tags name this cluster and this ENIAttachment. Apart from an adoption, which sets these tags, no
/// other ENI is ever changed.
pub(super) fn is_ours(input: &Input<'_>, eni: &ObservedEni) -> bool {
    eni.is_of(input.cluster) && eni.attachment_uid() == Some(input.attachment.uid.as_str())
}

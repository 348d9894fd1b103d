//! The ENIs that the audit of EC2 found, and what to do about each. It is given what EC2 shows and the ENIAttachments that are
//! left, and calls nothing.

use super::objects::AttachmentObject;
use super::removal::Scope;
use multi_eni_api::names::{TAG_NODE, TAG_NODEENI};
use multi_eni_plan::observed::{AttachmentState, ObservedEni};

/// An ENI with this cluster's ownership tag that EC2 still shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftEni {
    /// Its ID.
    pub id: String,
    /// The NodeENI that its tags name; empty if they name none.
    pub nodeeni: String,
    /// The Node that its tags name; empty if they name none.
    pub node: String,
    /// Its state on EC2.
    pub state: String,
    /// What a person can do.
    pub advice: String,
}

/// The ENIs of the scope among those that EC2 shows, in the order of their IDs.
pub(super) fn left(scope: &Scope, enis: &[ObservedEni], attachments: &[&AttachmentObject]) -> Vec<LeftEni> {
    let meant = enis.iter().filter(|eni| match scope {
        Scope::Cluster => true,
        Scope::NodeEni(name) => eni.tags.get(TAG_NODEENI) == Some(name.as_str()),
    });
    let mut left: Vec<LeftEni> = meant.map(|eni| one(eni, attachments)).collect();
    left.sort_by(|one, other| one.id.cmp(&other.id));
    left
}

fn one(eni: &ObservedEni, attachments: &[&AttachmentObject]) -> LeftEni {
    let tag = |key: &str| eni.tags.get(key).unwrap_or_default().to_owned();
    LeftEni {
        id: eni.id.to_string(),
        nodeeni: tag(TAG_NODEENI),
        node: tag(TAG_NODE),
        state: state(eni),
        advice: advice(eni, attachments),
    }
}

fn state(eni: &ObservedEni) -> String {
    let Some(at) = &eni.attachment else {
        return if eni.in_use_since.is_some() { "in use, without a visible attachment" } else { "available" }
            .to_owned();
    };
    let state = match at.state {
        AttachmentState::Attaching => "attaching",
        AttachmentState::Attached => "attached",
        AttachmentState::Detaching => "detaching",
    };
    let instance = at.instance.as_ref().map_or_else(|| "an instance".to_owned(), ToString::to_string);
    format!("{state}, {instance}, device index {}", at.index)
}

fn advice(eni: &ObservedEni, attachments: &[&AttachmentObject]) -> String {
    let id = eni.id.to_string();
    let holder = attachments.iter().find(|attachment| {
        eni.attachment_uid() == Some(attachment.uid.as_str()) || attachment.eni.as_deref() == Some(id.as_str())
    });
    if let Some(holder) = holder {
        return format!("its ENIAttachment {} is left: kubectl describe eniattachment {}", holder.name, holder.name);
    }
    let delete = format!("aws ec2 delete-network-interface --network-interface-id {id}");
    let by_hand = match &eni.attachment {
        Some(at) => {
            format!("aws ec2 detach-network-interface --attachment-id {}, then {delete}", at.id)
        }
        None => delete,
    };
    format!(
        "no ENIAttachment of it is left: a running controller removes it as an orphan within minutes; without one: {by_hand}"
    )
}

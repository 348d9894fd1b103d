//! The ENIs that the audit of EC2 found, and what to do about each. It is given what EC2 shows, the ENIAttachments that are left,
//! and what the controller does with the orphans, and calls nothing.

use super::objects::AttachmentObject;
use super::removal::Scope;
use multi_eni_api::ids::EniId;
use multi_eni_api::names::{TAG_NODE, TAG_NODEENI};
use multi_eni_plan::message_time::second;
use multi_eni_plan::observed::{AttachmentState, ObservedEni};
use multi_eni_plan::orphans::{Kept, RemovalEstimates};

/// An ENI with this cluster's ownership tag that EC2 still shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftEni {
    /// Its ID.
    pub id: EniId,
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
pub(super) fn left(
    scope: &Scope,
    enis: &[ObservedEni],
    attachments: &[&AttachmentObject],
    orphans: &RemovalEstimates,
) -> Vec<LeftEni> {
    let mut left: Vec<LeftEni> = scope.enis(enis).map(|eni| one(eni, attachments, orphans)).collect();
    left.sort_by(|one, other| one.id.cmp(&other.id));
    left
}

fn one(eni: &ObservedEni, attachments: &[&AttachmentObject], orphans: &RemovalEstimates) -> LeftEni {
    let tag = |key: &str| eni.tags.get(key).unwrap_or_default().to_owned();
    LeftEni {
        id: eni.id.clone(),
        nodeeni: tag(TAG_NODEENI),
        node: tag(TAG_NODE),
        state: state(eni),
        advice: advice(eni, attachments, orphans),
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

fn advice(eni: &ObservedEni, attachments: &[&AttachmentObject], orphans: &RemovalEstimates) -> String {
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
    match (orphans.kept.get(&eni.id), orphans.removed_by.get(&eni.id)) {
        (Some(kept @ Kept::TooMany(_)), _) => kept.sentence(),
        (Some(kept), _) => format!("{}. If nothing uses it: {by_hand}", kept.sentence()),
        (None, Some(by)) => format!(
            "no ENIAttachment of it is left: a running controller removes it as an orphan, by {}. If it is left after that, the \
             controller's log says what EC2 refuses. Without a controller: {by_hand}",
            second(*by)
        ),
        (None, None) => format!(
            "no ENIAttachment of it is left: a running controller removes it as an orphan within minutes; without one: {by_hand}"
        ),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::removal::tests::attachment;
    use super::*;
    use jiff::Timestamp;
    use multi_eni_api::ConnectionTracking;
    use multi_eni_api::ids::InstanceId;
    use multi_eni_api::names::TAG_ATTACHMENT_UID;
    use multi_eni_plan::observed::{ObservedAttachment, ObservedIpv6};

    /// A free ENI of NodeENI a whose tags name the ENIAttachment with the UID `lost`.
    pub fn eni() -> ObservedEni {
        ObservedEni {
            id: EniId::parse("eni-0aaaaaaaaaaaaaaa1").unwrap(),
            subnet: None,
            vpc: "".into(),
            zone: "".into(),
            owner: "".into(),
            operator: None,
            mac: "".into(),
            private_ips: Vec::new(),
            ipv4_prefixes: Vec::new(),
            ipv6: ObservedIpv6::default(),
            groups: Vec::new(),
            description: String::new(),
            source_dest_check: true,
            connection_tracking: ConnectionTracking::default(),
            tags: [(TAG_NODEENI, "a"), (TAG_NODE, "n1"), (TAG_ATTACHMENT_UID, "lost")].into(),
            attachment: None,
            in_use_since: None,
            shown_at: Timestamp::UNIX_EPOCH,
            last_call: None,
        }
    }

    /// The same attached to this instance.
    pub fn attached(instance: &str) -> ObservedEni {
        let attachment = ObservedAttachment {
            id: "eni-attach-1".into(),
            instance: InstanceId::parse(instance).ok(),
            card: 0,
            index: 1,
            state: AttachmentState::Attached,
            since: Timestamp::UNIX_EPOCH,
            delete_on_termination: true,
        };
        ObservedEni { attachment: Some(attachment), ..eni() }
    }

    #[test]
    fn of_one_nodeeni_only_its_enis_are_left() {
        let mut other = eni();
        (other.id, other.tags) =
            (EniId::parse("eni-0bbbbbbbbbbbbbbb1").unwrap(), [(TAG_NODEENI, "b"), (TAG_NODE, "n1")].into());
        let ids = |scope: Scope| {
            let found = left(&scope, &[other.clone(), eni()], &[], &RemovalEstimates::default());
            found.into_iter().map(|eni| eni.nodeeni).collect::<Vec<_>>()
        };
        assert_eq!(ids(Scope::Cluster), ["a", "b"]);
        assert_eq!(ids(Scope::NodeEni("a".into())), ["a"]);
        assert_eq!(ids(Scope::NodeEni("b".into())), ["b"]);
    }

    #[test]
    fn each_eni_that_is_left_has_its_advice() {
        let said = |eni: ObservedEni, holders: &[&AttachmentObject], orphans: &RemovalEstimates| {
            left(&Scope::Cluster, &[eni], holders, orphans).remove(0)
        };
        let mut estimates = RemovalEstimates::default();
        estimates.removed_by.insert(eni().id, Timestamp::UNIX_EPOCH);
        let one = said(eni(), &[], &estimates);
        assert_eq!((one.state.as_str(), one.nodeeni.as_str(), one.node.as_str()), ("available", "a", "n1"));
        assert!(one.advice.contains("removes it as an orphan, by 1970-01-01T00:00:00Z."), "{}", one.advice);
        let by_hand =
            "Without a controller: aws ec2 delete-network-interface --network-interface-id eni-0aaaaaaaaaaaaaaa1";
        assert!(one.advice.ends_with(by_hand), "{}", one.advice);

        let kept = RemovalEstimates { kept: [(eni().id, Kept::Untagged)].into(), ..RemovalEstimates::default() };
        let one = said(attached("i-0aaaaaaaaaaaaaaa1"), &[], &kept);
        assert_eq!(one.state, "attached, i-0aaaaaaaaaaaaaaa1, device index 1");
        let by_hand =
            "If nothing uses it: aws ec2 detach-network-interface --attachment-id eni-attach-1, then aws ec2 delete-";
        assert!(one.advice.contains(by_hand), "{}", one.advice);

        let holder = attachment("lost", "n1", "a");
        let advice = said(eni(), &[&holder], &RemovalEstimates::default()).advice;
        assert_eq!(advice, "its ENIAttachment a-n1 is left: kubectl describe eniattachment a-n1");
        assert_eq!(left(&Scope::NodeEni("b".into()), &[eni()], &[], &estimates), []);
    }
}

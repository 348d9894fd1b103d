//! What is removed, and when the removal is over. It is given the objects as the watches show them, and calls nothing.

use super::listing::Listing;
use super::objects::{AttachmentObject, NodeEniObject};
use multi_eni_api::names::TAG_NODEENI;
use multi_eni_plan::observed::ObservedEni;
use std::collections::{BTreeMap, BTreeSet};

/// What the user asked to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything of this cluster.
    Cluster,
    /// One NodeENI, by name.
    NodeEni(String),
}

impl Scope {
    /// Whether a NodeENI of this name is meant.
    pub fn names(&self, nodeeni: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::NodeEni(name) => name == nodeeni,
        }
    }

    /// Those of the ENIs that are meant.
    pub fn enis<'a>(&'a self, enis: &'a [ObservedEni]) -> impl Iterator<Item = &'a ObservedEni> {
        enis.iter().filter(move |eni| match self {
            Self::Cluster => true,
            Self::NodeEni(name) => eni.tags.get(TAG_NODEENI) == Some(name.as_str()),
        })
    }
}

/// A removal: the NodeENIs and ENIAttachments that were there when it began, and what is left of them.
#[derive(Debug)]
pub(super) struct Removal {
    /// What the user asked to remove.
    pub scope: Scope,
    /// All NodeENIs now.
    pub nodeenis: Listing<NodeEniObject>,
    /// All ENIAttachments now.
    pub attachments: Listing<AttachmentObject>,
    /// Names of the NodeENIs to remove, by UID.
    targets: BTreeMap<String, String>,
    /// UIDs of the ENIAttachments that must go: those at the beginning, and those that its NodeENIs got since.
    seen: BTreeSet<String>,
    /// UIDs of those among them that have shown an ENI. The status of a leaving ENIAttachment may lose its ENI at the end.
    with_eni: BTreeSet<String>,
}

impl Removal {
    /// A removal of which nothing is known yet.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            nodeenis: Listing::default(),
            attachments: Listing::default(),
            targets: BTreeMap::new(),
            seen: BTreeSet::new(),
            with_eni: BTreeSet::new(),
        }
    }

    /// Whether both first lists are complete.
    pub fn is_known(&self) -> bool {
        self.nodeenis.is_complete && self.attachments.is_complete
    }

    /// Fixes what is removed: what is there now. What somebody creates later is not removed, except further ENIAttachments of
    /// these NodeENIs.
    pub fn begin(&mut self) {
        let meant = self.nodeenis.items.values().filter(|nodeeni| self.scope.names(&nodeeni.name));
        self.targets = meant.map(|nodeeni| (nodeeni.uid.clone(), nodeeni.name.clone())).collect();
        let known: BTreeSet<&str> = self.nodeenis.items.keys().map(String::as_str).collect();
        let meant = self.attachments.items.values().filter(|attachment| {
            // An ENIAttachment of a former NodeENI of this name is meant too.
            let is_orphaned = !known.contains(attachment.nodeeni_uid.as_str());
            self.targets.contains_key(&attachment.nodeeni_uid) || is_orphaned && self.scope.names(&attachment.nodeeni)
        });
        self.seen = meant.map(|attachment| attachment.uid.clone()).collect();
        self.note_enis();
    }

    /// Notes the ENIAttachments that the NodeENIs got since the beginning, and the ENIs of all.
    pub fn note_new(&mut self) {
        let new = self.attachments.items.values().filter(|item| self.targets.contains_key(&item.nodeeni_uid));
        self.seen.extend(new.map(|item| item.uid.clone()));
        self.note_enis();
    }

    fn note_enis(&mut self) {
        let all = self.attachments.items.values();
        let has_eni = all.filter(|item| item.eni.is_some() && self.seen.contains(&item.uid));
        self.with_eni.extend(has_eni.map(|item| item.uid.clone()));
    }

    /// The NodeENIs to remove that are still there.
    pub fn nodeenis_left(&self) -> Vec<&NodeEniObject> {
        self.nodeenis.items.values().filter(|nodeeni| self.targets.contains_key(&nodeeni.uid)).collect()
    }

    /// The ENIAttachments that must go and are still there, in the order of their names.
    pub fn attachments_left(&self) -> Vec<&AttachmentObject> {
        let all = self.attachments.items.values();
        let mut left: Vec<_> = all.filter(|attachment| self.seen.contains(&attachment.uid)).collect();
        left.sort_by(|one, other| one.name.cmp(&other.name));
        left
    }

    /// Whether an ENIAttachment that must go has an ENI, or had one when it was last shown with one.
    pub fn has_eni(&self, attachment: &AttachmentObject) -> bool {
        self.with_eni.contains(&attachment.uid)
    }

    /// Number of ENIs that must go, in all. An ENIAttachment without an ENI, such as one whose subnet is full, is not counted.
    pub fn enis(&self) -> usize {
        self.with_eni.len()
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.nodeenis_left().is_empty() && self.attachments_left().is_empty()
    }

    /// NodeENIs that somebody created since the beginning, such as GitOps: their ENIs are attached again.
    pub fn created_since(&self) -> Vec<&str> {
        let new = self.nodeenis.items.values().filter(|nodeeni| {
            !self.targets.contains_key(&nodeeni.uid) && !nodeeni.deleting && self.scope.names(&nodeeni.name)
        });
        new.map(|nodeeni| nodeeni.name.as_str()).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::watch::Watched;

    pub fn nodeeni(name: &str, uid: &str) -> NodeEniObject {
        NodeEniObject { name: name.into(), uid: uid.into(), deleting: false, message: String::new() }
    }

    pub fn attachment(uid: &str, node: &str, nodeeni: &str) -> AttachmentObject {
        AttachmentObject {
            uid: uid.into(),
            name: format!("{nodeeni}-{node}"),
            node: node.into(),
            nodeeni: nodeeni.into(),
            nodeeni_uid: format!("{nodeeni}-uid"),
            eni: Some(format!("eni-{uid}")),
            index: 1,
            deleting: true,
            blocked: false,
            is_current: true,
            message: "Detaching: EC2 detaches it".into(),
        }
    }

    /// A removal that has begun, of NodeENIs with the UID `NAME-uid`.
    pub fn begun(scope: Scope, nodeenis: &[&str], attachments: &[AttachmentObject]) -> Removal {
        let mut removal = Removal::new(scope);
        for name in nodeenis {
            let uid = format!("{name}-uid");
            removal.nodeenis.take(Watched::Apply((uid.clone(), nodeeni(name, &uid))));
        }
        for item in attachments {
            removal.attachments.take(Watched::Apply((item.uid.clone(), item.clone())));
        }
        removal.begin();
        removal
    }

    fn gone<T>(uid: &str) -> Watched<(String, T)> {
        Watched::Delete { name: String::new(), uid: uid.into(), version: String::new() }
    }

    #[test]
    fn it_is_over_when_the_nodeenis_and_their_eniattachments_are_gone() {
        let all = [attachment("1", "n1", "a"), attachment("2", "n2", "a"), attachment("3", "n1", "b")];
        let mut removal = begun(Scope::NodeEni("a".into()), &["a", "b"], &all);
        assert_eq!((removal.enis(), removal.attachments_left().len()), (2, 2));
        removal.attachments.take(gone("1"));
        removal.attachments.take(gone("2"));
        assert!(!removal.is_over(), "the NodeENI still has its finalizer");
        removal.nodeenis.take(gone("a-uid"));
        assert!(removal.is_over() && removal.created_since().is_empty(), "the NodeENI b stays");
    }

    #[test]
    fn what_is_created_afterwards_is_named_and_not_waited_for() {
        let mut removal = begun(Scope::Cluster, &["a"], &[attachment("1", "n1", "a")]);
        let late = attachment("2", "n2", "a");
        removal.attachments.take(Watched::Apply(("2".into(), late)));
        removal.note_new();
        assert_eq!(removal.enis(), 2, "the NodeENI got one more before it was deleted");
        for uid in ["1", "2"] {
            removal.attachments.take(gone(uid));
        }
        removal.nodeenis.take(gone("a-uid"));
        let mut again = attachment("3", "n1", "a");
        again.nodeeni_uid = "other".into();
        removal.attachments.take(Watched::Apply(("3".into(), again)));
        removal.nodeenis.take(Watched::Apply(("other".into(), nodeeni("a", "other"))));
        removal.note_new();
        assert!(removal.is_over());
        assert_eq!(removal.created_since(), ["a"]);
    }

    #[test]
    fn an_eniattachment_whose_nodeeni_is_gone_is_waited_for() {
        let removal = begun(Scope::Cluster, &[], &[attachment("1", "n1", "a")]);
        assert!(!removal.is_over());
        let removal = begun(Scope::NodeEni("b".into()), &[], &[attachment("1", "n1", "a")]);
        assert!(removal.is_over(), "it is of another NodeENI");
    }
}

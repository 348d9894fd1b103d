//! The truth, followed change by change: what EC2 and the API server really hold, and since when.

use super::allowed::PICTURE;
use crate::environment::POD_ANNOTATION;
use crate::script::Millis;
use multi_eni_api::ids::EniId;
use multi_eni_api::names::{
    TAG_ATTACHMENT_UID, TAG_CLUSTER, TAG_NODEENI, TAG_NODEENI_UID, UPSTREAM_MANAGER, UPSTREAM_TAG_MANAGED_BY,
    UPSTREAM_TAG_NODEENI,
};
use multi_eni_api::{ENIAttachment, NodeEniSpec};
use multi_eni_controller::sandbox::ec2_state;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::{AttachmentState, ObservedEni};
use multi_eni_plan::string_map::StringMap;
use multi_eni_sim::ec2::Eni;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An interface.
#[derive(Debug, Clone)]
pub struct EniTruth {
    /// As it is.
    pub seen: ObservedEni,
    /// The ENIAttachment whose token made it, if a replica made it, or that took it over; whatever its tags say since.
    pub made_for: Option<String>,
    /// The tags with which it was made.
    pub made_with: StringMap,
    /// The token that made it.
    pub token: Option<String>,
    /// When somebody last changed it who is not a replica: by hand, or an instance that went.
    pub disturbed: Millis,
    /// Since when its tags no longer say that it is ours.
    pub untagged: Option<Millis>,
    /// When somebody put them back, if they had been missing.
    pub retagged: Option<Millis>,
    /// Since when no ENIAttachment knows it.
    pub orphaned: Option<Millis>,
    /// Its ENIAttachment was on its way out already when it went.
    pub left_leaving: bool,
    /// Since when it is in the state of attachment in which it is.
    pub state_since: Millis,
    /// The attachment of which EC2 accepted a plain Detach, and when it did so first.
    pub detached: Option<(String, Millis)>,
}

/// A Node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeTruth {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its instance.
    pub instance: String,
    /// Its zone.
    pub zone: String,
    /// It has a deletionTimestamp.
    pub deleting: bool,
}

/// A NodeENI.
#[derive(Debug, Clone)]
pub struct NodeEniTruth {
    /// Its UID.
    pub uid: String,
    /// Its spec; None if it cannot be read.
    pub spec: Option<NodeEniSpec>,
    /// When it was created, and by which name it is ordered.
    pub created: String,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// The whole object.
    pub object: Value,
}

/// An ENIAttachment.
#[derive(Debug, Clone)]
pub struct AttachmentTruth {
    /// As it is.
    pub attachment: Attachment,
    /// Since when it is there.
    pub since: Millis,
    /// When somebody last changed it who is not a replica.
    pub disturbed: Millis,
    /// Since when it is being deleted.
    pub deleting_since: Option<Millis>,
}

/// The truth.
#[derive(Debug, Default)]
pub struct Model {
    /// Interfaces by ID.
    pub enis: BTreeMap<String, EniTruth>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeTruth>,
    /// When a Node's name last stood for something else.
    pub nodes_changed: BTreeMap<String, Millis>,
    /// NodeENIs by name.
    pub nodeenis: BTreeMap<String, NodeEniTruth>,
    /// When a NodeENI's spec (by UID) last changed.
    pub nodeenis_changed: BTreeMap<String, Millis>,
    /// ENIAttachments by name.
    pub attachments: BTreeMap<String, AttachmentTruth>,
    /// Pods by name: since when they are there, their Node, and the NodeENI that they use.
    pub pods: BTreeMap<String, (Millis, String, String)>,
    /// UIDs of all ENIAttachments, to their names.
    pub uids: BTreeMap<String, String>,
    /// By UID the ENIAttachments that somebody else than a replica removed, as they last were, and when: a replica that has not
    /// heard of it goes on with them.
    pub torn: BTreeMap<String, (Millis, Attachment)>,
    /// When an instance's slots or state were last changed by others.
    pub instances_changed: BTreeMap<String, Millis>,
}

impl Model {
    /// Follows an interface. `by_replica`: a replica's call made the change.
    pub fn eni(&mut self, at: Millis, cluster: &str, id: &str, after: Option<&Eni>, by_replica: bool, by_hand: bool) {
        let before = self.enis.remove(id);
        let instance =
            |eni: &ObservedEni| eni.attachment.as_ref().and_then(|a| a.instance.clone()).map(|i| i.to_string());
        let Some(seen) = after.and_then(ec2_state::seen) else {
            if let Some(instance) = before.as_ref().and_then(|eni| instance(&eni.seen)).filter(|_| by_hand) {
                self.instances_changed.insert(instance, at);
            }
            return;
        };
        let Some(after) = after else { return };
        if by_hand {
            for place in [instance(&seen), before.as_ref().and_then(|eni| instance(&eni.seen))].into_iter().flatten() {
                self.instances_changed.insert(place, at);
            }
        }
        let state = |eni: &ObservedEni| eni.attachment.as_ref().map(|a| (a.id.clone(), a.state));
        let made_for = match &before {
            // Tagged late for what was torn away: its owner keeps it.
            Some(EniTruth { made_for: Some(uid), .. }) if self.uids.contains_key(uid) => Some(uid.clone()),
            // Taken over anew, if the ENIAttachment that had taken it over was torn away.
            Some(before) => self.taken_over_for(at, &seen).filter(|_| by_replica).or_else(|| before.made_for.clone()),
            None if by_replica => seen.tags.get(TAG_ATTACHMENT_UID).map(str::to_owned),
            None => None,
        };
        let owner = seen.tags.get(TAG_ATTACHMENT_UID);
        let ours = seen.tags.get(TAG_CLUSTER).is_some_and(|tag| tag == cluster)
            && owner.is_some_and(|owner| made_for.as_ref().is_none_or(|uid| uid == owner));
        let orphaned = match (&made_for, &before) {
            (Some(uid), _) if self.uids.contains_key(uid) => None,
            (Some(_), Some(before)) => before.orphaned.or(Some(at)),
            (Some(_), None) => Some(at),
            (None, _) => None,
        };
        // Taken over for what was torn away on its way out: who did it goes on with that.
        let torn = made_for.as_ref().and_then(|uid| self.torn.get(uid));
        let torn_leaving = orphaned == Some(at) && torn.is_some_and(|(_, attachment)| attachment.deleting.is_some());
        let state_since = match &before {
            Some(before) if state(&before.seen) == state(&seen) => before.state_since,
            _ => at,
        };
        let next = EniTruth {
            made_for,
            made_with: before.as_ref().map_or_else(|| seen.tags.clone(), |before| before.made_with.clone()),
            token: after.client_token.clone(),
            disturbed: if by_hand { at } else { before.as_ref().map_or(0, |before| before.disturbed) },
            retagged: match &before {
                Some(before) if before.untagged.is_some() && ours && !by_replica => Some(at),
                Some(before) => before.retagged,
                None => None,
            },
            untagged: if ours { None } else { before.as_ref().and_then(|before| before.untagged).or(Some(at)) },
            orphaned,
            left_leaving: before.as_ref().is_some_and(|before| before.left_leaving) || torn_leaving,
            state_since,
            detached: before.as_ref().and_then(|before| before.detached.clone()),
            seen,
        };
        self.enis.insert(id.to_owned(), next);
    }

    /// The ENIAttachment that has just taken over what was upstream's.
    fn taken_over_for(&self, at: Millis, seen: &ObservedEni) -> Option<String> {
        let uid = seen.tags.get(TAG_ATTACHMENT_UID)?;
        self.acted_for(at)
            .any(|attachment| attachment.uid == uid && attachment.adopted.as_ref() == Some(&seen.id))
            .then(|| uid.to_owned())
    }

    /// The ENIAttachments for which a replica may act: those that are there, and those of whose end it may not have heard.
    fn acted_for(&self, at: Millis) -> impl Iterator<Item = &Attachment> {
        let torn = self.torn.values().filter(move |(since, _)| at <= since + PICTURE).map(|(_, attachment)| attachment);
        self.attachments.values().map(|attachment| &attachment.attachment).chain(torn)
    }

    /// Whether a replica may take this interface over: it carries upstream's tags, and an ENIAttachment says so that is for the
    /// NodeENI that they name and for the instance on which it is.
    pub fn may_be_taken_over(&self, at: Millis, eni: &ObservedEni) -> bool {
        let upstream = eni.tags.get(UPSTREAM_TAG_MANAGED_BY).is_some_and(|tag| tag == UPSTREAM_MANAGER);
        let nodeeni = eni.tags.get(UPSTREAM_TAG_NODEENI);
        let on = eni.attachment.as_ref().and_then(|on| on.instance.as_ref());
        let takes = |attachment: &Attachment| {
            attachment.adopted.as_ref() == Some(&eni.id)
                && nodeeni == Some(attachment.nodeeni.as_str())
                && on.is_none_or(|instance| attachment.instance.as_ref() == Some(instance))
        };
        let named = |attachment: &Attachment| {
            let of = |key: &str| eni.tags.get(key);
            of(TAG_NODEENI_UID) == Some(attachment.nodeeni_uid.as_str())
                || of(TAG_NODEENI) == Some(attachment.nodeeni.as_str())
        };
        // This cluster's own, whose ENIAttachment was lost.
        let recovers = |attachment: &Attachment| {
            attachment.recovered
                && attachment.adopted.as_ref() == Some(&eni.id)
                && named(attachment)
                && on.is_none_or(|instance| attachment.instance.as_ref() == Some(instance))
        };
        self.acted_for(at).any(|attachment| upstream && takes(attachment) || recovers(attachment))
    }

    /// Where an interface that was taken over is pinned: network card and device index.
    pub fn pinned(&self, nodeeni_uid: &str, instance: &str, subnet: &str) -> Option<(i32, i32)> {
        let here = |attachment: &&Attachment| {
            attachment.adopted.is_some()
                && !attachment.recovered
                && attachment.deleting.is_none()
                && attachment.nodeeni_uid == nodeeni_uid
                && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
                && attachment.request.subnet_id == subnet
        };
        self.attachments.values().map(|attachment| &attachment.attachment).find(here).map(Attachment::slot)
    }

    /// Follows a Node.
    pub fn node(&mut self, at: Millis, name: &str, after: Option<&Value>) {
        let truth = after.map(|object| NodeTruth {
            labels: read(object, "/metadata/labels").unwrap_or_default(),
            instance: text(object, "/spec/providerID").rsplit('/').next().unwrap_or_default().to_owned(),
            // Not by the label: anybody can change that.
            zone: text(object, "/spec/providerID").rsplit('/').nth(1).unwrap_or_default().to_owned(),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
        });
        if self.nodes.get(name) == truth.as_ref() {
            return;
        }
        self.nodes_changed.insert(name.to_owned(), at);
        match truth {
            Some(truth) => drop(self.nodes.insert(name.to_owned(), truth)),
            None => drop(self.nodes.remove(name)),
        }
    }

    /// Follows a Pod.
    pub fn pod(&mut self, at: Millis, name: &str, after: Option<&Value>) {
        let Some(object) = after else {
            self.pods.remove(name);
            return;
        };
        let annotation = format!("/metadata/annotations/{}", POD_ANNOTATION.replace('/', "~1"));
        let (node, nodeeni) = (text(object, "/spec/nodeName").to_owned(), text(object, &annotation).to_owned());
        self.pods.entry(name.to_owned()).or_insert((at, node, nodeeni));
    }

    /// Follows a NodeENI.
    pub fn nodeeni(&mut self, at: Millis, name: &str, before: Option<&Value>, after: Option<&Value>) {
        fn asks(object: &Value) -> (Option<&Value>, bool) {
            (object.get("spec"), object.pointer("/metadata/deletionTimestamp").is_some())
        }
        if before.map(asks) != after.map(asks) {
            for object in before.into_iter().chain(after) {
                // That its names have moved may be heard of later than an edit.
                let changed = self.nodeenis_changed.entry(text(object, "/metadata/uid").to_owned()).or_default();
                *changed = at.max(*changed);
            }
        }
        let Some(object) = after else {
            self.nodeenis.remove(name);
            return;
        };
        let truth = NodeEniTruth {
            uid: text(object, "/metadata/uid").to_owned(),
            spec: read(object, "/spec"),
            created: text(object, "/metadata/creationTimestamp").to_owned(),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            object: object.clone(),
        };
        self.nodeenis.insert(name.to_owned(), truth);
    }

    /// Follows an ENIAttachment.
    pub fn attachment(&mut self, at: Millis, name: &str, after: Option<&Value>, by_replica: bool) {
        let before = self.attachments.remove(name);
        if let Some(before) = &before {
            self.uids.remove(&before.attachment.uid);
        }
        let object = after.and_then(|object| ENIAttachment::deserialize(object).ok());
        match object {
            Some(object) => {
                let attachment = Attachment::read(&object);
                let same = before.as_ref().filter(|before| before.attachment.uid == attachment.uid);
                let since = same.map_or(at, |before| before.since);
                let disturbed = if by_replica { same.map_or(0, |before| before.disturbed) } else { at };
                self.uids.insert(attachment.uid.clone(), name.to_owned());
                let deleting_since =
                    attachment.deleting.map(|_| same.and_then(|before| before.deleting_since).unwrap_or(at));
                self.attachments
                    .insert(name.to_owned(), AttachmentTruth { attachment, since, disturbed, deleting_since });
            }
            None => {
                let Some(before) = before else { return };
                if !by_replica {
                    self.torn.insert(before.attachment.uid.clone(), (at, before.attachment.clone()));
                }
                for eni in self.enis.values_mut().filter(|eni| eni.made_for.as_ref() == Some(&before.attachment.uid)) {
                    eni.orphaned = Some(at);
                    if !by_replica {
                        // What was sent for it until then may land later.
                        eni.disturbed = at;
                    }
                    eni.left_leaving = before.attachment.deleting.is_some();
                }
            }
        }
    }

    /// An instance was stopped, started or terminated.
    pub fn instance(&mut self, at: Millis, instance: &str) {
        self.instances_changed.insert(instance.to_owned(), at);
    }

    /// The ENIs that were made for an ENIAttachment, by its UID.
    pub fn made_for<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a EniTruth> {
        self.enis.values().filter(move |eni| eni.made_for.as_deref() == Some(uid))
    }

    /// The ENI of an ENIAttachment, if it is attached in its slot.
    pub fn in_place<'a>(&'a self, attachment: &'a Attachment) -> Option<&'a EniTruth> {
        self.made_for(&attachment.uid).find(|eni| {
            eni.seen.attachment.as_ref().is_some_and(|at| {
                at.instance == attachment.instance
                    && (at.card, at.index) == attachment.slot()
                    && at.state == AttachmentState::Attached
            })
        })
    }

    /// IDs of all interfaces of ours: made by replicas and still there.
    pub fn ours(&self) -> BTreeSet<EniId> {
        self.enis.values().filter(|eni| eni.made_for.is_some()).map(|eni| eni.seen.id.clone()).collect()
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn read<T: serde::de::DeserializeOwned>(object: &Value, pointer: &str) -> Option<T> {
    T::deserialize(object.pointer(pointer)?).ok()
}

//! The model of a history: what EC2 and the API server hold, and since when. It follows each change and judges none.

mod adoption;
mod objects;

pub use objects::{FormerSpec, ModelAttachment, ModelEni, ModelNode, ModelNodeEni};

use super::bound_devices::is_bound_of;
use super::eni_change_event::EniChange;
use crate::environment::{COMPUTE_TYPE_LABEL, POD_ANNOTATION};
use crate::script::{Millis, Placement};
use multi_eni_api::ENIAttachment;
use multi_eni_api::ids::EniId;
use multi_eni_api::names::{TAG_ATTACHMENT_UID, TAG_CLUSTER, TAG_NODEENI_UID};
use multi_eni_controller::sandbox::observed_eni;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::{AttachmentState, ObservedEni};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// EC2 and the API server as they are.
#[derive(Debug, Default)]
pub struct Model {
    /// Interfaces by ID.
    pub enis: BTreeMap<String, ModelEni>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, ModelNode>,
    /// By name: when a Node last changed.
    pub nodes_changed: BTreeMap<String, Millis>,
    /// By instance: when a Node of it last came, went, or showed another boot.
    pub reborn: BTreeMap<String, Millis>,
    /// NodeENIs by name.
    pub nodeenis: BTreeMap<String, ModelNodeEni>,
    /// By UID: when a NodeENI's spec last changed. It may be in the future: until then a replica may not know that a name moved.
    pub nodeenis_changed: BTreeMap<String, Millis>,
    /// By UID: the spec of a NodeENI before its last change.
    pub specs_before: BTreeMap<String, FormerSpec>,
    /// ENIAttachments by name.
    pub attachments: BTreeMap<String, ModelAttachment>,
    /// Pods by name: since when each exists, its Node, and the NodeENI that it uses.
    pub pods: BTreeMap<String, (Millis, String, String)>,
    /// The names of all ENIAttachments by UID.
    pub uids: BTreeMap<String, String>,
    /// ENIAttachments by UID that something other than a replica removed: when, and their last state. A replica that does not
    /// know of the removal still acts for them.
    pub torn: BTreeMap<String, (Millis, Attachment)>,
    /// By ID: when something other than a replica last changed an instance's interfaces.
    pub instances_changed: BTreeMap<String, Millis>,
    /// By ID: where in the account an instance is, unless it is in the first VPC and the Region.
    pub placements: BTreeMap<String, Placement>,
}

impl Model {
    /// Follows a change of a network interface. `cluster`: this cluster's UID.
    pub fn eni(&mut self, cluster: &str, change: &EniChange<'_>) {
        let EniChange { at, id, after, .. } = *change;
        let (by_replica, by_hand) = (change.call().is_some(), change.is_external());
        let before = self.enis.remove(id);
        let instance =
            |eni: &ObservedEni| eni.attachment.as_ref().and_then(|a| a.instance.clone()).map(|i| i.to_string());
        let Some(current) = after.and_then(observed_eni::seen) else {
            if let Some(instance) = before.as_ref().and_then(|eni| instance(&eni.current)).filter(|_| by_hand) {
                self.instances_changed.insert(instance, at);
            }
            return;
        };
        let Some(after) = after else { return };
        if by_hand {
            for place in
                [instance(&current), before.as_ref().and_then(|eni| instance(&eni.current))].into_iter().flatten()
            {
                self.instances_changed.insert(place, at);
            }
        }
        let state = |eni: &ObservedEni| eni.attachment.as_ref().map(|a| (a.id.clone(), a.state));
        let made_for = match &before {
            // Its tags may name another ENIAttachment that was removed. It stays with its own, which still exists.
            Some(ModelEni { made_for: Some(uid), .. }) if self.uids.contains_key(uid) => Some(uid.clone()),
            // It may be adopted again if the ENIAttachment for which it was adopted before was removed.
            Some(before) => {
                self.taken_over_for(at, &current).filter(|_| by_replica).or_else(|| before.made_for.clone())
            }
            None if by_replica => current.tags.get(TAG_ATTACHMENT_UID).map(str::to_owned),
            None => None,
        };
        let owner = current.tags.get(TAG_ATTACHMENT_UID);
        let ours = current.tags.get(TAG_CLUSTER).is_some_and(|tag| tag == cluster)
            && owner.is_some_and(|owner| made_for.as_ref().is_none_or(|uid| uid == owner));
        let orphaned = match (&made_for, &before) {
            (Some(uid), _) if self.uids.contains_key(uid) => None,
            (Some(_), Some(before)) => before.orphaned.or(Some(at)),
            (Some(_), None) => Some(at),
            (None, _) => None,
        };
        // It is adopted for an ENIAttachment that was removed while it was being deleted. The replica that adopts it continues
        // the deletion.
        let torn = made_for.as_ref().and_then(|uid| self.torn.get(uid));
        let torn_leaving = orphaned == Some(at) && torn.is_some_and(|(_, attachment)| attachment.deleting.is_some());
        let state_since = match &before {
            Some(before) if state(&before.current) == state(&current) => before.state_since,
            _ => at,
        };
        let next = ModelEni {
            made_for,
            made_with: before.as_ref().map_or_else(|| current.tags.clone(), |before| before.made_with.clone()),
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
            current,
        };
        self.enis.insert(id.to_owned(), next);
    }

    /// Whether the stored report is about the present ENI of the ENIAttachment, and says that a driver for DPDK has its device.
    fn has_bound_device(&self, attachment: &Attachment) -> bool {
        self.made_for(&attachment.uid).any(|eni| is_bound_of(attachment, &eni.current.mac))
    }

    /// Whether all ENIAttachments of a NodeENI on an instance, and its attached ENIs that have none, are in places for which
    /// `is_in` (slot, subnet) holds.
    pub fn are_all_in(&self, nodeeni_uid: &str, instance: &str, is_in: impl Fn((i32, i32), &str) -> bool) -> bool {
        let attachments = self.attachments.values().map(|attachment| &attachment.attachment);
        let mut here = attachments.filter(|attachment| {
            attachment.nodeeni_uid == nodeeni_uid
                && attachment.deleting.is_none()
                && attachment.instance.as_ref().is_some_and(|on| on.as_str() == instance)
        });
        let is_lost = |eni: &&ModelEni| {
            eni.made_for.as_ref().is_some_and(|uid| !self.uids.contains_key(uid))
                && eni.current.tags.get(TAG_NODEENI_UID) == Some(nodeeni_uid)
        };
        let mut lost = self.enis.values().filter(is_lost).filter_map(|eni| {
            let at = eni
                .current
                .attachment
                .as_ref()
                .filter(|at| at.instance.as_ref().is_some_and(|on| on.as_str() == instance))?;
            Some(((at.card, at.index), eni.current.subnet.as_ref()?))
        });
        here.all(|attachment| is_in(attachment.slot(), &attachment.request.subnet_id))
            && lost.all(|(slot, subnet)| is_in(slot, subnet.as_str()))
    }

    /// Follows a Node.
    pub fn node(&mut self, at: Millis, name: &str, after: Option<&Value>) {
        let instance = |object| text(object, "/spec/providerID").rsplit('/').next().unwrap_or_default();
        let node = after.map(|object| ModelNode {
            labels: read(object, "/metadata/labels").unwrap_or_default(),
            instance: instance(object).to_owned(),
            placement: self.placements.get(instance(object)).copied().unwrap_or_default(),
            // The zone comes from the providerID, because anyone can change the label.
            zone: text(object, "/spec/providerID").rsplit('/').nth(1).unwrap_or_default().to_owned(),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            is_unsupported: {
                let provider = text(object, "/spec/providerID");
                let labels: BTreeMap<String, String> = read(object, "/metadata/labels").unwrap_or_default();
                labels.get(COMPUTE_TYPE_LABEL).is_some_and(|kind| kind == "auto")
                    || !provider.is_empty() && !provider.rsplit('/').next().is_some_and(|last| last.starts_with("i-"))
            },
            boot: text(object, "/status/nodeInfo/bootID").to_owned(),
        });
        let before = self.nodes.get(name);
        if before == node.as_ref() {
            return;
        }
        let identity = |node: &ModelNode| (node.instance.clone(), node.boot.clone());
        if before.map(identity) != node.as_ref().map(identity) {
            let instances = before.into_iter().chain(&node).map(|node| (node.instance.clone(), at));
            self.reborn.extend(instances.collect::<Vec<_>>());
        }
        self.nodes_changed.insert(name.to_owned(), at);
        match node {
            Some(node) => drop(self.nodes.insert(name.to_owned(), node)),
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
            if let Some(before) = before {
                let uid = text(before, "/metadata/uid");
                let since = self.nodeenis_changed.get(uid).copied().unwrap_or(0);
                self.specs_before.insert(uid.to_owned(), FormerSpec { spec: read(before, "/spec"), since });
            }
            for object in before.into_iter().chain(after) {
                // The entry may lie in the future, because a replica may learn of a moved name later than of an edit.
                let changed = self.nodeenis_changed.entry(text(object, "/metadata/uid").to_owned()).or_default();
                *changed = at.max(*changed);
            }
        }
        let Some(object) = after else {
            self.nodeenis.remove(name);
            return;
        };
        let nodeeni = ModelNodeEni {
            uid: text(object, "/metadata/uid").to_owned(),
            spec: read(object, "/spec"),
            created: text(object, "/metadata/creationTimestamp").to_owned(),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            object: object.clone(),
        };
        self.nodeenis.insert(name.to_owned(), nodeeni);
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
                let same_generation = same.filter(|before| before.attachment.generation == attachment.generation);
                let generation_since = same_generation.map_or(at, |before| before.generation_since);
                let disturbed = if by_replica { same.map_or(0, |before| before.disturbed) } else { at };
                self.uids.insert(attachment.uid.clone(), name.to_owned());
                let deleting_since =
                    attachment.deleting.map(|_| same.and_then(|before| before.deleting_since).unwrap_or(at));
                let was_bound = same.filter(|before| before.deleting_since.is_some());
                let bound_when_deleted = deleting_since.is_some()
                    && was_bound.map_or_else(|| self.has_bound_device(&attachment), |before| before.bound_when_deleted);
                self.attachments.insert(
                    name.to_owned(),
                    ModelAttachment {
                        attachment,
                        since,
                        generation_since,
                        disturbed,
                        deleting_since,
                        bound_when_deleted,
                    },
                );
            }
            None => {
                let Some(before) = before else { return };
                if !by_replica {
                    self.torn.insert(before.attachment.uid.clone(), (at, before.attachment.clone()));
                }
                for eni in self.enis.values_mut().filter(|eni| eni.made_for.as_ref() == Some(&before.attachment.uid)) {
                    eni.orphaned = Some(at);
                    if !by_replica {
                        // A request that was sent for it before the removal may take effect later.
                        eni.disturbed = at;
                    }
                    eni.left_leaving = before.attachment.deleting.is_some();
                }
            }
        }
    }

    /// The ENIs that were made for an ENIAttachment, by its UID.
    pub fn made_for<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a ModelEni> {
        self.enis.values().filter(move |eni| eni.made_for.as_deref() == Some(uid))
    }

    /// The ENI of an ENIAttachment, if it is attached in its slot.
    pub fn in_place<'a>(&'a self, attachment: &'a Attachment) -> Option<&'a ModelEni> {
        self.made_for(&attachment.uid).find(|eni| {
            eni.current.attachment.as_ref().is_some_and(|at| {
                at.instance == attachment.instance
                    && (at.card, at.index) == attachment.slot()
                    && at.state == AttachmentState::Attached
            })
        })
    }

    /// IDs of all interfaces that replicas created or adopted and that still exist.
    pub fn ours(&self) -> BTreeSet<EniId> {
        self.enis.values().filter(|eni| eni.made_for.is_some()).map(|eni| eni.current.id.clone()).collect()
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn read<T: serde::de::DeserializeOwned>(object: &Value, pointer: &str) -> Option<T> {
    T::deserialize(object.pointer(pointer)?).ok()
}

//! Invariants over the ENIs and ENIAttachments of a cluster. They are for tests, for the simulator, and for the summary
//! that the sandbox checks.

use crate::attachment::Attachment;
use crate::observed::{Cluster, ObservedEni};
use multi_eni_api::conditions::{self, types};
use multi_eni_api::ids::InstanceId;
use std::collections::{BTreeMap, BTreeSet};

/// All ENIs and ENIAttachments at one moment.
#[derive(Debug, Clone)]
pub struct World<'a> {
    /// This cluster.
    pub cluster: &'a Cluster,
    /// All ENIs of the account.
    pub enis: &'a [&'a ObservedEni],
    /// All ENIAttachments.
    pub attachments: &'a [&'a Attachment],
}

/// Violations of the invariants that hold at any moment, one sentence each. Empty: there is none.
pub fn always(world: &World<'_>) -> Vec<String> {
    let mut breaches = Vec::new();
    let known: BTreeSet<&str> = world.attachments.iter().map(|attachment| attachment.uid.as_str()).collect();
    let mut slots: BTreeMap<(&InstanceId, i32, i32), &ObservedEni> = BTreeMap::new();
    let mut by_uid: BTreeMap<&str, &ObservedEni> = BTreeMap::new();
    for eni in world.enis.iter().copied() {
        if let Some(at) = &eni.attachment
            && let Some(instance) = &at.instance
            && let Some(other) = slots.insert((instance, at.card, at.index), eni)
        {
            breaches.push(format!(
                "{} and {} are both at {instance} card {} index {}",
                other.id, eni.id, at.card, at.index
            ));
        }
        if !eni.is_of(world.cluster) {
            continue;
        }
        match eni.attachment_uid() {
            Some(uid) if known.contains(uid) => {
                if let Some(other) = by_uid.insert(uid, eni) {
                    breaches.push(format!("{} and {} both belong to ENIAttachment {uid}", other.id, eni.id));
                }
            }
            _ => breaches.push(format!("{} belongs to this cluster and has no ENIAttachment: leaked", eni.id)),
        }
    }
    breaches
}

/// Violations of the invariants that hold after convergence: each ENIAttachment's condition Ready agrees with EC2.
pub fn at_rest(world: &World<'_>) -> Vec<String> {
    let mut breaches = always(world);
    for attachment in world.attachments {
        let seen = world
            .enis
            .iter()
            .find(|eni| eni.is_of(world.cluster) && eni.attachment_uid() == Some(attachment.uid.as_str()));
        let attached = seen.and_then(|eni| eni.attachment.as_ref()).is_some_and(|at| {
            at.instance == attachment.instance
                && (at.card, at.index) == attachment.slot()
                && at.state == crate::observed::AttachmentState::Attached
        });
        let says = conditions::is_true(&attachment.status.conditions, types::READY);
        if says != attached {
            breaches.push(format!("{} has Ready={says}, and EC2 shows attached={attached}", attachment.name));
        }
    }
    breaches
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

//! Decides which orphans to detach and delete: ENIs with this cluster's tags that no ENIAttachment knows. They remain when
//! finalizers are removed by hand or etcd is restored. An ENI counts as an orphan only after two complete resyncs, [`APART`]
//! apart, have shown it. Too many orphans at once are not removed but reported, and an ENI on an instance without a Node is never
//! touched.

mod evidence;
mod refused;
mod removal_estimate;
#[cfg(test)]
mod tests;

pub use evidence::{APART, ForeignUse, is_stranger, lone};
pub use refused::Refusals;
pub use removal_estimate::{Kept, Known, RemovalEstimates, Sightings, TooMany, estimates};

use crate::counted::{part_of, verb};
use crate::observed::{AttachmentState, ObservedEni};
use crate::settings::Settings;
use evidence::{in_use_elsewhere, most_at_once};
use jiff::Timestamp;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::TAG_NODEENI;
use std::collections::{BTreeMap, BTreeSet};

/// An orphan to be detached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detachment {
    /// The ENI.
    pub eni: EniId,
    /// EC2's attachment ID.
    pub attachment: String,
    /// Whether to detach by force, because the ENI has been detaching for too long.
    pub force: bool,
}

/// What to do with orphans now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrphanPlan {
    /// The orphans shown now, each with the time at which it was first suspected. The next decision gets them as
    /// [`Input::before`].
    pub suspects: BTreeMap<EniId, Timestamp>,
    /// ENIs to detach. They are deleted after a later resync.
    pub detach: Vec<Detachment>,
    /// ENIs to delete.
    pub delete: Vec<EniId>,
    /// ENIs that are attached to an instance without a Node in this cluster, or in use by something else. They are reported and
    /// never touched.
    pub foreign: Vec<EniId>,
    /// Some if too many orphans would be removed at once. Then none is removed, and a user must act.
    pub brake: Option<DeletionBrake>,
}

/// Orphans that are too many to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionBrake {
    /// The number of ENIs that would have been removed.
    pub count: usize,
    /// The NodeENIs (by name) in the tags of the orphans.
    pub nodeenis: BTreeSet<String>,
    /// A sentence with the number of orphans, why none is removed and what to do.
    pub message: String,
}

/// The input of the decision about orphans.
pub struct Input<'a> {
    /// The present time.
    pub now: Timestamp,
    /// When the last complete resync began.
    pub resync: Timestamp,
    /// The number of ENIs of this cluster in the cache.
    pub all: usize,
    /// The ENIs that may be orphans: at least every ENI for which [`is_stranger`] is true.
    pub owned: &'a [ObservedEni],
    /// UIDs of all ENIAttachments, from warm watch caches only.
    pub known: &'a BTreeSet<String>,
    /// ENIs that the statuses of ENIAttachments name.
    pub named: &'a BTreeSet<EniId>,
    /// Whether the ENI may still be adopted, because its NodeENI asks for an ENI in its slot.
    pub may_be_adopted: &'a dyn Fn(&ObservedEni) -> bool,
    /// Instances of all Nodes.
    pub instances: &'a BTreeSet<InstanceId>,
    /// [`OrphanPlan::suspects`] of the last decision.
    pub before: &'a BTreeMap<EniId, Timestamp>,
    /// The start of the resync after which calls for orphans were last sent. A call that failed is repeated only after a later
    /// resync.
    pub called: Option<Timestamp>,
    /// The calls for orphans that EC2 refused.
    pub refused: &'a Refusals,
    /// The times and limits.
    pub settings: &'a Settings,
}

/// Decides by the last complete resync. A suspect must be shown by a resync that began at least [`APART`] after the ENI was first
/// suspected. An ENI without the tag of an ENIAttachment is not handled, because a user removed the tag.
pub fn judge(input: Input<'_>) -> OrphanPlan {
    let Input { now, resync, all, owned, known, named, may_be_adopted, instances, before, called, refused, settings } =
        input;
    let mut out = OrphanPlan::default();
    let orphans: Vec<&ObservedEni> = lone(owned, known, named).filter(|eni| !may_be_adopted(eni)).collect();
    for eni in &orphans {
        out.suspects.insert(eni.id.clone(), before.get(&eni.id).copied().unwrap_or(now));
    }
    if called.is_some_and(|called| called >= resync) {
        return out;
    }
    let proven: Vec<&&ObservedEni> = orphans
        .iter()
        .filter(|eni| {
            let old_enough = before.get(&eni.id).is_some_and(|first| resync.duration_since(*first) >= APART);
            // This resync showed the ENI, and this process made no call for the ENI within [`APART`] before the resync.
            old_enough && eni.as_of() >= resync && eni.last_call.is_none_or(|call| resync.duration_since(call) >= APART)
        })
        .collect();
    for eni in proven {
        if in_use_elsewhere(eni, instances).is_some() {
            out.foreign.push(eni.id.clone());
            continue;
        }
        match &eni.attachment {
            None => out.delete.push(eni.id.clone()),
            Some(at) => {
                let lasts = resync.duration_since(at.since);
                let detach = match at.state {
                    AttachmentState::Attached => Some(false),
                    AttachmentState::Attaching => (lasts >= settings.attaching_detach).then_some(false),
                    AttachmentState::Detaching => (lasts >= settings.force_detach).then_some(true),
                };
                out.detach.extend(detach.map(|force| Detachment {
                    eni: eni.id.clone(),
                    attachment: at.id.clone(),
                    force,
                }));
            }
        }
    }
    out.detach.retain(|detach| refused.allows(&detach.eni, now));
    out.delete.retain(|eni| refused.allows(eni, now));
    let (removed, limit) = (out.detach.len() + out.delete.len(), most_at_once(all, settings));
    if removed > limit {
        let of = |eni: &&ObservedEni| eni.tags.get(TAG_NODEENI).map(str::to_owned);
        out.brake = Some(DeletionBrake {
            count: removed,
            nodeenis: orphans.iter().filter_map(of).collect(),
            message: format!(
                "{} of this cluster {} no ENIAttachment, and no NodeENI needs them. The maximum that is \
                 removed at once is {limit}, so none is removed. Find out why their ENIAttachments are gone. To have these ENIs \
                 removed, start the controller with --max-orphans={removed}",
                part_of(removed, all, "ENI"),
                verb(removed, "has", "have")
            ),
        });
        (out.detach, out.delete) = (Vec::new(), Vec::new());
    }
    out
}

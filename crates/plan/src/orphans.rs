//! ENIs that carry this cluster's tag and that no ENIAttachment knows: finalizer stripped by hand, etcd restored.

mod refused;
#[cfg(test)]
mod tests;

pub use refused::Refusals;

use crate::observed::{AttachmentState, ObservedEni};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::names::TAG_NODEENI;
use std::collections::{BTreeMap, BTreeSet};

/// How far apart the two whole sweeps must be that both show an orphan.
pub const APART: SignedDuration = SignedDuration::from_mins(3);

/// An orphan to be detached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detachment {
    /// The ENI.
    pub eni: EniId,
    /// EC2's attachment ID.
    pub attachment: String,
    /// By force: it has been on its way out for too long.
    pub force: bool,
}

/// What to do with orphans now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Orphans seen now, each with the time at which it was first seen to be one: the memory for next time.
    pub suspects: BTreeMap<EniId, Timestamp>,
    /// To detach, then to delete.
    pub detach: Vec<Detachment>,
    /// To delete.
    pub delete: Vec<EniId>,
    /// Attached to an instance that is no Node of this cluster: reported, never touched.
    pub foreign: Vec<EniId>,
    /// Too many at once: a person must look.
    pub attachment: Option<DeletionBrake>,
}

/// Orphans that are too many to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionBrake {
    /// How many.
    pub count: usize,
    /// NodeENIs (by name) that their tags name.
    pub nodeenis: BTreeSet<String>,
    /// How many, why none goes, and what to do.
    pub message: String,
}

/// What orphans are judged by.
pub struct Input<'a> {
    /// The present time.
    pub now: Timestamp,
    /// When the last whole sweep began.
    pub resync: Timestamp,
    /// How many ENIs of this cluster the view shows.
    pub all: usize,
    /// Those of them that may be orphans: at least every [`stranger`](is_stranger).
    pub owned: &'a [ObservedEni],
    /// UIDs of all ENIAttachments, from warm watch caches only.
    pub known: &'a BTreeSet<String>,
    /// ENIs that the statuses of ENIAttachments name.
    pub named: &'a BTreeSet<EniId>,
    /// Whether it may still be adopted: its NodeENI wants it where it is.
    pub may_be_adopted: &'a dyn Fn(&ObservedEni) -> bool,
    /// Instances of all Nodes.
    pub instances: &'a BTreeSet<InstanceId>,
    /// [`Verdict::suspects`] of the last time.
    pub before: &'a BTreeMap<EniId, Timestamp>,
    /// The sweep after which calls were made last. What failed then is tried again after the next one.
    pub called: Option<Timestamp>,
    /// What EC2 refused for orphans.
    pub refused: &'a Refusals,
    /// The waits.
    pub settings: &'a Settings,
}

/// Whether its tags name an ENIAttachment that there is not.
pub fn is_stranger(eni: &ObservedEni, is_known: impl Fn(&str) -> bool) -> bool {
    eni.attachment_uid().is_some_and(|uid| !is_known(uid))
}

/// ENIs of this cluster whose tags name an ENIAttachment that there is not, and that no status names.
pub fn lone<'a>(
    owned: &'a [ObservedEni],
    known: &'a BTreeSet<String>,
    named: &'a BTreeSet<EniId>,
) -> impl Iterator<Item = &'a ObservedEni> {
    owned.iter().filter(|eni| is_stranger(eni, |uid| known.contains(uid)) && !named.contains(&eni.id))
}

/// Judges by the last whole sweep. A suspect must be shown by a whole sweep that began [`APART`] after it was first
/// suspected. An ENI without the tag of an ENIAttachment is not ours to judge: somebody took the tag away.
pub fn judge(input: Input<'_>) -> Verdict {
    let Input { now, resync, all, owned, known, named, may_be_adopted, instances, before, called, refused, settings } =
        input;
    let mut out = Verdict::default();
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
            // Shown by this very sweep, and not touched by us since the first.
            old_enough && eni.as_of() >= resync && eni.last_call.is_none_or(|call| resync.duration_since(call) >= APART)
        })
        .collect();
    for eni in proven {
        match &eni.attachment {
            // EC2 shows no attachment of it and calls it in use: a branch interface, say.
            None if eni.in_use_since.is_some() => out.foreign.push(eni.id.clone()),
            None => out.delete.push(eni.id.clone()),
            Some(at) if !at.instance.as_ref().is_some_and(|instance| instances.contains(instance)) => {
                out.foreign.push(eni.id.clone())
            }
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
    let (removed, limit) = (out.detach.len() + out.delete.len(), settings.max_orphans.unwrap_or((all / 10).max(10)));
    if removed > limit {
        let of = |eni: &&ObservedEni| eni.tags.get(TAG_NODEENI).map(str::to_owned);
        out.attachment = Some(DeletionBrake {
            count: removed,
            nodeenis: orphans.iter().filter_map(of).collect(),
            message: format!(
                "{removed} of {all} ENIs of this cluster have no ENIAttachment and are wanted nowhere, more than the {limit} that are removed \
                 at once: none is removed. Find out why their ENIAttachments are gone. To have these ENIs removed, start the controller \
                 with --max-orphans={removed}"
            ),
        });
        (out.detach, out.delete) = (Vec::new(), Vec::new());
    }
    out
}

//! ENIs that carry this cluster's tag and that no ENIAttachment knows: finalizer stripped by hand, etcd restored.

use crate::facts::{AttachmentState, EniSeen};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// How far apart the two whole sweeps must be that both show an orphan.
pub const APART: SignedDuration = SignedDuration::from_mins(3);

/// What to do with orphans now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Orphans seen now, each with the start of the first whole sweep that showed it so: the memory for next time.
    pub suspects: BTreeMap<EniId, Timestamp>,
    /// To detach (attachment ID), then to delete.
    pub detach: Vec<(EniId, String)>,
    /// To delete.
    pub delete: Vec<EniId>,
    /// Attached to an instance that is no Node of this cluster: reported, never touched.
    pub foreign: Vec<EniId>,
    /// Too many at once: a person must look.
    pub refused: Option<String>,
}

/// Judges after one whole sweep, with warm watch caches only.
///
/// `known` are UIDs of all ENIAttachments, `instances` those of all Nodes.
pub fn judge(
    sweep: Timestamp,
    owned: &[EniSeen],
    known: &BTreeSet<String>,
    instances: &BTreeSet<InstanceId>,
    before: &BTreeMap<EniId, Timestamp>,
) -> Verdict {
    let mut out = Verdict::default();
    let orphans: Vec<&EniSeen> =
        owned.iter().filter(|eni| !eni.attachment_uid().is_some_and(|uid| known.contains(uid))).collect();
    for eni in &orphans {
        out.suspects.insert(eni.id.clone(), before.get(&eni.id).copied().unwrap_or(sweep));
    }
    let proven: Vec<&&EniSeen> = orphans
        .iter()
        .filter(|eni| {
            let old_enough = before.get(&eni.id).is_some_and(|first| sweep.duration_since(*first) >= APART);
            // Shown by this very sweep, and not touched by us since the first.
            old_enough && eni.as_of >= sweep && eni.last_call.is_none_or(|call| sweep.duration_since(call) >= APART)
        })
        .collect();
    let limit = (owned.len() / 10).max(10);
    if proven.len() > limit {
        out.refused = Some(format!(
            "{} of {} ENIs of this cluster have no ENIAttachment, more than {limit}: nothing is deleted until a person has looked",
            proven.len(),
            owned.len()
        ));
        return out;
    }
    for eni in proven {
        match &eni.attachment {
            None => out.delete.push(eni.id.clone()),
            Some(at) if !at.instance.as_ref().is_some_and(|instance| instances.contains(instance)) => {
                out.foreign.push(eni.id.clone())
            }
            Some(at) => match at.state {
                AttachmentState::Attached => out.detach.push((eni.id.clone(), at.id.clone())),
                AttachmentState::Attaching | AttachmentState::Detaching => {}
            },
        }
    }
    out
}

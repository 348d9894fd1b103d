//! What makes an ENI an orphan, and which orphans are never removed. The decision about orphans and the estimates of it share
//! these rules.

use crate::observed::ObservedEni;
use crate::settings::Settings;
use jiff::SignedDuration;
use multi_eni_api::ids::{EniId, InstanceId};
use std::collections::BTreeSet;

/// The time that must pass between the moment when an ENI is first suspected and the start of the resync that proves it an
/// orphan. The resync must also begin this long after the last call of this process for the ENI.
pub const APART: SignedDuration = SignedDuration::from_mins(3);

/// Whether the tags of the ENI name an ENIAttachment that does not exist. `is_known`: whether an ENIAttachment with a UID exists.
pub fn is_stranger(eni: &ObservedEni, is_known: impl Fn(&str) -> bool) -> bool {
    eni.attachment_uid().is_some_and(|uid| !is_known(uid))
}

/// The ENIs of this cluster whose tags name an ENIAttachment that does not exist, and that no status names.
pub fn lone<'a>(
    owned: &'a [ObservedEni],
    known: &'a BTreeSet<String>,
    named: &'a BTreeSet<EniId>,
) -> impl Iterator<Item = &'a ObservedEni> {
    owned.iter().filter(|eni| is_stranger(eni, |uid| known.contains(uid)) && !named.contains(&eni.id))
}

/// A use of an orphan by something that is not a Node of this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignUse {
    /// It is attached to an instance without a Node in this cluster; None if EC2 does not show the instance.
    Instance(Option<InstanceId>),
    /// EC2 shows it in use and no attachment, for example a branch interface.
    Hidden,
}

/// Who uses the ENI, if it is not a Node of this cluster. `instances`: those of all Nodes.
pub fn in_use_elsewhere(eni: &ObservedEni, instances: &BTreeSet<InstanceId>) -> Option<ForeignUse> {
    match &eni.attachment {
        None => eni.in_use_since.map(|_| ForeignUse::Hidden),
        Some(at) => {
            let is_here = at.instance.as_ref().is_some_and(|instance| instances.contains(instance));
            (!is_here).then(|| ForeignUse::Instance(at.instance.clone()))
        }
    }
}

/// How many orphans are removed at once, at most. `all`: the number of this cluster's ENIs.
pub fn most_at_once(all: usize, settings: &Settings) -> usize {
    settings.max_orphans.unwrap_or((all / 10).max(10))
}

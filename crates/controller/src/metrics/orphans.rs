//! The metrics of orphans: ENIs of this cluster without an ENIAttachment.

use super::counters::Counters;
use super::description::{Kind, Metric};
use super::exposition::{Exposition, Value};

const ORPHANS: Metric = Metric::alpha(
    "multi_eni_orphans",
    Kind::Gauge,
    &["verdict"],
    "ENIs without an ENIAttachment in the last judgement: suspected (all of them, not proven yet or refused included), detach and \
     delete (as long as their calls are under way), foreign (in use elsewhere: left as they are), held (too many at once)",
);
const HELD: Metric = Metric::stable(
    "multi_eni_orphans_held",
    Kind::Gauge,
    &[],
    "Orphaned ENIs that are too many to be removed at once: none of them is removed until a person acts",
);

const ACTIONS: Metric = Metric::alpha(
    "multi_eni_orphan_actions",
    Kind::Counter,
    &["verdict"],
    "Calls that were started for ENIs without an ENIAttachment: detach, delete",
);

/// The verdicts that a call follows.
pub const ACTED_ON: [&str; 2] = ["detach", "delete"];

/// All metrics of this file.
#[cfg(test)]
pub const ALL: &[Metric] = &[ORPHANS, ACTIONS, HELD];

/// The number of ENIs by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrphanVerdicts {
    /// All ENIs without an ENIAttachment.
    pub suspected: usize,
    /// Those that were detached.
    pub detach: usize,
    /// Those that were deleted.
    pub delete: usize,
    /// Those that are in use by something else.
    pub foreign: usize,
    /// Those that were not removed because they are too many.
    pub held: usize,
}

/// Writes the verdicts.
pub fn write(verdicts: &OrphanVerdicts, out: &mut Exposition) {
    let OrphanVerdicts { suspected, detach, delete, foreign, held } = *verdicts;
    let all = [("suspected", suspected), ("detach", detach), ("delete", delete), ("foreign", foreign), ("held", held)];
    out.add(&ORPHANS, all.map(|(verdict, n)| (vec![verdict.to_owned()], Value::number_of(n))));
}

/// Writes the number of orphans that are held.
pub fn write_held(held: i64, out: &mut Exposition) {
    out.one(&HELD, Value::Whole(held));
}

/// Writes the number of calls for orphans.
pub fn write_actions(actions: &Counters, out: &mut Exposition) {
    out.add(&ACTIONS, actions.rows());
}

//! A change of security groups in place that waits until EC2 has confirmed its answers: what changes, and until when the ENI keeps its
//! groups. It decides nothing: `lifecycle` leaves such a change out.

use super::{ExplainedAttachment, Input};
use crate::assign::Assignment;
use crate::confirmation::CONFIRMED_AFTER;
use crate::counted::verb;
use crate::lifecycle::Change;
use crate::nodeeni::EniSpec;
use crate::observed::Observation;
use crate::upcoming::when;

/// The change of groups that waits, if one does, and the sentence about it. A process begins to count with its first answer, so the
/// time is the latest one: the controller may have counted from an earlier answer.
pub(super) fn of_attachment(
    input: &Input<'_>,
    spec: &EniSpec,
    assignment: &Assignment,
    attachment: &ExplainedAttachment,
) -> Option<(Change, String)> {
    let Observation::Seen(eni) = &attachment.observation else { return None };
    let uid = &attachment.attachment.nodeeni_uid;
    let waits = assignment.groups_waits.iter().find(|waits| waits.nodeeni_uid == *uid)?;
    let selected = input.catalog.groups_of(spec, &eni.vpc).filter(|selected| !selected.is_confirmed())?;
    let kept: Vec<String> = selected.kept(&eni.groups).map(ToString::to_string).collect();
    if kept.is_empty() {
        return None;
    }
    let change = Change::Groups(selected.groups);
    let sentence = format!(
        "{change}, {} at the latest: EC2 must have shown the same groups for {CONFIRMED_AFTER:#}, and {} {} on the ENI until then",
        when(waits.until, input.now),
        kept.join(", "),
        verb(kept.len(), "stays", "stay")
    );
    Some((change, sentence))
}

//! Taking an ENI over from upstream: our tags come first, and nothing else is done to it before it carries them.

use super::retry::{not_before, observe_first};
use super::{Action, Change, Input, Report, is_ours, tags};
use crate::errors::Call;
use crate::facts::{AttachmentState, EniSeen, SeenAttachment};
use multi_eni_api::conditions::{self, types};

/// It is the one that this ENIAttachment was made for, it still carries upstream's tags, and it is on no other instance.
pub(super) fn is_to_be_adopted(input: &Input<'_>, eni: &EniSeen) -> bool {
    let held = input.held;
    let elsewhere = eni.attachment.as_ref().is_some_and(|at| at.instance != held.instance);
    held.adopted.as_ref() == Some(&eni.id) && !is_ours(input, eni) && is_the_nodeenis(input, eni) && !elsewhere
}

/// Upstream's, or this cluster's own whose ENIAttachment is lost, and of this NodeENI.
fn is_the_nodeenis(input: &Input<'_>, eni: &EniSeen) -> bool {
    let held = input.held;
    // Whether `assign` recovered it is not asked: an older CRD does not keep that field.
    let own = eni.is_of(input.cluster)
        && eni.attachment_uid().is_some()
        && eni.names_nodeeni(&held.nodeeni_uid, &held.nodeeni);
    own || eni.upstreams(input.cluster) == Some(held.nodeeni.as_str())
}

/// Tags it. One that is in its place and was ready stays so: that our tags are missing is a stale look, or is mended now.
pub(super) fn take_over(input: &Input<'_>, eni: &EniSeen) -> (Action, Report) {
    let failure = input.memory.failure.as_ref().filter(|failure| failure.call == Call::Tag);
    let report = match eni.attachment.as_ref().filter(|at| was_ready_there(input, at)) {
        Some(at) => Report::ready(eni, at, failure),
        None => Report::adopting(eni, failure),
    };
    match not_before(input, Call::Tag) {
        Some(at) => (Action::Wait, report.until(at)),
        None => {
            let change = Change::Tags(tags(input.cluster, input.held));
            let tag = Action::Modify { eni: eni.id.clone(), change };
            (observe_first(input, Call::Tag, eni).unwrap_or(tag), report)
        }
    }
}

fn was_ready_there(input: &Input<'_>, at: &SeenAttachment) -> bool {
    let held = input.held;
    conditions::is_true(&held.status.conditions, types::ATTACHED)
        && held.status.attachment_id.as_ref() == Some(&at.id)
        && (at.card, at.index) == held.slot()
        && at.state == AttachmentState::Attached
}

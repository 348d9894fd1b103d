//! Adoption of an ENI of upstream, or of an ENI of this cluster whose ENIAttachment was lost: decides whether and when
//! the ENI gets this ENIAttachment's tags. No other call changes an ENI before it carries these tags.

use super::action::Action;
use super::drift_cause::cause;
use super::in_place_change::Change;
use super::input::Input;
use super::repair_history::want;
use super::report::Report;
use super::retry::{lookup_again, not_before_after, observe_first_after, past_lag};
use super::tags::{is_ours, tags};
use crate::attachment::Attachment;
use crate::observed::{AttachmentState, ObservedAttachment, ObservedEni};
use jiff::Timestamp;
use multi_eni_api::conditions::{self, types};
use multi_eni_api::names::TAG_CLUSTER;

/// Whether this ENI is to be adopted. This ENIAttachment must name the ENI, the ENI must still carry the tags of its
/// former owner, and it must be on no other instance.
pub(super) fn is_to_be_adopted(input: &Input<'_>, eni: &ObservedEni) -> bool {
    is_meant(input, eni) && !is_elsewhere(input, eni)
}

/// Whether this ENI was to be adopted and is on another instance: somebody moved the ENI after the lookup that led to the
/// adoption. An ENI that lost only some of this ENIAttachment's tags does not count: it was adopted before.
pub(super) fn is_out_of_reach(input: &Input<'_>, eni: &ObservedEni) -> bool {
    let is_torn = eni.attachment_uid() == Some(input.attachment.uid.as_str())
        || eni.is_of(input.cluster) && eni.attachment_uid().is_none();
    is_meant(input, eni) && is_elsewhere(input, eni) && !is_torn
}

/// Repeats the lookup while the ENI may carry this ENIAttachment's tags and EC2 may not show them yet. Only a lookup
/// proves their absence that began at least `lag` after the last call that could have set them. That call may be this
/// process's or an earlier one's.
pub(super) fn confirm_moved(input: &Input<'_>, eni: &ObservedEni) -> Option<(Action, Report)> {
    let by_others = (!input.call_history.made_here).then_some(input.call_history.acting_since);
    let last = eni.last_call.max(by_others).filter(|call| !past_lag(input, eni.shown_at, *call))?;
    let report = Report::lookup_pending(format!("checking whether {} was moved to another instance", eni.id));
    let again = last.saturating_add(input.settings.lag).unwrap_or(Timestamp::MAX);
    let lookup = Action::LookupById(eni.id.clone());
    Some(if input.now >= again { (lookup, report) } else { (Action::Wait, report.until(again)) })
}

fn is_meant(input: &Input<'_>, eni: &ObservedEni) -> bool {
    input.attachment.adopted.as_ref() == Some(&eni.id) && !is_ours(input, eni) && is_the_nodeenis(input, eni)
}

fn is_elsewhere(input: &Input<'_>, eni: &ObservedEni) -> bool {
    eni.attachment.as_ref().is_some_and(|at| at.instance != input.attachment.instance)
}

/// Whether the ENI belongs to this NodeENI: an ENI of upstream, or an ENI of this cluster whose ENIAttachment is lost.
fn is_the_nodeenis(input: &Input<'_>, eni: &ObservedEni) -> bool {
    let attachment = input.attachment;
    // The field `recovered` is not tested, because an older CRD does not keep it.
    let own = eni.is_of(input.cluster)
        && eni.attachment_uid().is_some()
        && eni.names_nodeeni(&attachment.nodeeni_uid, &attachment.nodeeni);
    own || eni.upstreams(input.cluster) == Some(attachment.nodeeni.as_str())
}

/// The other ENIAttachment that adopts the ENI instead of this one, if there is one. The ENIAttachment that the ENI's
/// tags name comes first, then one that stays before one that is deleted or deselected, then the older one.
pub(super) fn comes_before<'a>(input: &Input<'a>, eni: &ObservedEni) -> Option<&'a Attachment> {
    let rank = |attachment: &Attachment| {
        let named = eni.attachment_uid() == Some(attachment.uid.as_str());
        (
            !named,
            attachment.deleting.is_some(),
            attachment.deselected_since.is_some(),
            attachment.created,
            attachment.uid.clone(),
        )
    };
    let own = rank(input.attachment);
    input.rivals.iter().copied().filter(|rival| rank(rival) < own).min_by_key(|rival| rank(rival))
}

/// Another ENIAttachment adopts the ENI, so this one makes no call for it.
pub(super) fn yields(input: &Input<'_>, eni: &ObservedEni, to: &Attachment) -> (Action, Report) {
    if input.attachment.deleting.is_some() {
        let report = Report::leaving("another ENIAttachment adopts the ENI: it is left unchanged");
        return (Action::Release, report);
    }
    let message = format!(
        "{} is adopted by ENIAttachment {}: this ENIAttachment waits; if it is not removed within minutes, delete one of the \
         two ENIAttachments",
        eni.id, to.name
    );
    lookup_again(input, eni, Report::blocked("AlreadyAdopted", message))
}

/// Sets this ENIAttachment's tags on the ENI. An ENI that is in its slot and was ready stays ready: either the
/// observation without the tags is stale, or this call restores the tags.
pub(super) fn take_over(input: &Input<'_>, eni: &ObservedEni) -> (Action, Report) {
    if let Some(rival) = comes_before(input, eni) {
        return yields(input, eni, rival);
    }
    let mut tags = tags(input.cluster, input.attachment);
    if eni.is_of(input.cluster) {
        // The IAM policy permits no call that names the ownership tag of an ENI that has it.
        tags.remove(TAG_CLUSTER);
    }
    let change = Change::Tags(tags);
    let failure = input.call_history.change_refused(&change, &want(&change, input.spec));
    let report = match eni.attachment.as_ref().filter(|at| was_ready_there(input, at)) {
        Some(at) => Report::ready(eni, at, failure),
        None => Report::adopting(eni, failure),
    };
    match failure.and_then(|failure| not_before_after(input, failure)) {
        Some(at) => (Action::Wait, report.until(at)),
        None => {
            let cause = cause(input, eni, &change);
            let tag = Action::Modify { eni: eni.id.clone(), change, cause };
            (failure.and_then(|failure| observe_first_after(failure, eni)).unwrap_or(tag), report)
        }
    }
}

fn was_ready_there(input: &Input<'_>, at: &ObservedAttachment) -> bool {
    let attachment = input.attachment;
    conditions::is_true(&attachment.status.conditions, types::ATTACHED)
        && attachment.status.attachment_id.as_ref() == Some(&at.id)
        && (at.card, at.index) == attachment.slot()
        && at.state == AttachmentState::Attached
}

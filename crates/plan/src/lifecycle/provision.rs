//! Provisioning: the next action for an ENIAttachment that is not being deleted. It creates and attaches the ENI, and
//! then repairs its drift. It never deletes an ENI.

use super::action::Action;
use super::attach::attach;
use super::attachment_state::attached;
use super::create::create;
use super::input::Input;
use super::report::Report;
use super::retry::{lookup_again, past_lag};
use super::tags::is_ours;
use super::{adoption, in_use_without_attachment, instance};
use crate::instance_life::Life;
use crate::observed::Observation;
use jiff::Timestamp;

pub(super) fn next(input: &Input<'_>) -> (Action, Report) {
    if !input.attachment.has_finalizer {
        return (Action::Wait, Report::pending("the finalizer was removed: the controller restores it"));
    }
    match input.observation {
        Observation::Blind => (Action::Wait, Report::pending("waiting for the first resync of EC2")),
        Observation::Absent { by_id: None, .. }
            if input.attachment.adopted.is_some() && input.attachment.status.eni_id.is_none() =>
        {
            // No resync shows the ENI before it carries this cluster's tags.
            let found = input.attachment.adopted.clone().map_or(Action::LookupByTag, Action::LookupById);
            (found, Report::lookup_pending("looking up the ENI that is to be adopted from upstream".to_owned()))
        }
        Observation::Absent { by_tag, by_id, .. } => match input.call_history.eni_of(input.attachment) {
            Some(eni) => lost(input, eni, by_id.map(|missed| missed.last)),
            None => create(input, *by_tag),
        },
        Observation::Seen(eni) if adoption::is_to_be_adopted(input, eni) => adoption::take_over(input, eni),
        Observation::Seen(eni) if adoption::is_out_of_reach(input, eni) => match adoption::confirm_moved(input, eni) {
            Some(next) => next,
            None => (Action::Wait, Report::out_of_reach(eni)),
        },
        Observation::Seen(eni) if !is_ours(input, eni) => {
            let message = format!(
                "{} no longer has the tags of this cluster and ENIAttachment, so the controller does not change it: restore the \
                 tags, or delete the ENI by hand",
                eni.id
            );
            lookup_again(input, eni, Report::blocked("TagsRemoved", message))
        }
        Observation::Seen(eni) => match &eni.attachment {
            None => match eni.in_use_since {
                Some(since) => in_use_without_attachment::wait(input, eni, since),
                None => attach(input, eni),
            },
            Some(at) => attached(input, eni, at),
        },
    }
}

/// The status names an ENI that is not observed. Only a lookup by its ID proves that the ENI is gone, because its tags
/// may have been removed.
fn lost(input: &Input<'_>, eni: multi_eni_api::ids::EniId, by_id: Option<Timestamp>) -> (Action, Report) {
    // This process knows its own calls. A call of an earlier process ended before this process began to act.
    let credible = by_id.is_some_and(|lookup| past_lag(input, lookup, input.call_history.acting_since));
    if credible || input.attachment.lost() {
        // EC2 may have deleted the ENI together with its instance. A loss that the status records needs no second proof
        // when the lookup that proved it is no longer in the cache.
        let missed = by_id.filter(|_| !input.attachment.lost()).unwrap_or(Timestamp::MIN);
        let dead = input.instance.is_some_and(|lookup| lookup.life() == Life::Gone);
        return match instance::unless_it_lives(input, missed).filter(|_| dead || !input.attachment.lost()) {
            Some(next) => next,
            None => (Action::Wait, Report::lost(&eni)),
        };
    }
    let report = Report::lookup_pending(format!("EC2 does not show {eni}: looking it up by its ID"));
    let sure_from = input.call_history.acting_since.saturating_add(input.settings.lag).unwrap_or(Timestamp::MAX);
    if input.now < sure_from { (Action::Wait, report.until(sure_from)) } else { (Action::LookupById(eni), report) }
}

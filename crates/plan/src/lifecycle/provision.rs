//! Provisioning: the next action for an ENIAttachment that is not being deleted. It creates and attaches the ENI, and
//! then repairs its drift. It never deletes an ENI.

use super::action::Action;
use super::conditions::Report;
use super::input::Input;
use super::repair_history::UNDONE_OFTEN;
use super::retry::{forced_until, lookup_again, not_before, observe_first, past_lag};
use super::tags::is_ours;
use super::{adoption, drift_repair, force, in_use_without_attachment, instance};
use crate::api_time::whole_second;
use crate::ec2_errors::{Call, Class};
use crate::failure::{Failure, PASSING};
use crate::gates::instance_type::{Hold, is_of_an_index};
use crate::gates::quota;
use crate::gates::subnet::{Standing, SubnetDecision, needed};
use crate::instance_life::Life;
use crate::observed::{AttachmentState, Observation, ObservedAttachment, ObservedEni, ObservedSubnet};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::client_token;
use multi_eni_api::{DeviceIndexPolicy, EniRequest};
use std::ops::ControlFlow;

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

/// Decides on the Create. It may be repeated within the lifetime of its token. After that a new attempt begins, but only
/// once it is certain that no ENI exists.
fn create(input: &Input<'_>, by_tag: Timestamp) -> (Action, Report) {
    let report = match reported_failure(input) {
        Some(failure) if failure.class == Class::SubnetFull => {
            Report::create_failed(&failure).in_subnet(&input.attachment.request.subnet_id)
        }
        Some(failure) => Report::create_failed(&failure),
        None => Report::pending("the ENI is being created"),
    };
    if input.node_leaving {
        return (Action::Wait, Report::pending("the Node is being deleted: no ENI is created for it"));
    }
    // A gone instance is reported before any gate, so that the report does not depend on the gates.
    if let Some(next) = instance::known_before_create(input) {
        return next;
    }
    let own = input.call_history.failure.as_ref().filter(|failure| failure.call == Call::Create);
    match own {
        Some(own) if input.quota.governs(own) => {
            if let Some((_, at)) = held_back(input) {
                return (Action::Wait, waiting(input, subnet_of(input).1, report).until(at));
            }
        }
        _ => {
            if let Some(at) = not_before(input, Call::Create) {
                return (Action::Wait, report.until(at));
            }
        }
    }
    if let Some(full) = own.filter(|failure| failure.class == Class::SubnetFull) {
        return full_subnet(input, full, report);
    }
    let report = match held_by_others(input, report) {
        ControlFlow::Continue(report) => report,
        ControlFlow::Break(waits) => return waits,
    };
    let status = &input.attachment.status;
    let (began, counted) = match (&status.attempt_started_at, status.attempt) {
        (Some(at), 1..) => (at.0, true),
        _ => (input.attachment.created, false),
    };
    // A failure of an earlier attempt does not count. Times are compared in whole seconds, as they are stored; the wait
    // is at least one second.
    let of_this_attempt = |failure: &Failure| !counted || whole_second(failure.at).0 >= began;
    let mismatch = own.is_some_and(|failure| failure.class == Class::TokenMismatch && of_this_attempt(failure));
    let token_safe = began.saturating_add(input.settings.token_lifetime).is_ok_and(|end| input.now < end);
    if !token_safe || mismatch || input.call_history.create_unknown.is_some_and(|_| limit_stands(input)) {
        // The token no longer prevents a second ENI, so a lookup must prove that no ENI exists.
        if let Some(since) = input.call_history.may_exist_since()
            && !past_lag(input, by_tag, since)
        {
            let at = since.saturating_add(input.settings.lag).unwrap_or(Timestamp::MAX);
            let report = report.or_message("looking up an ENI that an earlier attempt may have created");
            return if input.now >= at { (Action::LookupByTag, report) } else { (Action::Wait, report.until(at)) };
        }
        if !token_safe || mismatch {
            return (Action::NextAttempt, report);
        }
    }
    create_now(input, report)
}

/// The failure of the Create to report. It is the last failure of this process, or the error in the status, which may be
/// a refusal of others that was reported here. The gates' latest failure is not used: it changes while others take turns,
/// and each change would be a write.
fn reported_failure(input: &Input<'_>) -> Option<Failure> {
    let is_create = |failure: &Failure| failure.call == Call::Create;
    let own = input.call_history.failure.as_ref();
    if own.is_some() {
        // EC2 may have granted this action to others since the failure. The failure is then no problem until this Create
        // is tried again.
        return own.filter(|failure| is_create(failure) && !input.permissions.is_granted(failure)).cloned();
    }
    Failure::recorded(input.attachment, input.call_history.acting_since).filter(is_create)
}

/// The failure that closed the quota gate, and until when the gate holds this Create back.
fn held_back<'a>(input: &Input<'a>) -> Option<(&'a Failure, Timestamp)> {
    input.quota.holds_back(input.now, input.settings.blocked_recheck, input.call_history.woken)
}

/// A refusal of others holds for this Create too. While the refusal stands nothing is begun, not even another attempt.
/// Breaks with the action and report until then.
fn held_by_others(input: &Input<'_>, report: Report) -> ControlFlow<(Action, Report), Report> {
    if let Some(waits) = held_by_type(input) {
        return ControlFlow::Break(waits);
    }
    let request = &input.attachment.request;
    let (subnet, observed_subnet) = subnet_of(input);
    let refused = input.permissions.holds_back(Call::Create, input.now, input.call_history.woken);
    let refused = refused.filter(|_| !has_failed(input));
    if let Some((_, at)) = held_back(input).or(refused) {
        return ControlFlow::Break((Action::Wait, waiting(input, observed_subnet, report).until(at)));
    }
    match (input.subnets.judge(request, observed_subnet, input.now, input.settings.subnet_cooldown), subnet) {
        (SubnetDecision::Lookup, Some(subnet)) => {
            ControlFlow::Break((Action::LookupSubnet(subnet), waiting(input, observed_subnet, report)))
        }
        (SubnetDecision::Wait(at), _) => {
            ControlFlow::Break((Action::Wait, waiting(input, observed_subnet, report).until(at)))
        }
        // The instance is looked up only once the gates are open: a Create that waits for room asks for no lookup.
        (SubnetDecision::Lookup, None) | (SubnetDecision::Try, _) => match instance::before_create(input) {
            Some(next) => ControlFlow::Break(next),
            None => ControlFlow::Continue(report),
        },
    }
}

/// The action and report while EC2 would not attach the ENI to an instance of this type, or while the first ENI on such an instance
/// is tried.
fn held_by_type(input: &Input<'_>) -> Option<(Action, Report)> {
    let (gate, subject) = input.instance_type?;
    match gate.holds_back(&input.attachment.uid, &subject, input.now)? {
        Hold::Refused(failure, next) => {
            let report = Report::type_refused(subject.kind, failure);
            let report = if chooses_another_index(input, failure) { report.moving(failure) } else { report };
            Some((Action::Wait, report.until(next)))
        }
        Hold::Probing(until) => Some((Action::Wait, Report::type_unproven(&subject).until(until))),
    }
}

/// The subnet of the ENIAttachment, and what is known of the subnet.
fn subnet_of<'a>(input: &Input<'a>) -> (Option<SubnetId>, Option<&'a ObservedSubnet>) {
    let subnet = SubnetId::parse(&input.attachment.request.subnet_id).ok();
    let observed_subnet = subnet.as_ref().and_then(|subnet| input.catalog.subnets.get(subnet));
    (subnet, observed_subnet)
}

/// Whether the recorded failure of this ENIAttachment is of its own Create.
fn has_failed(input: &Input<'_>) -> bool {
    input.call_history.failure.as_ref().is_some_and(|own| own.call == Call::Create)
}

/// The refusals of others that stand: of the quota or the action, and of the subnet. They do not depend on whether a
/// waiting Create may try at this moment.
fn stands<'a>(
    input: &Input<'a>,
    observed_subnet: Option<&ObservedSubnet>,
) -> (Option<&'a Failure>, Option<Standing<'a>>) {
    let probed = input.permissions.standing(Call::Create).filter(|_| !has_failed(input));
    (input.quota.standing().or(probed), input.subnets.standing(&input.attachment.request, observed_subnet))
}

/// The report while the Create waits for others. It does not depend on which gate holds the Create back at this moment,
/// because that changes with each answer to others. An own failure that needs a user comes first, then a subnet that
/// shows no room, then a refusal.
fn waiting(input: &Input<'_>, observed_subnet: Option<&ObservedSubnet>, report: Report) -> Report {
    let request = &input.attachment.request;
    let (refused, subnets) = stands(input, observed_subnet);
    let is_own = |own: &Failure| own.needs_a_person() && (refused.is_none() || own.code != quota::CODE);
    if reported_failure(input).is_some_and(|own| is_own(&own)) {
        // This ENIAttachment's own failure stands until its Create is tried again.
        return report;
    }
    match (refused, subnets) {
        (_, Some(Standing::Short)) => Report::short_of_addresses(request),
        (Some(refused), _) => Report::create_failed(refused),
        (None, Some(Standing::Refused(full))) => Report::create_failed(full).in_subnet(&request.subnet_id),
        // This lasts for moments, so the reported status stands.
        (None, Some(Standing::Busy)) => report.unchanged(),
        (None, None) => report,
    }
}

fn create_now(input: &Input<'_>, report: Report) -> (Action, Report) {
    match held_by_others(input, report) {
        ControlFlow::Continue(report) => {
            let (_, observed_subnet) = subnet_of(input);
            // The Create may be withdrawn before it is sent. The reported status stands until there is an answer.
            let report = if stands(input, observed_subnet) == (None, None) { report } else { report.unchanged() };
            let token = client_token(&input.attachment.uid, input.attachment.status.attempt);
            (Action::Create { token, may_repeat: input.call_history.may_repeat_a_create(input.attachment) }, report)
        }
        ControlFlow::Break(waits) => waits,
    }
}

/// After a full subnet refused the Create, the subnet is described again. The Create is not sent before the subnet shows
/// room.
fn full_subnet(input: &Input<'_>, full: &Failure, report: Report) -> (Action, Report) {
    let Ok(subnet) = SubnetId::parse(&input.attachment.request.subnet_id) else { return (Action::Wait, report) };
    match input.catalog.subnets.get(&subnet).filter(|observed_subnet| observed_subnet.as_of > full.at) {
        Some(observed_subnet) if has_room(&input.attachment.request, observed_subnet, full, input.now) => {
            create_now(input, report)
        }
        Some(observed_subnet) => {
            let again = observed_subnet.as_of.saturating_add(input.settings.subnet_cooldown).unwrap_or(Timestamp::MAX);
            if input.now >= again || input.call_history.is_woken_after(observed_subnet.as_of) {
                (Action::LookupSubnet(subnet), report)
            } else {
                (Action::Wait, report.until(again))
            }
        }
        None => (Action::LookupSubnet(subnet), report),
    }
}

/// After this time a block of addresses that EC2 refused is requested again, whatever the subnet shows.
const BLOCK_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// Whether a subnet that was full seems to have room now. EC2 does not show how the free addresses lie. So a refused
/// block is requested again in one of three cases. The number of free addresses has grown since the failure. Or the
/// failure is among the first three, because addresses that were freed between a failure and the next lookup do not show
/// as growth. Or [`BLOCK_AGAIN`] has passed, because others may free and take addresses without a change of the number.
fn has_room(request: &EniRequest, observed_subnet: &ObservedSubnet, full: &Failure, now: Timestamp) -> bool {
    let blocks = request.ipv4_prefix_count.unwrap_or(0);
    // A subnet without IPv4 has no number of free IPv4 addresses.
    let fits = observed_subnet.cidr.is_empty() || observed_subnet.free_addresses >= needed(request);
    let has_waited = now.duration_since(full.at) >= BLOCK_AGAIN;
    fits && (blocks == 0 || full.count <= 3 || has_waited || observed_subnet.grown.is_some_and(|at| at > full.at))
}

fn limit_stands(input: &Input<'_>) -> bool {
    input.call_history.failure.as_ref().is_some_and(|f| f.call == Call::Create && f.class == Class::Limit)
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

/// The ENI is available: decides on the Attach.
fn attach(input: &Input<'_>, eni: &ObservedEni) -> (Action, Report) {
    let Some(instance) = input.attachment.instance.clone() else {
        return (Action::Wait, Report::blocked("BadInstanceID", "spec.instanceID is not an instance ID".to_owned()));
    };
    let (card, index) = input.attachment.slot();
    if input.node_leaving {
        return (Action::Wait, Report::attaching("the Node is being deleted: no ENI is attached to it".to_owned()));
    }
    if let Some(next) = instance::before_attach(input, eni) {
        return next;
    }
    let attach = Action::Attach { eni: eni.id.clone(), instance, card, index };
    if let Some(failure) = input.call_history.failure.as_ref().filter(|failure| failure.call == Call::Attach) {
        let report = Report::attach_failed(failure);
        let report = if chooses_another_index(input, failure) { report.moving(failure) } else { report };
        // After "in use", "slot taken", "not found" or no answer, a lookup of the ENI comes before the next try.
        let ask_ec2 = match failure.class {
            Class::SlotTaken | Class::AlreadySo | Class::EniNotFound | Class::Unknown => eni.as_of() <= failure.at,
            // The ENI may be gone, or EC2 may not see its tags yet.
            Class::Unauthorized => failure.count <= PASSING && eni.as_of() <= failure.at,
            _ => false,
        };
        return match not_before(input, Call::Attach) {
            _ if ask_ec2
                && input.now >= failure.at.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX) =>
            {
                (Action::LookupById(eni.id.clone()), report)
            }
            Some(at) if ask_ec2 => (
                Action::Wait,
                report.until(at.min(failure.at.saturating_add(SignedDuration::from_secs(1)).unwrap_or(at))),
            ),
            Some(at) => (Action::Wait, report.until(at)),
            None => (attach, report),
        };
    }
    let report = Report::attaching(format!("{} is being attached at device index {index}", eni.id));
    // If somebody detaches the ENI repeatedly, it is attached more and more rarely.
    match input.call_history.repairs.detached(input.now) {
        Some((UNDONE_OFTEN.., again)) if input.now < again => {
            let message =
                format!("another actor repeatedly detaches {}: the controller attaches it again later", eni.id);
            (Action::Wait, Report::attaching(message).until(again))
        }
        _ => (attach, report),
    }
}

/// Whether `assign` deletes this ENI soon and gives another one the next free index: `deviceIndexPolicy: highestFree`, the slot is
/// occupied or the instance type does not have this index, and the ENI was never attached.
fn chooses_another_index(input: &Input<'_>, failure: &Failure) -> bool {
    input.spec.is_some_and(|spec| spec.index_policy == DeviceIndexPolicy::HighestFree)
        && (failure.class == Class::SlotTaken || is_of_an_index(failure))
        && input.attachment.adopted.is_none()
        && !input.attachment.was_attached()
}

fn attached(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let (card, index) = input.attachment.slot();
    if at.instance != input.attachment.instance || (at.card, at.index) != (card, index) {
        let place = at.instance.as_ref().map_or_else(|| "another account's instance".to_owned(), ToString::to_string);
        let message = format!(
            "another actor attached {} to {place} at device index {}; the controller does not detach it there: detach it, and \
             the controller attaches it here again",
            eni.id, at.index
        );
        return lookup_again(input, eni, Report::blocked("AttachedElsewhere", message));
    }
    match at.state {
        AttachmentState::Attaching => attaching(input, eni, at),
        AttachmentState::Detaching => detaching(input, eni, at),
        AttachmentState::Attached => drift_repair::next(input, eni, at),
    }
}

/// EC2 is detaching the ENI: somebody detached it, or this controller did because it was stuck. The ENI is attached again
/// once it is free.
fn detaching(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let report = Report::attaching(format!("EC2 is detaching {}: the controller attaches it again afterwards", eni.id));
    let force_at = force::due(input, at).unwrap_or(Timestamp::MAX);
    if input.now < force_at {
        return (Action::Wait, report.until(force_at));
    }
    if eni.as_of() < force_at {
        // An older observation does not prove that the ENI is still detaching.
        return (Action::LookupById(eni.id.clone()), report);
    }
    match not_before(input, Call::Detach).max(forced_until(input, eni, force_at)) {
        Some(again) => (Action::Wait, report.until(again)),
        None => {
            let detach = Action::Detach { eni: eni.id.clone(), attachment: at.id.clone(), force: true };
            (observe_first(input, Call::Detach, eni).unwrap_or(detach), report)
        }
    }
}

/// EC2 is attaching the ENI. EC2 gives no limit for this: usually it takes seconds, rarely minutes, sometimes forever.
fn attaching(input: &Input<'_>, eni: &ObservedEni, at: &ObservedAttachment) -> (Action, Report) {
    let settings = input.settings;
    let end = |wait| at.since.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let usual = Report::attaching(format!("EC2 is attaching {} at device index {}", eni.id, at.index));
    let stuck = Report::stuck(format!(
        "EC2 has been attaching {} since {}: if this lasts, the controller detaches it and retries",
        eni.id, at.since
    ));
    if input.now < end(settings.attaching_warn) {
        return (Action::Wait, usual.until(end(settings.attaching_warn)));
    }
    if input.now < end(settings.attaching_detach) {
        return (Action::Wait, stuck.until(end(settings.attaching_detach)));
    }
    // A plain Detach comes first, because it leaves the slot usable.
    let force_at = force::due(input, at).filter(|force_at| input.now >= *force_at);
    if eni.as_of() < force_at.unwrap_or(end(settings.attaching_detach)) {
        // An older observation does not prove that the ENI is still stuck.
        return (Action::LookupById(eni.id.clone()), stuck);
    }
    let forced = force_at.and_then(|force_at| forced_until(input, eni, force_at));
    let failure = input.call_history.failure.as_ref().filter(|failure| failure.call == Call::Detach);
    let stuck = match failure.filter(|failure| failure.needs_a_person()) {
        Some(failure) => Report::detach_failed(failure),
        None => stuck,
    };
    match not_before(input, Call::Detach).max(forced) {
        Some(at) => (Action::Wait, stuck.until(at)),
        None => {
            let detach = Action::Detach { eni: eni.id.clone(), attachment: at.id.clone(), force: force_at.is_some() };
            (observe_first(input, Call::Detach, eni).unwrap_or(detach), stuck)
        }
    }
}

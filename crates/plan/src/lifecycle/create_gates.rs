//! What holds a Create back for all that wait for the same: the Region's quota, a missing permission, a full subnet, a limit of the
//! instance type. It is given the gates, and reports why the Create waits. It sends no call.

use super::action::Action;
use super::another_index::chooses_another_index;
use super::input::Input;
use super::instance;
use super::report::Report;
use crate::ec2_errors::Call;
use crate::failure::Failure;
use crate::gates::instance_type::Hold;
use crate::gates::quota;
use crate::gates::subnet::{Standing, SubnetDecision};
use crate::observed::ObservedSubnet;
use jiff::Timestamp;
use multi_eni_api::ids::SubnetId;
use std::ops::ControlFlow;

/// The failure of the Create to report. It is the last failure of this process, or the error in the status, which may be
/// a refusal of others that was reported here. The gates' latest failure is not used: it changes while others take turns,
/// and each change would be a write.
pub(super) fn reported_failure(input: &Input<'_>) -> Option<Failure> {
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
pub(super) fn held_back<'a>(input: &Input<'a>) -> Option<(&'a Failure, Timestamp)> {
    input.quota.holds_back(input.now, input.settings.blocked_recheck, input.call_history.woken)
}

/// A refusal of others holds for this Create too. While the refusal stands nothing is begun, not even another attempt.
/// Breaks with the action and report until then.
pub(super) fn held_by_others(input: &Input<'_>, report: Report) -> ControlFlow<(Action, Report), Report> {
    let report = held_by_type(input, report)?;
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
fn held_by_type(input: &Input<'_>, report: Report) -> ControlFlow<(Action, Report), Report> {
    let Some((gate, subject)) = input.instance_type else { return ControlFlow::Continue(report) };
    let report = match gate.holds_back(&input.attachment.uid, &subject, input.now) {
        None => return ControlFlow::Continue(report),
        Some(Hold::Refused(failure, next)) => {
            let report = Report::type_refused(subject.kind, failure);
            let report = if chooses_another_index(input, failure) { report.moving(failure) } else { report };
            report.until(next)
        }
        Some(Hold::Probing(until)) => {
            // While others take turns to try the type, this gate opens and closes. What else holds the Create back stands all the time.
            let (_, observed_subnet) = subnet_of(input);
            let report = match stands(input, observed_subnet) {
                (None, None) => Report::type_unproven(&subject),
                (_, Some(_)) | (Some(_), _) => waiting(input, observed_subnet, report),
            };
            report.until(until)
        }
        Some(Hold::First(until)) => report.silent().until(until),
    };
    ControlFlow::Break((Action::Wait, report))
}

/// The subnet of the ENIAttachment, and what is known of the subnet.
pub(super) fn subnet_of<'a>(input: &Input<'a>) -> (Option<SubnetId>, Option<&'a ObservedSubnet>) {
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
pub(super) fn stands<'a>(
    input: &Input<'a>,
    observed_subnet: Option<&ObservedSubnet>,
) -> (Option<&'a Failure>, Option<Standing<'a>>) {
    let probed = input.permissions.standing(Call::Create).filter(|_| !has_failed(input));
    (input.quota.standing().or(probed), input.subnets.standing(&input.attachment.request, observed_subnet))
}

/// The report while the Create waits for others. It does not depend on which gate holds the Create back at this moment,
/// because that changes with each answer to others. An own failure that needs a user comes first, then a subnet that
/// shows no room, then a refusal.
pub(super) fn waiting(input: &Input<'_>, observed_subnet: Option<&ObservedSubnet>, report: Report) -> Report {
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

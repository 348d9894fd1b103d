//! Decides on the Create of an ENI that does not exist yet: now, after a lookup, with another ClientToken, or not before a gate opens.
//! It never deletes an ENI.

use super::action::Action;
use super::create_gates::{held_back, held_by_others, reported_failure, stands, subnet_of, waiting};
use super::input::Input;
use super::instance;
use super::report::Report;
use super::retry::{not_before, past_lag};
use crate::api_time::whole_second;
use crate::ec2_errors::{Call, Class};
use crate::failure::Failure;
use crate::gates::subnet::needed;
use crate::observed::ObservedSubnet;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::EniRequest;
use multi_eni_api::ids::SubnetId;
use multi_eni_api::names::client_token;
use std::ops::ControlFlow;

/// Decides on the Create. It may be repeated within the lifetime of its token. After that a new attempt begins, but only
/// once it is certain that no ENI exists.
pub(super) fn create(input: &Input<'_>, by_tag: Timestamp) -> (Action, Report) {
    let report = match reported_failure(input) {
        Some(failure) if failure.class == Class::SubnetFull => {
            Report::create_failed(&failure).in_subnet(&input.attachment.request.subnet_id)
        }
        Some(failure) => Report::create_failed(&failure),
        None => Report::pending("the ENI is being created"),
    };
    if input.is_node_leaving() {
        return (Action::Wait, Report::pending("the Node is being deleted: no ENI is created for it"));
    }
    // A gone instance is reported before any gate, so that the report does not depend on the gates.
    if let Some(next) = instance::known_not_alive(input) {
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

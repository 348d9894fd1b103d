//! The status that belongs to a step: phase, conditions and last error. It is given the action and the report of the decision. It
//! decides no action.

use super::action::{Action, Step};
use super::configured;
use super::drift::tags_set;
use super::drift_cause::agreement_after;
use super::force;
use super::input::Input;
use super::report::Report;
use crate::account_and_region;
use crate::api_time::whole_second;
use crate::observed::Observation;
use compact_str::CompactString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::{self, ConditionUpdate, types};

/// Makes the step with the status that belongs to it.
pub(super) fn complete(input: &Input<'_>, action: Action, report: Report) -> Step {
    let agreement = agreement_after(input);
    let mut status = input.attachment.status.clone();
    let Report { phase, reason, message, attached, error, until, tells_nothing_new, is_silent, device_return } = report;
    if is_silent || tells_nothing_new && !status.conditions.is_empty() {
        return Step { action, status, recheck: until, device_return, agreement };
    }
    status.phase = phase;
    status.last_error = error.map(|mut error| {
        // A repeated error must cost no write. It keeps the time at which it began. Its count never falls, even if the
        // reported failure is now another ENIAttachment's, with a lower count.
        match &input.attachment.status.last_error {
            Some(previous) if previous.code == error.code && previous.action == error.action => {
                error.at = previous.at.clone();
                error.count = error.count.max(previous.count);
            }
            _ if error.at.is_none() => error.at = Some(whole_second(input.now)),
            _ => {}
        }
        error
    });
    let seen = if let Observation::Seen(eni) = input.observation { eni.attachment.as_ref() } else { None };
    let (detaching_since, noted_at) = force::to_be_noted(input, seen);
    status.detaching_since = detaching_since.map(Time);
    let until = until.into_iter().chain(noted_at).min();
    if let Observation::Seen(eni) = input.observation {
        status.eni_id = Some(eni.id.to_string());
        status.mac_address = Some(eni.mac.to_string()).filter(|mac| !mac.is_empty());
        let texts = |list: &[CompactString]| list.iter().map(ToString::to_string).collect();
        status.private_ips = texts(&eni.private_ips);
        status.ipv6_addresses = texts(&eni.ipv6.addresses);
        status.ipv4_prefixes = texts(&eni.ipv4_prefixes);
        status.ipv6_prefixes = texts(&eni.ipv6.prefixes);
        // While the ENIAttachment is being deleted, the attachment ID stays. It shows a later process that the node is
        // without its ENI until the next ENI is ready.
        if eni.attachment.is_some() || input.attachment.deleting.is_none() {
            status.attachment_id = eni.attachment.as_ref().map(|at| at.id.clone());
        }
        if input.attachment.status.eni_id != status.eni_id {
            // These fields describe the former ENI.
            status.owner_id = None;
            status.availability_zone = None;
            status.region = None;
        }
    }
    if let Some(tags) = tags_set(input, &action) {
        status.tags_set = tags;
    }
    let created = status.eni_id.is_some() && phase_has_eni(input);
    let word = if created { "Created" } else { reason.as_str() };
    let created = ConditionUpdate::new(
        types::CREATED,
        created,
        word,
        if created { "the ENI exists on EC2".to_owned() } else { message.clone() },
    );
    let is_live = input.attachment.deleting.is_none();
    let attached_now = ConditionUpdate::new(types::ATTACHED, attached, reason.clone(), message.clone());
    for wanted in [created, attached_now] {
        conditions::set(&mut status.conditions, wanted, input.attachment.generation, input.now);
    }
    let not_configured = (attached && is_live && input.settings.node_agent)
        .then(|| configured::missing(input, &status, &message))
        .flatten();
    let (ready, until) = match not_configured {
        Some(why) => {
            let until = until.into_iter().chain(why.until).min();
            (ConditionUpdate::new(types::READY, false, why.reason, why.message), until)
        }
        None if attached && is_live => {
            let follows_by = configured::follows_by(input).filter(|_| input.settings.node_agent);
            (ConditionUpdate::new(types::READY, true, "Ready", message), until.into_iter().chain(follows_by).min())
        }
        None => (ConditionUpdate::new(types::READY, false, reason, message), until),
    };
    conditions::set(&mut status.conditions, ready, input.attachment.generation, input.now);
    if action == Action::NextAttempt {
        // The number is stored before the Create is sent, so that no two processes use one token for different requests.
        status.attempt = status.attempt.saturating_add(1);
        status.attempt_started_at = Some(whole_second(input.now));
    }
    if has_no_generations(&input.attachment.status) && without_generations(&status) == input.attachment.status {
        // A status of an earlier version has no observedGeneration, which is not worth a write of its own.
        status.conditions.clone_from(&input.attachment.status.conditions);
    }
    if let Observation::Seen(eni) = input.observation
        && status != input.attachment.status
    {
        // These fields prove the account and Region. They are written only together with another change: a status of an
        // earlier version that lacks them is not worth a write of its own.
        status.owner_id = Some(eni.owner.to_string()).filter(|owner| !owner.is_empty());
        status.availability_zone = Some(eni.zone.to_string()).filter(|zone| !zone.is_empty());
        status.region = account_and_region::region_of(&eni.zone);
    }
    Step { action, status, recheck: until, device_return, agreement }
}

fn has_no_generations(status: &EniAttachmentStatus) -> bool {
    status.conditions.iter().all(|condition| condition.observed_generation.is_none())
}

fn without_generations(status: &EniAttachmentStatus) -> EniAttachmentStatus {
    let mut status = status.clone();
    status.conditions.iter_mut().for_each(|condition| condition.observed_generation = None);
    status
}

fn phase_has_eni(input: &Input<'_>) -> bool {
    match input.observation {
        Observation::Seen(_) => true,
        Observation::Blind => input.attachment.status.eni_id.is_some(),
        Observation::Absent { .. } => false,
    }
}

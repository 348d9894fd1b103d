//! Decides whether the instance must be looked up: an ENI vanished or came loose, an Attach was refused for the instance,
//! or much time has passed. Until the instance is known to live, no ENI is called lost, created or attached. Two calls need no
//! lookup: the Create of a young ENIAttachment, and the first Attach of an ENI. If the instance has gone, EC2 refuses them.

use super::action::Action;
use super::input::Input;
use super::report::Report;
use crate::assign::INSTANCE_GONE;
use crate::ec2_errors::{Call, Class};
use crate::instance_life::{InstanceObservation, Life, NODE_OUTLIVES};
use crate::message_time::second;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::InstanceId;

/// None if the instance lives, by a lookup that began at `after` or later. Otherwise the action to take, which never
/// changes anything on EC2.
pub(super) fn unless_it_lives(input: &Input<'_>, after: Timestamp) -> Option<(Action, Report)> {
    let instance = input.attachment.instance.as_ref()?;
    if let Some(lookup) = input.instance.filter(|lookup| lookup.life() != Life::Alive) {
        return Some(not_alive(input, instance, lookup));
    }
    if input.instance.is_some_and(|lookup| lookup.as_of >= after) {
        return None;
    }
    let report = match input.states_failure {
        Some(failure) => {
            let report_at = failure.report_at();
            if input.now >= report_at {
                let message = format!(
                    "it is not known whether the instance {instance} still runs, so nothing is done: {failure}"
                );
                Report::not_known("InstanceStateUnknown", message)
            } else {
                lookup_pending(instance).until(report_at)
            }
        }
        None => lookup_pending(instance),
    };
    Some((Action::LookupInstance(instance.clone()), report))
}

fn lookup_pending(instance: &InstanceId) -> Report {
    Report::lookup_pending(format!("checking whether the instance {instance} still runs"))
}

fn not_alive(input: &Input<'_>, instance: &InstanceId, lookup: InstanceObservation) -> (Action, Report) {
    let report = if lookup.life() == Life::Gone { gone(input, instance) } else { lookup_pending(instance) };
    if lookup.is_reported_gone() {
        return (Action::Wait, report);
    }
    // A lookup that does not show the instance is no proof. A later one may show it.
    let again = lookup.again_at();
    if input.now >= again {
        (Action::LookupInstance(instance.clone()), report)
    } else {
        (Action::Wait, report.until(again))
    }
}

/// Reports that the instance is gone. Its Node usually follows. A Node that stays longer than [`NODE_OUTLIVES`] is a
/// problem.
fn gone(input: &Input<'_>, instance: &InstanceId) -> Report {
    let recorded = input.attachment.status.last_error.as_ref().filter(|error| error.code == INSTANCE_GONE);
    let since = recorded.and_then(|error| error.at.as_ref()).map_or(input.now, |at| at.0);
    let report_at = since.saturating_add(NODE_OUTLIVES).unwrap_or(Timestamp::MAX);
    if input.now < report_at {
        let message = format!(
            "the instance {instance} is gone: no ENI is created or attached, and the Node is expected to be deleted"
        );
        return Report::instance_gone(message, false).until(report_at);
    }
    let message = format!(
        "the instance {instance} has been gone since {}, but Node {} still exists: delete the Node, or find out why the cloud \
         controller does not delete it",
        second(since),
        input.attachment.node
    );
    Report::instance_gone(message, true)
}

/// Checks the instance before an Attach: after an Attach that was refused for the instance, and for an ENI that was attached before.
/// The first Attach of an ENI asks for no lookup: if the instance has gone, EC2 refuses the Attach, which costs as much as the
/// lookup. In a burst of minutes each ENI would need a lookup of its own.
pub(super) fn before_attach(input: &Input<'_>) -> Option<(Action, Report)> {
    let refused = input.call_history.failure.as_ref().filter(|failure| {
        failure.call == Call::Attach && matches!(failure.class, Class::InstanceNotFound | Class::InstanceState)
    });
    if let Some(failure) = refused {
        return unless_it_lives(input, failure.at);
    }
    let came_loose = input.attachment.status.attachment_id.is_some();
    if came_loose { unless_it_lives(input, lately(input)) } else { known_not_alive(input) }
}

/// Checks the instance before a Create for an ENIAttachment that is older than [`LATELY`]: the instance may have gone since the
/// ENIAttachment was created.
pub(super) fn before_create(input: &Input<'_>) -> Option<(Action, Report)> {
    (input.attachment.created < lately(input)).then(|| unless_it_lives(input, lately(input)))?
}

/// The same by the last lookup. It asks for no lookup of an instance that is not in doubt.
pub(super) fn known_not_alive(input: &Input<'_>) -> Option<(Action, Report)> {
    let instance = input.attachment.instance.as_ref().filter(|_| input.attachment.created < lately(input))?;
    let lookup = input.instance.filter(|lookup| lookup.life() != Life::Alive)?;
    Some(not_alive(input, instance, lookup))
}

fn lately(input: &Input<'_>) -> Timestamp {
    input.now.saturating_sub(LATELY).unwrap_or(Timestamp::MIN)
}

/// Maximum age of an instance's lookup when an ENI is created or attached for the instance.
const LATELY: SignedDuration = SignedDuration::from_secs(60);

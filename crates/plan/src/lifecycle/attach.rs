//! Decides on the Attach of an ENI that is available. It never deletes an ENI.

use super::action::Action;
use super::another_index::chooses_another_index;
use super::input::Input;
use super::instance;
use super::repair_history::UNDONE_OFTEN;
use super::report::Report;
use super::retry::not_before;
use crate::ec2_errors::{Call, Class};
use crate::failure::{Failure, PASSING};
use crate::gates::instance_type::is_of_a_type;
use crate::observed::ObservedEni;
use jiff::{SignedDuration, Timestamp};

/// The ENI is available: decides on the Attach.
pub(super) fn attach(input: &Input<'_>, eni: &ObservedEni) -> (Action, Report) {
    let Some(instance) = input.attachment.instance.clone() else {
        return (Action::Wait, Report::blocked("BadInstanceID", "spec.instanceID is not an instance ID".to_owned()));
    };
    let (card, index) = input.attachment.slot();
    if input.is_node_leaving() {
        return (Action::Wait, Report::attaching("the Node is being deleted: no ENI is attached to it".to_owned()));
    }
    if let Some(next) = instance::before_attach(input) {
        return next;
    }
    let attach = Action::Attach { eni: eni.id.clone(), instance, card, index };
    if let Some(failure) = input.call_history.failure.as_ref().filter(|failure| failure.call == Call::Attach) {
        let report = Report::attach_failed(failure);
        let report = if lacks_type(input, failure) { report.without_type() } else { report };
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

/// Whether a limit of the instance type is the cause of the failure, and the Node has no label with its type. With the label the limits
/// are checked before an ENI is created.
fn lacks_type(input: &Input<'_>, failure: &Failure) -> bool {
    input.node.is_some_and(|node| node.instance_type.is_none()) && is_of_a_type(&failure.code, &failure.message)
}

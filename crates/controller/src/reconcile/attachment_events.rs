//! The Events on an ENIAttachment: when it is blocked, when it goes on after that, and when its ENI is detached although its device was
//! not given back. An ENI that is attached without a problem has one Event, which is about the Node. As for a NodeENI, an Event comes
//! with the first try to write the status, and is not repeated while the phase and the reason stay.

use super::reconciler::Reconciler;
use crate::events::{NewEvent, Regarding};
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::types;
use multi_eni_api::eniattachment::Phase;
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::device_return::NOT_RETURNED;

impl Reconciler {
    /// Publishes the Event on the ENIAttachment that belongs to its new status, if there is one.
    pub(super) fn publish_on_attachment(&mut self, attachment: &Attachment, status: &EniAttachmentStatus) {
        if let Some(event) = event_of(attachment, status) {
            self.publish(event);
        }
    }
}

fn event_of(attachment: &Attachment, status: &EniAttachmentStatus) -> Option<NewEvent> {
    let (was, is) = (ready(&attachment.status), ready(status)?);
    let was_blocked = attachment.status.phase == Phase::Blocked;
    let event = |warning, reason, action, note| {
        let regarding = Regarding::Attachment { name: attachment.name.clone(), uid: attachment.uid.clone() };
        Some(NewEvent { regarding, warning, reason, action, note })
    };
    if was_blocked && is.holds {
        return event(false, "Attached", "Attach", is.message.to_owned());
    }
    if was_blocked && status.phase != Phase::Blocked {
        return event(false, "Unblocked", "Reconcile", format!("{}: {}", is.reason, is.message));
    }
    if is.reason == NOT_RETURNED && was.as_ref().is_none_or(|was| was.reason != NOT_RETURNED) {
        return event(true, NOT_RETURNED, "Detach", is.message.to_owned());
    }
    if status.phase == Phase::Blocked && !(was_blocked && was.is_some_and(|was| was.reason == is.reason)) {
        return event(true, "Blocked", "Reconcile", format!("{}: {}", is.reason, is.message));
    }
    None
}

/// The condition Ready.
struct Ready<'a> {
    holds: bool,
    reason: &'a str,
    message: &'a str,
}

fn ready(status: &EniAttachmentStatus) -> Option<Ready<'_>> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == types::READY)?;
    Some(Ready { holds: condition.status == "True", reason: &condition.reason, message: &condition.message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use multi_eni_api::conditions::{self, ConditionUpdate};
    use multi_eni_api::{ENIAttachment, EniAttachmentSpec};

    fn status(phase: Phase, is_ready: bool, reason: &str, message: &str) -> EniAttachmentStatus {
        let mut status = EniAttachmentStatus { phase, ..EniAttachmentStatus::default() };
        let update = ConditionUpdate::new(types::READY, is_ready, reason.to_owned(), message.to_owned());
        conditions::set(&mut status.conditions, update, None, Timestamp::UNIX_EPOCH);
        status
    }

    fn event(before: EniAttachmentStatus, after: &EniAttachmentStatus) -> Option<(bool, &'static str, String)> {
        let mut object = ENIAttachment::new("pool-0a1b2c3d-i-0123456789abcdef0-0-2", EniAttachmentSpec::default());
        object.metadata.uid = Some("u".to_owned());
        object.status = Some(before);
        let event = event_of(&Attachment::read(&object), after)?;
        let regarding =
            Regarding::Attachment { name: "pool-0a1b2c3d-i-0123456789abcdef0-0-2".to_owned(), uid: "u".to_owned() };
        assert_eq!(event.regarding, regarding);
        Some((event.warning, event.reason, event.note))
    }

    #[test]
    fn an_event_comes_when_it_goes_on_after_a_problem_and_not_again() {
        let blocked = || status(Phase::Blocked, false, "SubnetFull", "no address");
        let attached = status(Phase::Attached, true, "Ready", "eni-1 is attached");
        assert_eq!(event(EniAttachmentStatus::default(), &attached), None, "the Event is about the Node");
        assert_eq!(event(blocked(), &attached), Some((false, "Attached", "eni-1 is attached".to_owned())));
        let attaching = status(Phase::Attaching, false, "Attaching", "EC2 is attaching eni-1");
        let unblocked = Some((false, "Unblocked", "Attaching: EC2 is attaching eni-1".to_owned()));
        assert_eq!(event(blocked(), &attaching), unblocked);
        assert_eq!(event(attaching, &attached), None);
        let changed = status(Phase::Attached, true, "Ready", "eni-1 is attached, and its tags differ");
        assert_eq!(event(attached, &changed), None);
    }

    #[test]
    fn a_warning_comes_once_when_an_eni_is_detached_whose_device_was_not_given_back() {
        let waits = status(Phase::Detaching, false, "ReturningDevice", "until then");
        let over = |message: &str| status(Phase::Detaching, false, "DeviceNotReturned", message);
        let expected = Some((true, "DeviceNotReturned", "process 4711".to_owned()));
        assert_eq!(event(waits, &over("process 4711")), expected);
        assert_eq!(event(EniAttachmentStatus::default(), &over("process 4711")), expected);
        assert_eq!(event(over("process 4711"), &over("process 4712")), None);
    }

    #[test]
    fn a_warning_comes_when_it_is_blocked_and_when_the_reason_changes() {
        let pending = || status(Phase::Pending, false, "Creating", "the ENI is created");
        let full = |message: &str| status(Phase::Blocked, false, "SubnetFull", message);
        let expected = Some((true, "Blocked", "SubnetFull: no address".to_owned()));
        assert_eq!(event(pending(), &full("no address")), expected);
        assert_eq!(event(EniAttachmentStatus::default(), &full("no address")), expected);
        assert_eq!(event(full("no address"), &full("still no address")), None);
        let refused = status(Phase::Blocked, false, "Unauthorized", "allow it");
        assert_eq!(event(full("a"), &refused), Some((true, "Blocked", "Unauthorized: allow it".to_owned())));
        assert_eq!(
            event(refused, &pending()).map(|(warning, reason, _)| (warning, reason)),
            Some((false, "Unblocked"))
        );
    }
}

//! Reports of what keeps an ENIAttachment from being ready, or troubles one that is: failed calls, refusals of others, and what other
//! actors do. A failure that ends by itself keeps the phase; one that needs a person sets the phase Blocked. It decides no action.

use super::advice::{FREE_ADDRESSES, advice, reason};
use super::report::Report;
use crate::api_time::whole_second;
use crate::assign::{INSTANCE_GONE, LACKS_TYPE};
use crate::attachment::{ENI_LOST, IN_PLACE, REPAIR_UNDONE};
use crate::ec2_errors::{Call, Class};
use crate::failure::{Failure, PASSING};
use crate::gates::instance_type::is_of_an_index;
use crate::gates::subnet::needed;
use crate::observed::{ObservedAttachment, ObservedEni};
use multi_eni_api::EniRequest;
use multi_eni_api::eniattachment::{LastError, Phase};
use multi_eni_api::ids::EniId;

impl Report {
    pub(super) fn ready(eni: &ObservedEni, at: &ObservedAttachment, failure: Option<&Failure>) -> Self {
        let message = format!("{} is attached at device index {} on network card {}", eni.id, at.index, at.card);
        let mut report = Self::new(Phase::Attached, IN_PLACE, message);
        report.attached = true;
        if let Some(failure) =
            failure.filter(|failure| failure.needs_a_person() || failure.class != Class::Unauthorized)
        {
            report.message = format!("{}; {}", report.message, advice(failure));
            report.error = Some(recorded(failure));
            if failure.needs_a_person() {
                // The condition Attached stays true and gets this reason. The NodeENI's conditions report it too.
                reason(failure).clone_into(&mut report.reason);
            }
        }
        report
    }

    /// The ENI is in place, but somebody undoes a change of it.
    pub(super) fn undone(eni: &ObservedEni, at: &ObservedAttachment, attribute: &str, action: &str) -> Self {
        let mut report = Self::ready(eni, at, None);
        let message = format!(
            "another actor repeatedly reverts the {} of {}: the controller repairs it at growing intervals; find that actor \
             (CloudTrail shows {}), and let only one of the two decide",
            attribute, eni.id, action
        );
        REPAIR_UNDONE.clone_into(&mut report.reason);
        report.message = format!("{}; {message}", report.message);
        let (action, code) = (action.to_owned(), REPAIR_UNDONE.to_owned());
        report.error = Some(LastError { action, code, message, at: None, count: 1 });
        report
    }

    /// The ENI is in place, but somebody detaches it repeatedly.
    pub(super) fn detached_often(eni: &ObservedEni, at: &ObservedAttachment) -> Self {
        let mut report = Self::ready(eni, at, None);
        let message = format!(
            "another actor repeatedly detaches {}: the controller attaches it again at growing intervals; find that actor \
             (CloudTrail shows DetachNetworkInterface), or take the node out of nodeSelector",
            eni.id
        );
        REPAIR_UNDONE.clone_into(&mut report.reason);
        report.message = format!("{}; {message}", report.message);
        let (action, code) = (Call::Attach.action().to_owned(), REPAIR_UNDONE.to_owned());
        report.error = Some(LastError { action, code, message, at: None, count: 1 });
        report
    }

    /// The ENIAttachment is being deleted, and the ENI is attached again after each Detach that EC2 accepted.
    pub(super) fn attached_often(eni: &ObservedEni) -> Self {
        let message = format!(
            "{} is attached again after each Detach that EC2 accepts: the controller detaches it at growing intervals; find the \
             actor that attaches it (CloudTrail shows AttachNetworkInterface), or check the instance, which may hold it",
            eni.id
        );
        let mut report = Self::blocked(REPAIR_UNDONE, message.clone());
        let (action, code) = (Call::Detach.action().to_owned(), REPAIR_UNDONE.to_owned());
        report.error = Some(LastError { action, code, message, at: None, count: 1 });
        report
    }

    pub(super) fn lost(eni: &EniId) -> Self {
        Self::lost_with(format!("{eni} was deleted on EC2 by another actor: a new ENI is created in its place"))
    }

    /// The ENI that was to be adopted is on another instance.
    pub(super) fn out_of_reach(eni: &ObservedEni) -> Self {
        Self::lost_with(format!(
            "{} was to be adopted, but another actor attached it to another instance: a new ENI is created in its place",
            eni.id
        ))
    }

    fn lost_with(message: String) -> Self {
        let mut report = Self::new(Phase::Blocked, ENI_LOST, message);
        report.error = Some(LastError {
            action: Call::Describe.action().to_owned(),
            code: ENI_LOST.to_owned(),
            message: report.message.clone(),
            at: None,
            count: 1,
        });
        report
    }

    /// The instance is gone and its Node still exists. `lasting`: the Node stays longer than usual.
    pub(super) fn instance_gone(message: String, lasting: bool) -> Self {
        let phase = if lasting { Phase::Blocked } else { Phase::Pending };
        let error = LastError {
            action: "DescribeInstances".to_owned(),
            code: INSTANCE_GONE.to_owned(),
            message: message.clone(),
            at: None,
            count: 1,
        };
        Self { error: Some(error), ..Self::new(phase, INSTANCE_GONE, message) }
    }

    pub(super) fn adopting(eni: &ObservedEni, failure: Option<&Failure>) -> Self {
        match failure {
            Some(failure) => Self::failed(Phase::Attaching, "Adopting", failure),
            None => Self::new(
                Phase::Attaching,
                "Adopting",
                format!("{} is adopted: it gets the tags of this ENIAttachment", eni.id),
            ),
        }
    }

    pub(super) fn create_failed(failure: &Failure) -> Self {
        Self::failed(Phase::Pending, "Creating", failure)
    }

    /// The subnet shows fewer free addresses than the ENI needs, so no Create is sent.
    pub(super) fn short_of_addresses(request: &EniRequest) -> Self {
        let (subnet, needed) = (&request.subnet_id, needed(request));
        let message = format!(
            "{subnet} is full: DescribeSubnets shows fewer free IPv4 addresses than this ENI needs ({needed}). {FREE_ADDRESSES}"
        );
        Self::new(Phase::Blocked, "SubnetFull", message)
    }

    pub(super) fn attach_failed(failure: &Failure) -> Self {
        Self::failed(Phase::Attaching, "Attaching", failure)
    }

    /// The Node has no label with its instance type.
    pub(super) fn without_type(self) -> Self {
        Self { message: format!("{}; {LACKS_TYPE}", self.message), ..self }
    }

    /// EC2 refused such an ENI on another instance of the type.
    pub(super) fn type_refused(kind: &str, failure: &Failure) -> Self {
        let message = format!(
            "EC2 refused such an ENI on another instance of type {kind} ({}: {}), so none is created here: select nodes of a larger \
             instance type, or ask for fewer interfaces; the controller tries one node of the type every hour",
            failure.code,
            failure.message.trim_end_matches('.')
        );
        Self { error: Some(recorded(failure)), ..Self::blocked("InstanceTypeLimit", message) }
    }

    /// The slot is occupied, or the instance type does not have this index, and another ENI gets the next free index
    /// (`deviceIndexPolicy: highestFree`). No person need act.
    pub(super) fn moving(mut self, failure: &Failure) -> Self {
        self.phase = Phase::Attaching;
        "Attaching".clone_into(&mut self.reason);
        let why = match is_of_an_index(failure) {
            true => "EC2 refused this device index on an instance of the same type",
            false => "another interface took the device index first",
        };
        self.message = format!("{why}: the controller deletes this ENI and creates one at the next free index");
        self
    }

    pub(super) fn detach_failed(failure: &Failure) -> Self {
        Self::failed(Phase::Detaching, "Detaching", failure)
    }

    pub(super) fn deleting(eni: &ObservedEni, failure: Option<&Failure>) -> Self {
        match failure {
            Some(failure) => Self::failed(Phase::Deleting, "Deleting", failure),
            None => Self::new(Phase::Deleting, "Deleting", format!("{} is detached and being deleted", eni.id)),
        }
    }

    /// A failure that ends by itself keeps the phase. A failure that needs a user sets the phase Blocked.
    fn failed(phase: Phase, passing: &str, failure: &Failure) -> Self {
        let blocked = failure.needs_a_person();
        let mut report = Self::new(
            if blocked { Phase::Blocked } else { phase },
            if blocked { reason(failure) } else { passing },
            advice(failure),
        );
        // An UnauthorizedOperation usually ends within seconds. It is not reported before the fourth in a row, which
        // saves a write.
        report.tells_nothing_new = !blocked && failure.class == Class::Unauthorized;
        report.error = match failure.class {
            Class::Throttled | Class::Wait | Class::AlreadySo | Class::Unauthorized if !blocked => None,
            _ => Some(recorded(failure)),
        };
        report
    }

    /// Adds the subnet, because EC2's message does not say which subnet is full.
    pub(super) fn in_subnet(mut self, subnet: &str) -> Self {
        self.message = format!("{subnet} is full: {}", self.message);
        self
    }
}

fn recorded(failure: &Failure) -> LastError {
    LastError {
        action: failure.call.action().to_owned(),
        code: failure.code.clone(),
        message: failure.message.clone(),
        // Whole seconds, as the API server stores them. Otherwise each status would differ from the stored one.
        at: Some(whole_second(if failure.is_lasting() { failure.failing_since() } else { failure.at })),
        count: failure.count.min(most_recorded(failure.class)),
    }
}

/// The count rises with each retry. The status keeps only the first counts, so that retries cost no writes. It keeps so many that
/// another process, which reads the status, judges the failure as this one: see `Failure::needs_a_person`.
fn most_recorded(class: Class) -> i32 {
    match class {
        Class::Unauthorized | Class::InstanceNotFound | Class::ReferenceNotFound => PASSING + 1,
        _ => 3,
    }
}

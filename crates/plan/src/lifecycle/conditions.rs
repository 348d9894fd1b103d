//! The report of a step: phase, conditions and last error, with advice for the user. It is given the action and the
//! failure of the decision, and makes the status. It decides no action.

use super::action::{Action, Step};
use super::drift::tags_set;
use super::force;
use super::input::Input;
use crate::account_and_region;
use crate::api_time::whole_second;
use crate::assign::INSTANCE_GONE;
use crate::attachment::{ENI_LOST, IN_PLACE, REPAIR_UNDONE};
use crate::ec2_errors::{Call, Class};
use crate::ec2_message_table::Message;
use crate::ec2_messages::allow;
use crate::failure::{Failure, PASSING};
use crate::gates::instance_type::{Subject, is_of_an_index};
use crate::gates::quota;
use crate::gates::subnet::needed;
use crate::observed::{Observation, ObservedAttachment, ObservedEni};
use compact_str::CompactString;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{self, ConditionUpdate, types};
use multi_eni_api::eniattachment::{LastError, Phase};
use multi_eni_api::ids::EniId;
use multi_eni_api::{EniAttachmentStatus, EniRequest};

/// What a user can do about a full subnet.
const FREE_ADDRESSES: &str = "Free addresses in the subnet or add another subnet of the zone";

/// What a step reports of the ENIAttachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    phase: Phase,
    reason: String,
    message: String,
    attached: bool,
    error: Option<LastError>,
    until: Option<Timestamp>,
    tells_nothing_new: bool,
}

impl Report {
    fn new(phase: Phase, reason: &str, message: impl Into<String>) -> Self {
        Self {
            phase,
            reason: reason.to_owned(),
            message: message.into(),
            attached: false,
            error: None,
            until: None,
            tells_nothing_new: false,
        }
    }

    pub(super) fn pending(message: &str) -> Self {
        Self::new(Phase::Pending, "Creating", message)
    }

    /// Nothing is known before the answer of a lookup, so the reported status stands.
    pub(super) fn lookup_pending(message: String) -> Self {
        Self { tells_nothing_new: true, ..Self::new(Phase::Pending, "Looking", message) }
    }

    /// Keeps the reported status.
    pub(super) fn unchanged(self) -> Self {
        Self { tells_nothing_new: true, ..self }
    }

    pub(super) fn attaching(message: String) -> Self {
        Self::new(Phase::Attaching, "Attaching", message)
    }

    pub(super) fn stuck(message: String) -> Self {
        Self::new(Phase::Attaching, "StuckAttaching", message)
    }

    /// EC2 calls the ENI in use and shows no attachment of it.
    pub(super) fn in_use(eni: &ObservedEni) -> Self {
        let message = format!("EC2 still shows {} in use, without an attachment: the lookup is repeated", eni.id);
        Self::new(Phase::Detaching, "InUse", message)
    }

    pub(super) fn leaving(message: &str) -> Self {
        Self::new(Phase::Deleting, "Deleting", message)
    }

    pub(super) fn detaching(message: String) -> Self {
        Self::new(Phase::Detaching, "Detaching", message)
    }

    pub(super) fn blocked(reason: &str, message: String) -> Self {
        Self::new(Phase::Blocked, reason, message)
    }

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

    /// A lookup that must come first is not possible.
    pub(super) fn not_known(reason: &str, message: String) -> Self {
        Self::new(Phase::Blocked, reason, message)
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

    /// It is open whether EC2 attaches such an ENI to instances of the type, and the first one is under way.
    pub(super) fn type_unproven(subject: &Subject<'_>) -> Self {
        let kind = subject.kind;
        let why = match subject.is_known {
            true => format!("EC2 refused a higher device index on instances of type {kind}"),
            false => format!("EC2 does not show the limits of instance type {kind}"),
        };
        Self::pending(&format!("{why}: waiting for the Attach of the first such ENI on another node"))
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

    pub(super) fn until(mut self, at: Timestamp) -> Self {
        self.until = Some(self.until.map_or(at, |earlier| earlier.min(at)));
        self
    }

    pub(super) fn or_message(mut self, message: &str) -> Self {
        if self.error.is_none() {
            self.message = message.to_owned();
        }
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
        // The count rises with each retry. The status keeps only the first counts, so that retries cost no writes.
        count: failure.count.min(if failure.class == Class::Unauthorized { PASSING + 1 } else { 3 }),
    }
}

fn reason(failure: &Failure) -> &'static str {
    match failure.class {
        Class::SlotTaken => "DeviceIndexTaken",
        Class::Limit => "LimitExceeded",
        Class::SubnetFull => "SubnetFull",
        Class::Credentials => "Credentials",
        Class::Unauthorized => "Unauthorized",
        Class::ReferenceNotFound => "ReferenceNotFound",
        Class::InstanceNotFound => "InstanceNotFound",
        Class::Permanent => "Refused",
        Class::Unknown => "EC2Unreachable",
        Class::Retry | Class::Throttled | Class::AlreadySo | Class::Wait => "EC2Refuses",
        Class::EniNotFound | Class::InstanceState | Class::TokenMismatch => "EC2Refuses",
        Class::Blocked => "Blocked",
    }
}

/// The message for a failure: what happened, and what to do.
fn advice(failure: &Failure) -> String {
    let Failure { call, class, code, message, .. } = failure;
    let action = call.action();
    let said = format!("{action} answered {code}: {}", message.trim_end_matches('.'));
    match class {
        Class::Unauthorized => format!("{said}. {}", allow(action, message)),
        Class::Retry
        | Class::AlreadySo
        | Class::Wait
        | Class::EniNotFound
        | Class::InstanceState
        | Class::TokenMismatch
        | Class::Throttled
            if failure.is_lasting() =>
        {
            let remedy = lasting_remedy(*call);
            format!(
                "{said}. The call has failed since {}. {remedy}; the controller retries every 5 min",
                whole_second(failure.failing_since()).0
            )
        }
        Class::Permanent if code == "AuthFailure" => {
            format!(
                "{said}. The credentials are valid, but the resource belongs to another account or AWS service: ask its owner to \
                 release it"
            )
        }
        Class::Permanent if code.contains("IpAddressLimitExceeded") => {
            format!("{said}. Ask for fewer addresses, or select nodes of a larger instance type")
        }
        Class::Permanent if Message::GroupMemberships.is(code, message) => {
            format!("{said}. Name fewer security groups, or raise the quota of security groups per network interface")
        }
        Class::Credentials if code == "NotSent" => {
            format!("{action} was {message}. Check the controller's AWS credentials, Region and network")
        }
        Class::Credentials => format!("{said}. Check the controller's AWS credentials"),
        Class::SubnetFull => format!("{said}. {FREE_ADDRESSES}"),
        Class::Limit if code == quota::CODE => format!(
            "{said}. Raise the quota of network interfaces of the Region, or delete unused ones; the controller tries one Create \
             every 10 min, and more after a success"
        ),
        Class::Limit => format!("{said}. Raise the quota, or delete resources that count toward it"),
        Class::ReferenceNotFound => format!("{said}. Correct the NodeENI, or create the missing resource"),
        Class::SlotTaken => format!("{said}. Use another deviceIndex, or free this one"),
        Class::Permanent if matches!(call, Call::Detach | Call::Delete) => {
            format!("{said}. {}; the controller retries every 10 min", lasting_remedy(*call))
        }
        Class::Permanent => format!("{said}. Correct the NodeENI"),
        Class::InstanceNotFound => format!("{said}. The Node's providerID names an instance that EC2 does not know"),
        Class::Unknown => format!("{action} got no answer ({message}): looking up its result"),
        Class::Throttled => format!("EC2 throttles {action}: the controller retries within the rate limit"),
        Class::Blocked if *call == Call::Attach && code == "AttachmentLimitExceeded" => {
            format!(
                "{said}. Remove an interface from the instance, or use a larger instance type; the controller retries after 5 \
                 min, and deletes the ENI after 10 min"
            )
        }
        Class::Blocked => format!("{said}. The controller retries every 5 to 10 min"),
        Class::Retry
        | Class::AlreadySo
        | Class::Wait
        | Class::EniNotFound
        | Class::InstanceState
        | Class::TokenMismatch => {
            format!("{said}. The controller retries")
        }
    }
}

/// What may help if EC2 gives the same answer for minutes.
fn lasting_remedy(call: Call) -> &'static str {
    match call {
        Call::Delete => {
            "Find out what still uses the ENI (aws ec2 describe-network-interfaces shows its attachment and requester)"
        }
        Call::Detach => {
            "Check the instance; as a last resort run aws ec2 detach-network-interface --force, which may make the device index \
             unusable"
        }
        Call::Create | Call::Attach | Call::Modify | Call::Tag | Call::Untag | Call::Describe => {
            "Check the instance and the ENI on EC2, and the AWS Health Dashboard"
        }
    }
}

/// Makes the status that belongs to this step.
pub(super) fn complete(input: &Input<'_>, action: Action, report: Report) -> Step {
    let mut status = input.attachment.status.clone();
    let Report { phase, reason, message, attached, error, until, tells_nothing_new } = report;
    if tells_nothing_new && !status.conditions.is_empty() {
        return Step { action, status, recheck: until };
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
    let ready = attached && input.attachment.deleting.is_none();
    for wanted in [
        created,
        ConditionUpdate::new(types::ATTACHED, attached, reason.clone(), message.clone()),
        ConditionUpdate::new(types::READY, ready, if ready { "Ready".to_owned() } else { reason }, message),
    ] {
        conditions::set(&mut status.conditions, wanted, input.attachment.generation, input.now);
    }
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
    Step { action, status, recheck: until }
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

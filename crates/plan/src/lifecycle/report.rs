//! The report of a step: what it says of the ENIAttachment, before it becomes a status. Each function here is one situation without a
//! failure. It decides no action.

use crate::device_return::{DeviceReturn, NOT_RETURNED, RETURNING};
use crate::gates::instance_type::Subject;
use crate::observed::ObservedEni;
use jiff::Timestamp;
use multi_eni_api::eniattachment::{LastError, Phase};

/// What a step reports of the ENIAttachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub(super) phase: Phase,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) attached: bool,
    pub(super) error: Option<LastError>,
    pub(super) until: Option<Timestamp>,
    /// The reported status stands, if there is one.
    pub(super) tells_nothing_new: bool,
    /// No status is written for this, not even the first one.
    pub(super) is_silent: bool,
    /// What comes before the Detach.
    pub(super) device_return: Option<DeviceReturn>,
}

impl Report {
    pub(super) fn new(phase: Phase, reason: &str, message: impl Into<String>) -> Self {
        Self {
            phase,
            reason: reason.to_owned(),
            message: message.into(),
            attached: false,
            error: None,
            until: None,
            tells_nothing_new: false,
            is_silent: false,
            device_return: None,
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

    /// Writes no status. This is for a wait of moments in the normal path, where an ENI costs three writes until it is Ready.
    pub(super) fn silent(self) -> Self {
        Self { is_silent: true, ..self }
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

    /// The ENI is not detached before the node agent has given its device back. While that takes no longer than usual, nothing is
    /// written.
    pub(super) fn returning(device: DeviceReturn, now: Timestamp) -> Self {
        let report = Self::new(Phase::Detaching, RETURNING, device.to_string()).until(device.until);
        let said_at = device.said_at();
        let report = if now < said_at { report.until(said_at).silent() } else { report };
        Self { attached: true, device_return: Some(device), ..report }
    }

    /// The ENI is detached although the node agent has not given its device back. Only a failure says more.
    pub(super) fn without_return(mut self, device: &DeviceReturn) -> Self {
        if self.error.is_none() {
            if self.phase == Phase::Detaching {
                NOT_RETURNED.clone_into(&mut self.reason);
            }
            self.message = format!("{}; {}", self.message, device.over());
        }
        self
    }

    pub(super) fn blocked(reason: &str, message: String) -> Self {
        Self::new(Phase::Blocked, reason, message)
    }

    /// A lookup that must come first is not possible.
    pub(super) fn not_known(reason: &str, message: String) -> Self {
        Self::new(Phase::Blocked, reason, message)
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

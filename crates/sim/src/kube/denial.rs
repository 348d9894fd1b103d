//! Injected denials: writes that admission refuses, as a ValidatingAdmissionPolicy, a webhook or a quota would.

use super::{request::RequestInfo, status::StatusError};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The writes that are refused, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The verb: `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// The resource and subresource: `eniattachments`, `nodeenis/status`.
    pub resource: String,
    /// The percentage of objects that are concerned. A hash of the name selects them.
    pub percent: u8,
    /// The HTTP status: 422 for a policy, 400 for a webhook without its own status, 403 or 500.
    pub code: u16,
    /// The message of the policy, webhook or quota.
    pub message: String,
    /// The end of the denial. `None`: until it is removed.
    pub until: Option<Timestamp>,
}

impl Denial {
    /// Whether the denial concerns this write of the object with this name.
    pub fn concerns(&self, info: &RequestInfo, name: &str, now: Timestamp) -> bool {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        self.until.is_none_or(|until| now < until)
            && self.verb == info.verb
            && (resource, subresource) == (&info.resource, &info.subresource)
            && Sha256::digest(name)[0] % 100 < self.percent
    }

    /// The error, with the API server's message.
    pub fn answer(&self, info: &RequestInfo, name: &str) -> StatusError {
        let resource =
            if info.group.is_empty() { info.resource.clone() } else { format!("{}.{}", info.resource, info.group) };
        let (reason, message) = match self.code {
            400 => {
                ("BadRequest", format!("admission webhook \"refuse.example.com\" denied the request: {}", self.message))
            }
            403 => ("Forbidden", format!("{resource} {name:?} is forbidden: {}", self.message)),
            422 => (
                "Invalid",
                format!(
                    "{resource} {name:?} is forbidden: ValidatingAdmissionPolicy 'refuse' with binding 'refuse' denied request: {}",
                    self.message
                ),
            ),
            _ => ("InternalError", format!("Internal error occurred: {}", self.message)),
        };
        StatusError::new(self.code, reason, message)
    }
}

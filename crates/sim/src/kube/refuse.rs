//! Admission that refuses: what a ValidatingAdmissionPolicy, a webhook or a quota denies, by verb, resource and name.

use super::{request::RequestInfo, status::StatusError};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// What is refused, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// `eniattachments`, `nodeenis/status`.
    pub resource: String,
    /// Of a hundred objects so many, told apart by their names.
    pub percent: u8,
    /// HTTP status: 422 for a policy, 400 for a webhook that names none, 403, 500.
    pub code: u16,
    /// The words of whoever refuses.
    pub message: String,
    /// Until when; None: until it is taken away.
    pub until: Option<Timestamp>,
}

impl Denial {
    /// Whether it is about this write to the object of that name.
    pub fn concerns(&self, info: &RequestInfo, name: &str, now: Timestamp) -> bool {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        self.until.is_none_or(|until| now < until)
            && self.verb == info.verb
            && (resource, subresource) == (&info.resource, &info.subresource)
            && Sha256::digest(name)[0] % 100 < self.percent
    }

    /// The answer, worded as the API server does.
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

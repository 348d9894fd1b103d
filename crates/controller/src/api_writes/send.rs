//! Sends one request with a timeout, and classifies why it failed.

use super::answer::WriteError;
use crate::client::{NotLeader, WRITE_TIMEOUT};

/// Why a request failed, as far as the caller must distinguish.
pub(super) enum WriteFailure {
    /// The object does not exist. A missing path or namespace is `Other`: it says nothing about the object.
    NotFound(WriteError),
    /// A precondition does not hold, or the name is taken.
    Conflict(String),
    /// The content, or the UID in it, is refused.
    Invalid(WriteError),
    /// Any other failure: it says nothing about the object.
    Other(WriteError),
}

pub(super) async fn with_timeout<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteFailure> {
    let answer = match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(_) => {
            let message = format!("the API server gave no answer within {} s", WRITE_TIMEOUT.as_secs());
            return Err(WriteFailure::Other(WriteError::NoAnswer(message)));
        }
    };
    answer.map_err(|error| match error {
        kube::Error::Api(status) => classify(&status),
        kube::Error::Service(error) if error.is::<NotLeader>() => WriteFailure::Other(WriteError::NotLeader(NotLeader)),
        other => WriteFailure::Other(WriteError::NoAnswer(format!("the API server cannot be reached: {other}"))),
    })
}

/// The beginning of a message with which a webhook denies a request (k8s.io/apiserver, `webhookerrors.ToStatusErr`).
const WEBHOOK_DENIES: &str = "admission webhook ";

fn classify(status: &kube::core::Status) -> WriteFailure {
    let message = if status.message.is_empty() { &status.reason } else { &status.message };
    let refused = || WriteError::Refused { code: status.code, message: message.clone() };
    let names_it = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    match status.code {
        404 if names_it => WriteFailure::NotFound(refused()),
        // A webhook may deny with any code, so this 409 says nothing about the object.
        409 if message.starts_with(WEBHOOK_DENIES) => WriteFailure::Invalid(refused()),
        409 => WriteFailure::Conflict(message.clone()),
        400 | 422 => WriteFailure::Invalid(refused()),
        _ => WriteFailure::Other(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_denies_with_409_is_no_conflict() {
        let status = |message: &str| kube::core::Status { code: 409, message: message.into(), ..Default::default() };
        let denied = "admission webhook \"a.b\" denied the request: one at a time";
        assert!(matches!(classify(&status(denied)), WriteFailure::Invalid(WriteError::Refused { code: 409, .. })));
        let outrun =
            "Operation cannot be fulfilled on eniattachments.networking.k8s.aws \"a\": the object has been modified";
        assert!(matches!(classify(&status(outrun)), WriteFailure::Conflict(_)));
    }
}

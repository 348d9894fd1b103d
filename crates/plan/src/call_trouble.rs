//! What kept a call from its answer, for a person who started a command: credentials, a permission, the connection, or EC2's silence.
//! It reads the error only and sends nothing.

use crate::ec2_errors::{Call, CallError, Class, classify};

/// What is wrong with a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallTrouble {
    /// There are no AWS credentials, or EC2 does not accept them.
    Credentials,
    /// The credentials lack a permission.
    Permission,
    /// No connection was made: it was refused, or the host name was not resolved.
    Connection,
    /// The request was sent, and there was no answer in time.
    Silence,
    /// EC2 answered with another error, which says itself what is wrong.
    Answer,
}

impl CallTrouble {
    /// The trouble of a Describe that failed with this error.
    pub fn of(error: &CallError) -> Self {
        match error {
            // The SDK resolves the credentials before it connects, and names them in each of its errors about them.
            CallError::NotSent(words) if words.to_ascii_lowercase().contains("credential") => Self::Credentials,
            CallError::NotSent(_) => Self::Connection,
            CallError::Unknown(_) => Self::Silence,
            CallError::Answered { .. } => match classify(Call::Describe, error) {
                Class::Credentials => Self::Credentials,
                Class::Unauthorized => Self::Permission,
                _ => Self::Answer,
            },
            CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn => Self::Answer,
        }
    }

    /// What a person can check. None: the error says it.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Credentials => Some("Check the AWS credentials"),
            Self::Permission => Some("Allow the action in the policy of the AWS credentials"),
            Self::Connection => {
                Some("No connection to EC2 was made: check the endpoint (AWS_REGION, AWS_ENDPOINT_URL) and the network")
            }
            Self::Silence => {
                Some("EC2 sent no answer in time: check the network, and the endpoint (AWS_REGION, AWS_ENDPOINT_URL)")
            }
            Self::Answer => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_about_credentials_blames_the_credentials() {
        let answered = |code: &str| CallError::Answered { code: code.into(), message: "no".into() };
        let refused =
            "dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error 111)";
        let rows = [
            (CallError::NotSent(refused.into()), CallTrouble::Connection),
            (CallError::NotSent("dispatch failure: dns error".into()), CallTrouble::Connection),
            (CallError::NotSent("no credentials within 10s".into()), CallTrouble::Credentials),
            (
                CallError::NotSent("dispatch failure: other: the credential provider was not enabled".into()),
                CallTrouble::Credentials,
            ),
            (CallError::Unknown("timeout after 10s".into()), CallTrouble::Silence),
            (answered("AuthFailure"), CallTrouble::Credentials),
            (answered("UnauthorizedOperation"), CallTrouble::Permission),
            (answered("InternalError"), CallTrouble::Answer),
        ];
        for (error, expected) in rows {
            assert_eq!(CallTrouble::of(&error), expected, "{error}");
            let names_credentials =
                CallTrouble::of(&error).advice().is_some_and(|advice| advice.contains("credentials"));
            assert_eq!(
                names_credentials,
                matches!(expected, CallTrouble::Credentials | CallTrouble::Permission),
                "{error}"
            );
        }
    }
}

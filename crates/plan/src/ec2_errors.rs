//! EC2's error codes, and what each code means for the call that got it. The table is `observed_subnet/ec2.md`. This file decides
//! no retry: `lifecycle` and the gates do.

use crate::ec2_message_table::Message;

/// The EC2 actions whose answers influence decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// CreateNetworkInterface
    Create,
    /// AttachNetworkInterface
    Attach,
    /// ModifyNetworkInterfaceAttribute
    Modify,
    /// CreateTags
    Tag,
    /// DeleteTags
    Untag,
    /// DetachNetworkInterface
    Detach,
    /// DeleteNetworkInterface
    Delete,
    /// Any Describe
    Describe,
}

impl Call {
    /// EC2's name of the action; for IAM, prefixed with `ec2:`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Modify => "ModifyNetworkInterfaceAttribute",
            Self::Tag => "CreateTags",
            Self::Untag => "DeleteTags",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
            Self::Describe => "DescribeNetworkInterfaces",
        }
    }

    /// The call with this EC2 action name, for an error recorded in a status.
    pub fn named(action: &str) -> Option<Self> {
        use Call::{Attach, Create, Delete, Describe, Detach, Modify, Tag, Untag};
        [Create, Attach, Modify, Tag, Untag, Detach, Delete, Describe].into_iter().find(|call| call.action() == action)
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// EC2 answered with an error.
    #[error("{code}: {message}")]
    Answered {
        /// EC2's code.
        code: String,
        /// EC2's message.
        message: String,
    },
    /// The call was sent and got no answer. Its outcome is unknown.
    #[error("no answer: {0}")]
    Unknown(String),
    /// Never sent: no credentials, connection refused, name not resolved.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Never sent: this process may no longer act as the leader.
    #[error("not sent: the Lease is lost or about to end")]
    NotLeader,
    /// Never sent: while this Create waited for the rate limiter, EC2 refused another Create for the Region's quota of
    /// ENIs.
    #[error("not sent: EC2 has refused another Create because of the quota of network interfaces")]
    QuotaRefused,
    /// Never sent: while the call waited for the rate limiter, the reason for it ended.
    #[error("not sent: the call is no longer needed")]
    Withdrawn,
}

impl CallError {
    /// The error that a status records, from its [code](Self::code) and message. A code of this controller, such as
    /// `NoAnswer`, is not taken for an answer of EC2.
    pub fn recorded(code: &str, message: &str) -> Self {
        match code {
            "NoAnswer" => Self::Unknown(message.to_owned()),
            "NotSent" => Self::NotSent(message.to_owned()),
            "NotLeader" => Self::NotLeader,
            "QuotaRefused" => Self::QuotaRefused,
            "Withdrawn" => Self::Withdrawn,
            code => Self::Answered { code: code.to_owned(), message: message.to_owned() },
        }
    }

    /// EC2's code, or the controller's own code for an error without one.
    pub fn code(&self) -> &str {
        match self {
            Self::Answered { code, .. } => code,
            Self::Unknown(_) => "NoAnswer",
            Self::NotSent(_) => "NotSent",
            Self::NotLeader => "NotLeader",
            Self::QuotaRefused => "QuotaRefused",
            Self::Withdrawn => "Withdrawn",
        }
    }
}

/// What an error means for the call that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Try again soon, with jitter.
    Retry,
    /// EC2 throttles the action. Try again when its rate limiter allows.
    Throttled,
    /// The outcome is unknown. Observe first, then decide.
    Unknown,
    /// EC2 already has the state that the call asked for.
    AlreadySo,
    /// EC2 is still changing the state. Try again soon.
    Wait,
    /// EC2 does not know the ENI that the call named: eventual consistency, or the ENI is gone.
    EniNotFound,
    /// EC2 does not know the instance: eventual consistency if the Node is young, otherwise the instance is gone.
    InstanceNotFound,
    /// The state of the instance allows no attachment.
    InstanceState,
    /// Another ENI occupies the slot on EC2.
    SlotTaken,
    /// The token was used with other parameters.
    TokenMismatch,
    /// A limit was hit. An earlier Create may have succeeded, because limit errors may ignore the token.
    Limit,
    /// The subnet has no free addresses.
    SubnetFull,
    /// A resource that the request names does not exist. At first this may be eventual consistency, later it is
    /// permanent.
    ReferenceNotFound,
    /// Credentials are bad or missing.
    Credentials,
    /// EC2 does not allow the call: the permission for an IAM action is missing.
    Unauthorized,
    /// Somebody must change something first.
    Blocked,
    /// The call will not succeed until the spec changes.
    Permanent,
}

/// Classifies an error by its code, and by its message only if one code has several meanings.
pub fn classify(call: Call, error: &CallError) -> Class {
    let (code, message) = match error {
        CallError::Answered { code, message } => (code.as_str(), message.as_str()),
        CallError::Unknown(_) => return Class::Unknown,
        CallError::NotSent(_) => return Class::Credentials,
        CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn => return Class::Retry,
    };
    by_words(call, code, message).unwrap_or_else(|| by_code(call, code))
}

/// Classifies an error whose code has several meanings.
fn by_words(call: Call, code: &str, message: &str) -> Option<Class> {
    let says = |words: Message| words.is(code, message);
    match call {
        _ if says(Message::TooFewFreeAddresses) => Some(Class::SubnetFull),
        Call::Attach if says(Message::SlotTaken) => Some(Class::SlotTaken),
        Call::Delete if says(Message::InUse) => Some(Class::Wait),
        _ if says(Message::OfAnotherOwner) || says(Message::DifferentNetworks) => Some(Class::Permanent),
        _ => None,
    }
}

fn by_code(call: Call, code: &str) -> Class {
    match (call, code) {
        (_, "RequestLimitExceeded" | "EC2ThrottledException") => Class::Throttled,
        (_, code) if code.starts_with("Throttl") => Class::Throttled,
        (_, "InternalError" | "InternalFailure" | "Unavailable" | "ServiceUnavailable" | "RequestTimeout") => {
            Class::Retry
        }
        // Another client changes tags of the same resource at this moment.
        (_, "ConcurrentTagAccess") => Class::Retry,
        (_, "UnauthorizedOperation") => Class::Unauthorized,
        (_, "AuthFailure" | "RequestExpired" | "InvalidClientTokenId" | "ExpiredToken" | "SignatureDoesNotMatch")
        | (_, "MissingAuthenticationToken" | "ExpiredTokenException" | "UnrecognizedClientException")
        | (_, "InvalidSecurity.RequestHasExpired" | "IncompleteSignature") => Class::Credentials,

        (Call::Create, "IdempotentParameterMismatch") => Class::TokenMismatch,
        (_, "InsufficientFreeAddressesInSubnet" | "InsufficientCidrBlocks") => Class::SubnetFull,
        (Call::Create, "NetworkInterfaceLimitExceeded") => Class::Limit,
        (_, "InvalidSubnetID.NotFound" | "InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound") => {
            Class::ReferenceNotFound
        }

        (Call::Attach, "AttachmentLimitExceeded") => Class::Blocked,
        // A higher quota does not help: this ENI has more addresses than the instance type supports (cilium/cilium#9730).
        (_, "InvalidInterface.IpAddressLimitExceeded" | "PrivateIpAddressLimitExceeded") => Class::Permanent,
        (Call::Attach, "InvalidNetworkInterface.InUse") => Class::AlreadySo,
        (Call::Attach, "InvalidInstanceID.NotFound") => Class::InstanceNotFound,
        (Call::Attach, "IncorrectInstanceState" | "IncorrectState") => Class::InstanceState,
        // The instance is between two states, which refuses any call for its interfaces.
        (_, "IncorrectInstanceState") => Class::InstanceState,

        (Call::Detach, "InvalidAttachmentID.NotFound") => Class::AlreadySo,
        (Call::Modify, "InvalidAttachmentID.NotFound") => Class::Wait,
        (Call::Detach | Call::Delete | Call::Modify, "IncorrectState") => Class::Wait,
        (Call::Detach, "OperationNotPermitted") => Class::Permanent,
        (Call::Delete, "InvalidNetworkInterfaceID.NotFound") => Class::AlreadySo,
        (Call::Delete, "InvalidNetworkInterface.InUse") => Class::Wait,
        (Call::Delete, "DependencyViolation") => Class::Blocked,
        (_, "InvalidNetworkInterfaceID.NotFound" | "InvalidID") => Class::EniNotFound,

        (_, "UnsupportedOperation" | "SecurityGroupsPerInterfaceLimitExceeded" | "TagLimitExceeded") => {
            Class::Permanent
        }
        (_, "MissingParameter" | "OperationNotPermitted" | "UnknownParameter" | "InvalidAction") => Class::Permanent,
        (_, code) if code.starts_with("InvalidParameter") || code.ends_with(".Malformed") => Class::Permanent,
        (_, code) if code.ends_with("LimitExceeded") => Class::Limit,
        // An unknown code: slow retries, with EC2's message in the condition.
        _ => Class::Blocked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recorded_error_has_its_class() {
        let rows = [
            (Call::Attach, "RequestLimitExceeded", "", Class::Throttled),
            (Call::Describe, "ThrottlingException", "", Class::Throttled),
            (Call::Create, "InternalError", "", Class::Retry),
            (Call::Create, "UnauthorizedOperation", "", Class::Unauthorized),
            (Call::Delete, "AuthFailure", "", Class::Credentials),
            (Call::Create, "IdempotentParameterMismatch", "", Class::TokenMismatch),
            (Call::Create, "InsufficientFreeAddressesInSubnet", "", Class::SubnetFull),
            (Call::Create, "NetworkInterfaceLimitExceeded", "", Class::Limit),
            (Call::Create, "InvalidSubnetID.NotFound", "", Class::ReferenceNotFound),
            (Call::Modify, "InvalidGroup.NotFound", "", Class::ReferenceNotFound),
            (Call::Create, "InvalidSubnetID.Malformed", "", Class::Permanent),
            (Call::Create, "SecurityGroupsPerInterfaceLimitExceeded", "", Class::Permanent),
            (
                Call::Attach,
                "InvalidParameterValue",
                "Instance 'i-1' already has an interface attached at device index '1'.",
                Class::SlotTaken,
            ),
            (Call::Attach, "InvalidParameterValue", "something else", Class::Permanent),
            (Call::Attach, "AttachmentLimitExceeded", "", Class::Blocked),
            (Call::Attach, "InvalidNetworkInterface.InUse", "", Class::AlreadySo),
            (Call::Attach, "InvalidInstanceID.NotFound", "", Class::InstanceNotFound),
            (Call::Attach, "IncorrectState", "", Class::InstanceState),
            (Call::Attach, "InvalidParameterCombination", "", Class::Permanent),
            (Call::Attach, "InvalidNetworkInterfaceID.NotFound", "", Class::EniNotFound),
            (Call::Delete, "InvalidNetworkInterfaceID.NotFound", "", Class::AlreadySo),
            (Call::Detach, "InvalidAttachmentID.NotFound", "", Class::AlreadySo),
            (Call::Detach, "IncorrectState", "", Class::Wait),
            (Call::Delete, "InvalidParameterValue", "eni-1 is currently in use.", Class::Wait),
            (Call::Delete, "DependencyViolation", "", Class::Blocked),
            (Call::Create, "NeverHeardOf", "", Class::Blocked),
            (
                Call::Create,
                "InvalidParameterValue",
                "There aren't sufficient free Ipv4 addresses or prefixes",
                Class::SubnetFull,
            ),
            (
                Call::Attach,
                "InvalidParameterValue",
                "There aren't sufficient free Ipv4 addresses or prefixes",
                Class::SubnetFull,
            ),
            (
                Call::Create,
                "InvalidParameterValue",
                "user 111122223333 exceeded limit 5 on the number of interface security group memberships",
                Class::Permanent,
            ),
            (
                Call::Attach,
                "InvalidInterface.IpAddressLimitExceeded",
                "Address count 7 on interface-00000000000000001 exceeds the limit for t3.medium",
                Class::Permanent,
            ),
            (
                Call::Detach,
                "AuthFailure",
                "You do not have permission to access the specified resource.",
                Class::Permanent,
            ),
            (
                Call::Detach,
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                Class::Credentials,
            ),
            (
                Call::Modify,
                "InvalidGroup.NotFound",
                "You have specified two resources that belong to different networks.",
                Class::Permanent,
            ),
            (
                Call::Create,
                "InvalidParameter",
                "Security group sg-00000001 and subnet subnet-00000001 belong to different networks.",
                Class::Permanent,
            ),
            (Call::Tag, "ConcurrentTagAccess", "", Class::Retry),
            (Call::Untag, "ConcurrentTagAccess", "", Class::Retry),
            (Call::Untag, "UnauthorizedOperation", "", Class::Unauthorized),
            (Call::Create, "InvalidSecurity.RequestHasExpired", "", Class::Credentials),
            (Call::Create, "ResourceLimitExceeded", "", Class::Limit),
            (Call::Detach, "IncorrectInstanceState", "", Class::InstanceState),
            (Call::Delete, "IncorrectInstanceState", "", Class::InstanceState),
            (Call::Modify, "IncorrectInstanceState", "", Class::InstanceState),
            (
                Call::Detach,
                "OperationNotPermitted",
                "You are not allowed to manage 'ela-attach' attachments.",
                Class::Permanent,
            ),
        ];
        for (call, code, message, class) in rows {
            let error = CallError::Answered { code: code.into(), message: message.into() };
            assert_eq!(classify(call, &error), class, "{call:?} {code} {message}");
        }
        assert_eq!(classify(Call::Create, &CallError::Unknown("timeout".into())), Class::Unknown);
        assert_eq!(classify(Call::Create, &CallError::NotSent("no credentials".into())), Class::Credentials);
    }
}

//! EC2's error codes, and what each means for the call that got it. The table is `facts/ec2.md`.

/// The EC2 actions whose answers decide something.
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
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
            Self::Describe => "DescribeNetworkInterfaces",
        }
    }

    /// The call of that EC2 name, for errors recorded in a status.
    pub fn named(action: &str) -> Option<Self> {
        [Self::Create, Self::Attach, Self::Modify, Self::Tag, Self::Detach, Self::Delete, Self::Describe]
            .into_iter()
            .find(|call| call.action() == action)
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
        /// EC2's words.
        message: String,
    },
    /// Sent, and no answer: the outcome is unknown.
    #[error("no answer: {0}")]
    Unknown(String),
    /// Never sent: no credentials, connection refused, name not resolved.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Never sent: this process may no longer act as the leader.
    #[error("not sent: the Lease is about to end or lost")]
    NotLeader,
    /// Never sent: while this Create waited for its turn, EC2 refused another one for the Region's quota of ENIs.
    #[error("not sent: EC2 has refused another one for the quota of network interfaces")]
    QuotaRefused,
    /// Never sent: while it waited for its turn it came not to be wanted any more.
    #[error("not sent: it is not wanted any more")]
    Withdrawn,
}

impl CallError {
    /// EC2's code, or a word of ours for what has none.
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
    /// That action's budget pauses; try again when it allows.
    Throttled,
    /// The outcome is unknown: observe, then decide.
    Unknown,
    /// What the call wanted is already so.
    AlreadySo,
    /// On its way: look again.
    Wait,
    /// The ENI that the call named is not known to EC2: lag, or gone.
    EniNotFound,
    /// The instance is not known to EC2: lag for a young Node, else gone.
    InstanceNotFound,
    /// The instance is not in a state to attach to.
    InstanceState,
    /// The slot is taken on EC2.
    SlotTaken,
    /// The token was used with other parameters.
    TokenMismatch,
    /// A limit was hit; a Create may have succeeded before (limit errors may ignore the token).
    Limit,
    /// The subnet has no free addresses.
    SubnetFull,
    /// Something that was named does not exist: lag for a moment, then permanent.
    ReferenceNotFound,
    /// Credentials are bad or missing.
    Credentials,
    /// Not allowed: an IAM action is missing.
    Unauthorized,
    /// Somebody must change something first.
    Blocked,
    /// Will not work until the spec changes.
    Permanent,
}

/// Classifies an error by its code; by its message only for `InvalidParameterValue` and `IncorrectInstanceState`.
pub fn classify(call: Call, error: &CallError) -> Class {
    let (code, message) = match error {
        CallError::Answered { code, message } => (code.as_str(), message.as_str()),
        CallError::Unknown(_) => return Class::Unknown,
        CallError::NotSent(_) => return Class::Credentials,
        CallError::NotLeader | CallError::QuotaRefused | CallError::Withdrawn => return Class::Retry,
    };
    match (call, code) {
        (_, "RequestLimitExceeded" | "EC2ThrottledException") => Class::Throttled,
        (_, code) if code.starts_with("Throttl") => Class::Throttled,
        (_, "InternalError" | "InternalFailure" | "Unavailable" | "ServiceUnavailable" | "RequestTimeout") => {
            Class::Retry
        }
        (_, "UnauthorizedOperation") => Class::Unauthorized,
        (_, "AuthFailure" | "RequestExpired" | "InvalidClientTokenId" | "ExpiredToken" | "SignatureDoesNotMatch")
        | (_, "MissingAuthenticationToken" | "ExpiredTokenException" | "UnrecognizedClientException") => {
            Class::Credentials
        }

        (Call::Create, "IdempotentParameterMismatch") => Class::TokenMismatch,
        (Call::Create, "InsufficientFreeAddressesInSubnet" | "InsufficientCidrBlocks") => Class::SubnetFull,
        (Call::Create, "NetworkInterfaceLimitExceeded") => Class::Limit,
        (_, "InvalidSubnetID.NotFound" | "InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound") => {
            Class::ReferenceNotFound
        }

        (Call::Attach, "InvalidParameterValue") if message.contains("already has an interface attached") => {
            Class::SlotTaken
        }
        (Call::Attach, "AttachmentLimitExceeded") => Class::Blocked,
        (Call::Attach, "InvalidNetworkInterface.InUse") => Class::AlreadySo,
        (Call::Attach, "InvalidInstanceID.NotFound") => Class::InstanceNotFound,
        (Call::Attach, "IncorrectInstanceState" | "IncorrectState") => Class::InstanceState,

        (Call::Detach, "InvalidAttachmentID.NotFound") => Class::AlreadySo,
        (Call::Modify, "InvalidAttachmentID.NotFound") => Class::Wait,
        (Call::Detach | Call::Delete, "IncorrectState") => Class::Wait,
        (Call::Detach, "OperationNotPermitted") => Class::Permanent,
        (Call::Delete, "InvalidNetworkInterfaceID.NotFound") => Class::AlreadySo,
        (Call::Delete, "InvalidNetworkInterface.InUse") => Class::Wait,
        (Call::Delete, "InvalidParameterValue") if message.contains("currently in use") => Class::Wait,
        (Call::Delete, "DependencyViolation") => Class::Blocked,
        (_, "InvalidNetworkInterfaceID.NotFound" | "InvalidID") => Class::EniNotFound,

        (_, "UnsupportedOperation" | "SecurityGroupsPerInterfaceLimitExceeded" | "TagLimitExceeded") => {
            Class::Permanent
        }
        (_, "MissingParameter" | "OperationNotPermitted" | "UnknownParameter" | "InvalidAction") => Class::Permanent,
        (_, code) if code.starts_with("InvalidParameter") || code.ends_with(".Malformed") => Class::Permanent,
        (_, code) if code.ends_with("LimitExceeded") => Class::Limit,
        // A code nobody has told us of: slow retries, its words in the condition.
        _ => Class::Blocked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_facts_holds() {
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
        ];
        for (call, code, message, class) in rows {
            let error = CallError::Answered { code: code.into(), message: message.into() };
            assert_eq!(classify(call, &error), class, "{call:?} {code} {message}");
        }
        assert_eq!(classify(Call::Create, &CallError::Unknown("timeout".into())), Class::Unknown);
        assert_eq!(classify(Call::Create, &CallError::NotSent("no credentials".into())), Class::Credentials);
    }
}

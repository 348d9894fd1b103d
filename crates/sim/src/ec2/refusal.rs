//! EC2's error answers.

use std::borrow::Cow;

use super::Ec2;

/// Every code that the simulator answers with of its own accord; a fault may answer any other.
const CODES: &[&str] = &[
    "AttachmentLimitExceeded",
    "DryRunOperation",
    "FilterLimitExceeded",
    "IdempotentParameterMismatch",
    "IncorrectState",
    "InsufficientCidrBlocks",
    "InsufficientFreeAddressesInSubnet",
    "InternalError",
    "InvalidAction",
    "InvalidAttachmentID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidGroupId.Malformed",
    "InvalidID",
    "InvalidIPAddress.InUse",
    "InvalidInstanceID.Malformed",
    "InvalidInstanceID.NotFound",
    "InvalidInstanceType",
    "InvalidNetworkInterface.InUse",
    "InvalidNetworkInterfaceID.Malformed",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidNextToken",
    "InvalidPaginationToken",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidSubnetID.Malformed",
    "InvalidSubnetID.NotFound",
    "MalformedQueryString",
    "MissingAuthenticationToken",
    "MissingParameter",
    "NetworkInterfaceLimitExceeded",
    "OperationNotPermitted",
    "PrivateIpAddressLimitExceeded",
    "RequestLimitExceeded",
    "SecurityGroupsPerInterfaceLimitExceeded",
    "TagLimitExceeded",
    "UnauthorizedOperation",
    "UnknownParameter",
    "UnsupportedOperation",
    "VPCIdNotSpecified",
];

impl Ec2 {
    /// Every error code that this EC2 answers with of its own accord, sorted.
    pub fn codes() -> &'static [&'static str] {
        CODES
    }
}

/// An error answer: code, HTTP status and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: Cow<'static, str>,
    pub status: u16,
    pub message: String,
}

impl Refusal {
    /// The code with the HTTP status EC2 sends it with.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        debug_assert!(CODES.contains(&code.as_ref()), "{code} is not in the list of codes");
        let status = usual_status(&code);
        Self { code, status, message: message.into() }
    }

    pub fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub fn value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    pub fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    pub fn throttled() -> Self {
        Self::new("RequestLimitExceeded", "Request limit exceeded.")
    }

    pub fn unauthorized(action: &str) -> Self {
        let user = "arn:aws:sts::123456789012:assumed-role/multi-eni/simulated";
        Self::new(
            "UnauthorizedOperation",
            format!(
                "You are not authorized to perform this operation. User: {user} is not authorized to perform: \
                 ec2:{action} because no identity-based policy allows the ec2:{action} action"
            ),
        )
    }

    pub fn no_eni(id: &str) -> Self {
        Self::new("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{id}' does not exist"))
    }

    pub fn no_subnet(id: &str) -> Self {
        Self::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
    }

    pub fn no_group(id: &str) -> Self {
        Self::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
    }

    pub fn no_instance(id: &str) -> Self {
        Self::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
    }

    pub fn no_attachment(id: &str) -> Self {
        Self::new("InvalidAttachmentID.NotFound", format!("The attachment ID '{id}' does not exist"))
    }
}

/// The status codes of the EC2 API reference, "Error codes": client errors are 400 but for a few.
pub(super) fn usual_status(code: &str) -> u16 {
    match code {
        "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
        "InternalError" | "InternalFailure" => 500,
        "UnauthorizedOperation" | "MissingAuthenticationToken" => 403,
        "AuthFailure" | "InvalidClientTokenId" => 401,
        "DryRunOperation" => 412,
        _ => 400,
    }
}

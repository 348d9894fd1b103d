//! EC2's error answers: the codes, their HTTP statuses and their messages.
//!
//! A call that EC2 refuses ends in an [`ApiError`]. Which call is refused, and why, is decided elsewhere.

use std::borrow::Cow;

/// Every code that the simulator answers with of its own accord, sorted. A fault may answer with any other code.
pub(super) const CODES: &[&str] = &[
    "AttachmentLimitExceeded",
    "AuthFailure",
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
    "InvalidInterface.IpAddressLimitExceeded",
    "InvalidNetworkInterface.InUse",
    "InvalidNetworkInterfaceID.Malformed",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidNextToken",
    "InvalidPaginationToken",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidSubnetID.Malformed",
    "InvalidSubnetID.NotFound",
    "MalformedQueryString",
    "MissingAuthenticationToken",
    "MissingParameter",
    "NetworkInterfaceLimitExceeded",
    "OperationNotPermitted",
    "RequestLimitExceeded",
    "SecurityGroupsPerInterfaceLimitExceeded",
    "TagLimitExceeded",
    "UnauthorizedOperation",
    "UnknownParameter",
    "UnsupportedOperation",
    "VPCIdNotSpecified",
];

/// An error answer: code, HTTP status and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub code: Cow<'static, str>,
    pub status: u16,
    pub message: String,
}

impl ApiError {
    /// An error with this code, and the HTTP status with which EC2 sends the code.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        debug_assert!(CODES.contains(&code.as_ref()), "{code} is not in the list of codes");
        let status = usual_status(&code);
        Self { code, status, message: message.into() }
    }

    /// A required parameter is missing or empty.
    pub fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    /// A parameter has a value that EC2 does not accept.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// Parameters, or the resources that they name, do not go together.
    pub fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    /// The bucket of the action is empty.
    pub fn throttled() -> Self {
        Self::new("RequestLimitExceeded", "Request limit exceeded.")
    }

    /// The permission for `action` is missing. `number`, the request's number, makes the encoded part of the message unique.
    pub fn unauthorized(action: &str, number: u64) -> Self {
        Self::unauthorized_because(
            action,
            &format!("because no identity-based policy allows the ec2:{action} action"),
            number,
        )
    }

    /// The same, with the part of the message that names the kind of policy.
    pub fn unauthorized_because(action: &str, why: &str, number: u64) -> Self {
        let user = "arn:aws:sts::123456789012:assumed-role/multi-eni/simulated";
        Self::new(
            "UnauthorizedOperation",
            format!(
                "You are not authorized to perform this operation. User: {user} is not authorized to perform: \
                 ec2:{action} {why}. \
                 Encoded authorization failure message: {}",
                blob(number)
            ),
        )
    }

    /// The interface does not exist, or is not visible yet.
    pub fn no_eni(id: &str) -> Self {
        Self::new("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{id}' does not exist"))
    }

    /// The subnet does not exist.
    pub fn no_subnet(id: &str) -> Self {
        Self::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
    }

    /// The security group does not exist.
    pub fn no_group(id: &str) -> Self {
        Self::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
    }

    /// The instance does not exist.
    pub fn no_instance(id: &str) -> Self {
        Self::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
    }

    /// Another AWS service manages the resource, and refuses changes by others. The words are our own: EC2's are not recorded.
    pub fn managed(id: &str) -> Self {
        let message = format!("The resource '{id}' is managed by 'eks.amazonaws.com', which alone may change it.");
        Self::new("OperationNotPermitted", message)
    }

    /// Refuses a change of a resource that another account has.
    pub fn check_owner(other: Option<&str>) -> Result<(), Self> {
        let message = "You do not have permission to access the specified resource.";
        other.map_or(Ok(()), |_| Err(Self::new("AuthFailure", message)))
    }

    /// The attachment does not exist.
    pub fn no_attachment(id: &str) -> Self {
        Self::new("InvalidAttachmentID.NotFound", format!("The interface attachment '{id}' does not exist."))
    }
}

/// The HTTP status of a code, from the EC2 API reference, "Error codes". Client errors have 400, with a few exceptions.
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

/// The encoded authorization failure message: several hundred characters that only EC2 can decode.
fn blob(number: u64) -> String {
    let mut seed = number.wrapping_add(1);
    let mut text = String::with_capacity(480);
    while text.len() < 480 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{seed:016x}"));
    }
    text
}

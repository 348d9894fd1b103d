//! One EC2 call that was sent for an ENIAttachment, with its times.

use crate::ec2_errors::CallError;
use jiff::Timestamp;

/// An EC2 call that was sent and has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Call {
    /// EC2's name of the action.
    pub action: &'static str,
    /// When it began to wait for the rate limiter.
    pub queued: Timestamp,
    /// When it was sent.
    pub sent: Timestamp,
    /// When EC2 had answered, or the call was given up.
    pub ended: Timestamp,
    /// EC2's ID of the request.
    pub request_id: Option<String>,
    /// How it failed, if it did.
    pub error: Option<CallError>,
}

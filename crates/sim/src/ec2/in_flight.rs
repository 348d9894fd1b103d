//! A request between its arrival and its answer.
//!
//! [`InFlight`] waits in the account's event queue until the request takes effect. [`Reply`] then goes back to the caller.
//! Nothing here decides what a request does: see `handle_request` and `actions`.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::api_error::ApiError;
use super::call_log::CallRecord;
use super::faults::Loss;
use super::params::Params;

/// A request that has arrived. It takes effect even if its caller no longer waits, as with a real connection.
pub(super) struct InFlight {
    pub record: CallRecord,
    pub request: Result<Params, ApiError>,
    /// How long the answer takes after the request has taken effect.
    pub answer_after: Duration,
    pub reply: oneshot::Sender<Reply>,
}

/// The answer to a request, and how it reaches the caller.
pub(super) struct Reply {
    pub status: u16,
    pub body: Bytes,
    pub request_id: String,
    pub after: Duration,
    pub lost: Option<Loss>,
    /// Only the first half of the body arrives before the connection breaks.
    pub cut: bool,
}

/// What the caller of an arrived request holds: when the request takes effect, and where its reply arrives.
pub(super) struct PendingReply {
    pub lands_at: Timestamp,
    pub reply: oneshot::Receiver<Reply>,
}

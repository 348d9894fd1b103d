//! Injected faults: an interceptor decides whether a request is served, delayed or failed.

use std::{fmt, time::Duration};

use super::request::RequestInfo;

/// How an injected fault fails a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The answer has this HTTP status.
    Status(u16),
    /// The connection is cut.
    Disconnect,
}

/// The interceptor's decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultDecision {
    /// The request is served.
    Pass,
    /// The request fails without effect.
    FailBefore(Failure),
    /// The request takes effect, and then its answer is replaced by the failure.
    FailAfter(Failure),
    /// The request is served after this time.
    Delay(Duration),
    /// The request takes effect at once and is answered after this time.
    DelayAnswer(Duration),
}

/// Decides about every request.
pub type Interceptor = Box<dyn FnMut(&RequestInfo) -> FaultDecision + Send>;

/// The interceptor, if there is one.
#[derive(Default)]
pub(crate) struct InterceptorSlot(pub(crate) Option<Interceptor>);

impl fmt::Debug for InterceptorSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "InterceptorSlot(set)" } else { "InterceptorSlot(empty)" })
    }
}

/// The connection was cut: the error that a client gets for [`Failure::Disconnect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by the simulated API server")]
pub struct Disconnected;

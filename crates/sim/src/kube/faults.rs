//! The seam for faults: what happens to a request instead of, before or after what it asks for.

use std::{fmt, time::Duration};

use super::request::RequestInfo;

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With an HTTP status.
    Status(u16),
    /// With a cut connection.
    Disconnect,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Pass,
    /// It fails and has no effect.
    FailBefore(Failure),
    /// It takes effect, and its answer is lost.
    FailAfter(Failure),
    /// It is served after a while.
    Delay(Duration),
    /// It takes effect at once, and is answered after a while.
    DelayAnswer(Duration),
}

/// Decides about every request.
pub type Interceptor = Box<dyn FnMut(&RequestInfo) -> Verdict + Send>;

/// The place of the interceptor.
#[derive(Default)]
pub(crate) struct Seam(pub(crate) Option<Interceptor>);

impl fmt::Debug for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seam(set)" } else { "Seam(empty)" })
    }
}

/// The connection was cut: what a client sees of [`Failure::Disconnect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by the simulated API server")]
pub struct Disconnected;

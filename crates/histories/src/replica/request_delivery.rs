//! What happens to one request on its way to the API server and back. The interceptor decides it.

use crate::script::InjectedFault;
use std::time::Duration;

/// How one request is delivered.
pub struct Delivery {
    /// How long the request is on its way.
    pub there: Duration,
    /// How long the answer is on its way.
    pub back: Duration,
    /// Whether the API server can be reached.
    pub reachable: bool,
    /// The HTTP status with which every request is refused now.
    pub refused: Option<u16>,
    /// The fault that is injected.
    pub injected: Option<InjectedFault>,
}

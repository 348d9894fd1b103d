//! Rate limits: one token bucket for each EC2 action, and a fair queue before it.
//!
//! - [`limiter`]: what a call waits for. - [`bucket`]: the tokens, and what throttling teaches. - [`fair_queue`]: whose turn is next.

pub(crate) mod bucket;
pub(crate) mod fair_queue;
pub(crate) mod limiter;

//! Rate limits: one token bucket for each EC2 action, and a fair queue before it.
//!
//! Read in this order. [`bucket`]: the tokens, and how throttling lowers the rate. [`fair_queue`]: which waiting call is next.
//! [`action_queue`]: both together. [`limiter`]: all actions. [`action`]: EC2's names and defaults.

pub(crate) mod action;
pub(crate) mod action_queue;
pub(crate) mod bucket;
pub(crate) mod fair_queue;
pub(crate) mod limiter;

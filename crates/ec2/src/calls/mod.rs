//! EC2's calls: one attempt each.

pub(crate) mod describe;
mod lifecycle;
mod modify;
mod send;

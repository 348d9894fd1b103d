//! EC2's calls: one attempt each.

mod describe;
mod lifecycle;
mod modify;
mod send;

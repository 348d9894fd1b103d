//! rtnetlink, and the events of devices: the only module that uses the crates of netlink packets. It shows the agent's own types of
//! [`node`](crate::node) and takes typed changes.
//!
//! - [`socket`]: one request and its answers, over a socket of the calling thread's network namespace.
//! - [`dump`]: all links, addresses, routes and rules.
//! - [`decode`]: the kernel's messages as our types.
//! - [`change`]: one change of the kernel's state.
//! - [`events`], [`uevents`]: that something has changed.

pub mod change;
mod decode;
pub mod dump;
pub mod events;
pub mod socket;
pub mod uevents;

pub use change::Change;
pub use socket::{NetlinkError, NetlinkSocket};

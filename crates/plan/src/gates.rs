//! What holds Creates and refused calls back, each decided once for all that wait for the same thing.
//!
//! - [`quota`]: the Region's quota of ENIs. - [`subnet`]: a subnet's free addresses. - [`permission`]: an action that IAM refuses.

pub mod permission;
pub mod quota;
pub mod subnet;

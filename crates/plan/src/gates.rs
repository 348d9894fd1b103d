//! Gates: they hold calls back for all ENIAttachments that wait for the same resource, so that EC2 does not refuse the same call
//! again and again. Each gate is given the answers of calls and decides whether a call may be sent now. A gate sends no call
//! itself.
//!
//! - [`quota`]: the Region's quota of ENIs.
//! - [`subnet`]: the free addresses of a subnet.
//! - [`instance_type`]: a limit of an instance type that EC2 applied to one instance.
//! - [`permission`]: an action that IAM refuses, or credentials that EC2 refuses.

pub mod instance_type;
pub mod permission;
pub mod quota;
pub mod subnet;

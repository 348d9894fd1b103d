//! What is known of subnets, security groups and instance types: requested by ID or name, remembered, and described again when
//! somebody requests what is old.

mod describe;
pub(crate) mod state;

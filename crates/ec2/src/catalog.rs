//! The catalog: the known subnets, security groups and instance types. Lookups request them by ID or name. A subnet or group is
//! described again when a lookup requests it and its last answer is old.

mod changes;
mod describe;
pub(crate) mod state;

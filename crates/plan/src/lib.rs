//! Every decision of Multi-ENI, as pure functions over plain data: no clock, no I/O, no async.
//!
//! - [`assign`]: NodeENIs × one Node × subnets × what holds its slots → ENIAttachments to create and delete, and a
//!   reason for every pair that gets none.
//! - [`lifecycle`]: one ENIAttachment, what EC2 shows of it and the clock → the one next action, or what it waits for.
//! - [`status`]: the ENIAttachments of a NodeENI → its status.
//! - [`rollout`]: which nodes may have their ENIs replaced now.
//! - [`orphans`]: ENIs of this cluster that no ENIAttachment knows.
//! - [`gates`]: what holds Creates and refused calls back.
//! - [`backoff`]: when what was refused may be tried again; [`writes`]: that for the API server's writes.
//! - [`bounds`]: what an ENIAttachment can hold, of what a NodeENI may ask for.
//! - [`wait_estimate`]: how long what waits for EC2's request rates will wait.
//! - [`instance`]: whether an instance lives, by looks at its state; [`lookup_failure`]: a Describe that failed.
//! - [`pods`]: Pods for which a deselected node keeps its ENIs.
//! - [`removals`]: how many nodes may lose ENIs because of labels or of an edit.
//! - [`problem`]: what is wrong with a NodeENI as a whole.
//! - [`silence`]: EC2 does not answer.
//! - [`invariants`]: invariants over a world, for tests and the sandbox's summary.
//! - [`explain`]: what all that comes to, as an account for people.
//! - [`ec2_errors`]: EC2's error codes and what they mean here.

mod api_time;
pub mod assign;
pub mod attachment;
pub mod backoff;
pub mod bounds;
pub mod ec2_errors;
pub mod explain;
pub mod failure;
pub mod gates;
pub mod instance;
pub mod invariants;
pub mod lifecycle;
pub mod lookup_failure;
pub mod max_removals;
pub mod nodeeni;
pub mod observed;
pub mod orphans;
pub mod place;
pub mod pods;
pub mod problem;
pub mod removals;
pub mod rollout;
pub mod settings;
pub mod silence;
pub mod status;
pub mod string_map;
pub mod wait_estimate;
pub mod wording;
pub mod writes;

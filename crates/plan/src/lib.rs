//! Every decision of Multi-ENI, as pure functions over plain data. The crate reads no clock, does no I/O and has no async
//! code.
//!
//! - [`attachment`], [`nodeeni`]: the objects ENIAttachment and NodeENI, parsed. [`observed`]: what Kubernetes and EC2
//!   showed last.
//! - [`assign`]: compares the NodeENIs with what occupies the slots of one Node. It returns the ENIAttachments to create
//!   and to delete, and a reason for each pair of NodeENI and Node that gets no ENI.
//! - [`lifecycle`]: the next action for one ENIAttachment, or what the ENIAttachment waits for.
//! - [`status`]: the status of a NodeENI, from its ENIAttachments.
//! - [`rollout`]: the nodes whose ENIs may be replaced now.
//! - [`orphans`]: ENIs of this cluster that no ENIAttachment knows.
//! - [`gates`]: the gates that hold back Creates and refused calls.
//! - [`backoff`]: when a refused request may be sent again. [`write_history`]: the same for the writes to the API server.
//! - [`spec_validation`]: the bounds of an ENIAttachment and of an ENI, which a NodeENI may exceed.
//!   `spec_differences`: what of an ENI is not as the spec asks. [`unknown_fields`]: the fields that the API server does not know.
//! - [`wait_estimate`]: how long the calls of a NodeENI will wait for EC2's request rates.
//! - [`instance_life`]: whether an instance lives, from lookups of its state. [`lookup_failure`]: a Describe that failed.
//!   [`call_trouble`]: what kept a call from its answer, for a person.
//! - [`pods`]: Pods for which a deselected node keeps its ENIs.
//! - [`removals`]: how many nodes may lose ENIs because of labels or of an edit.
//! - [`unconfigured`]: ENIs that are attached, and whose interface the node agent has not configured. [`startup_taint`]: whether a Node
//!   keeps the taint with which it waits for its ENIs.
//! - [`agent_report`]: which report of the node agent counts. [`device_return`]: the device of an ENI that is to be detached, which the
//!   node agent first gives back from a driver for DPDK.
//! - [`problem`]: a problem of a NodeENI as a whole.
//! - [`describe_outage`]: EC2 does not answer Describe calls.
//! - [`invariants`]: invariants over ENIs and ENIAttachments, for tests and the sandbox's summary.
//! - [`explain`]: what the controller would do now, for a user.
//! - [`ec2_errors`]: EC2's error codes, and what they mean for a call. [`ec2_message_table`]: the words of EC2's messages on
//!   which something depends.
//! - [`confirmation`]: when answers of EC2 suffice to take a group off an ENI, or to replace it. [`named_groups`]: the groups of one
//!   name. [`settled`]: whether a NodeENI that was not Ready is settled.
//! - [`counted`]: counts in sentences. `upcoming`: times that lie ahead, in sentences.
//! - [`attach_trace`]: the OpenTelemetry trace of one ENIAttachment, as plain data.
//! - [`iam_policy`]: the least IAM policy of the controller, for `multi-eni iam-policy`. [`nad`]: NetworkAttachmentDefinitions, for
//!   `multi-eni nad`.

pub mod account_and_region;
pub mod agent_report;
mod api_time;
pub mod assign;
pub mod attach_trace;
pub mod attachment;
pub mod backoff;
pub mod call_trouble;
pub mod confirmation;
mod connection_tracking;
pub mod counted;
pub mod describe_outage;
pub mod device_return;
pub mod ec2_errors;
pub mod ec2_message_table;
pub mod ec2_messages;
pub mod ec2_terms;
pub mod explain;
pub mod failure;
pub mod gates;
pub mod iam_policy;
pub mod instance_life;
pub mod invariants;
pub mod lifecycle;
pub mod lookup_failure;
pub mod max_removals;
pub mod max_unavailable;
pub mod message_time;
pub mod nad;
pub mod named_groups;
pub mod node_selector;
pub mod nodeeni;
pub mod observed;
pub mod orphans;
pub mod outdated_reports;
pub mod pods;
pub mod problem;
pub mod reconcile_request;
pub mod removals;
pub mod rollout;
pub mod selected_groups;
pub mod selected_subnets;
pub mod settings;
pub mod settled;
pub mod shared;
mod spec_differences;
pub mod spec_validation;
pub mod startup_taint;
pub mod status;
pub mod string_map;
pub mod unconfigured;
pub mod unknown_fields;
mod upcoming;
pub mod wait_estimate;
pub mod write_history;

//! Tests of `step`. This file names what they use; `world.rs` has their world, and each other file tests one part of the decision.

mod adoption;
mod advice;
mod agreement;
mod configured;
mod device_return;
mod drift_repair;
mod in_use;
mod instance_type;
mod life;
mod observed_generation;
mod provision;
mod quota;
mod repairs;
mod stuck;
mod subnets;
mod tags;
mod teardown;
mod teardown_backoff;
mod wake;
mod world;

use super::*;
use crate::assign::tests::{at, new_attachment};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::ec2_terms::{GroupTerm, TagTerm};
use crate::gates::instance_type::{InstanceTypeGate, Subject};
use crate::gates::quota::QuotaGate;
use crate::instance_life::InstanceObservation;
use crate::instance_life::InstanceState;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, Missed, ObservedAttachment};
use crate::observed::{Cluster, Ec2Catalog, ObservedEni, ObservedIpv6, ObservedNode, TaggedGroups};
use crate::settings::Settings;
use jiff::SignedDuration;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_api::{ConnectionTracking, NodeENI, NodeEniSpec, names};

use world::{World, absent, cluster, missed_twice, seen};
pub(crate) use world::{attachment, eni};

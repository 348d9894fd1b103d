//! Tests of `assign`. This file names what they use; `world.rs` has their world, and each other file tests one part of the decision.

mod adoption;
mod adoption_places;
mod basic;
mod coverage;
mod duplicates;
mod highest_free;
mod life;
mod limits;
mod outdated;
mod outposts;
mod places;
mod pods;
mod recover;
mod removals;
mod subnet_terms;
mod term_reports;
mod unattachable;
mod unreadable;
mod vpc_cni;
mod world;

use super::*;
use crate::ec2_errors::CallError;
use crate::gates::instance_type::InstanceTypeGate;
use crate::gates::subnet::SubnetGate;
use crate::instance_life::InstanceObservation;
use crate::instance_life::InstanceState;
use crate::lookup_failure::LookupFailure;
use crate::observed::{CatalogLookup, Cluster, ObservedSubnet};
use crate::observed::{Ec2Catalog, InstanceInterfaces, Location, ObservedNode};
use crate::pods::ObservedPod;
use crate::pods::Pods;
use crate::removals::RemovalPermits;
use crate::rollout::Permits;
use crate::settings::Settings;
use crate::string_map::StringMap;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{ConditionUpdate, set, types};
use multi_eni_api::ids::EniId;
use multi_eni_api::ids::{InstanceId, SubnetId};
use multi_eni_api::names::attachment_name;
use multi_eni_api::{EniAttachmentStatus, NodeENI, NodeEniSpec};
use std::collections::{BTreeMap, BTreeSet};

use world::{INSTANCE, SUBNET_B};
pub(crate) use world::{SUBNET_A, World, at, new_attachment, nodeeni};

//! Tests of `assign`, with a world of one Node, its instance, NodeENIs and ENIAttachments. This file has the world and the tests
//! of the basic rules; each file of the folder tests one part of the decision.

mod adoption;
mod coverage;
mod duplicates;
mod highest_free;
mod life;
mod limits;
mod outdated;
mod places;
mod pods;
mod recover;
mod removals;
mod subnet_terms;
mod unattachable;
mod unreadable;

use super::*;
use crate::ec2_errors::CallError;
use crate::gates::instance_type::InstanceTypeGate;
use crate::gates::subnet::SubnetGate;
use crate::instance_life::InstanceObservation;
use crate::instance_life::InstanceState;
use crate::lookup_failure::LookupFailure;
use crate::observed::{CatalogLookup, Cluster, ObservedSubnet};
use crate::observed::{Ec2Catalog, InstanceInterfaces, ObservedNode};
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

pub(crate) const SUBNET_A: &str = "subnet-0f59b4f14737be9ad";
const SUBNET_B: &str = "subnet-abcdef1234567890";
const INSTANCE: &str = "i-0123456789abcdef0";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn new_attachment(node: &str, index: i32, ready: bool) -> Attachment {
    let mut status = EniAttachmentStatus::default();
    set(&mut status.conditions, ConditionUpdate::new(types::READY, ready, "Test", ""), None, at(0));
    Attachment {
        name: format!("{node}-{index}"),
        uid: format!("uid-{node}-{index}"),
        created: at(0),
        generation: None,
        deleting: None,
        has_finalizer: true,
        node: node.to_owned(),
        instance: InstanceId::parse(INSTANCE).ok(),
        nodeeni: "a".to_owned(),
        nodeeni_uid: "uid-a".to_owned(),
        adopted: None,
        recovered: false,
        labelled: true,
        request: multi_eni_api::EniRequest { subnet_id: SUBNET_A.into(), device_index: index, ..Default::default() },
        node_settings: Default::default(),
        deselected_since: None,
        unreadable: None,
        status,
    }
}

pub(crate) fn nodeeni(name: &str, index: i32, subnets: &[&str]) -> NodeEni {
    let spec = NodeEniSpec {
        node_selector: BTreeMap::from([("ng".to_owned(), "multi-eni".to_owned())]),
        subnet_ids: Some(subnets.iter().map(ToString::to_string).collect()),
        device_index: index,
        ..Default::default()
    };
    let mut object = NodeENI::new(name, spec);
    object.metadata.uid = Some(format!("uid-{name}"));
    object.metadata.creation_timestamp = Some(Time(at(0)));
    object.metadata.finalizers = Some(vec![multi_eni_api::names::NODEENI_FINALIZER.to_owned()]);
    NodeEni::read(&object)
}

pub(crate) struct World {
    pub cluster: Cluster,
    pub node: Option<ObservedNode>,
    pub nodeenis: Vec<NodeEni>,
    pub attachments: Vec<Attachment>,
    pub catalog: Ec2Catalog,
    pub region: Option<String>,
    pub interfaces: Option<InstanceInterfaces>,
    pub state: Option<InstanceObservation>,
    pub states_failure: Option<crate::lookup_failure::LookupFailure>,
    pub others: Vec<ObservedNode>,
    pub held_elsewhere: Option<EniId>,
    pub attached_on_ec2: BTreeSet<String>,
    pub created_enis: BTreeSet<String>,
    pub refused_attach: AttachRefusals,
    pub subnet_gate: SubnetGate,
    pub instance_type_gate: InstanceTypeGate,
    pub pods: Option<Vec<ObservedPod>>,
    pub pods_unknown: bool,
    pub permits: Permits,
    pub removals: RemovalPermits,
    pub settings: Settings,
    pub now: Timestamp,
}

impl World {
    pub fn new(nodeenis: Vec<NodeEni>) -> Self {
        let subnet = |id: &str, zone: &str| {
            let id = SubnetId::parse(id).unwrap();
            let observed_subnet = ObservedSubnet {
                id: id.clone(),
                zone: zone.into(),
                vpc: "vpc-1".into(),
                cidr: "10.0.0.0/24".into(),
                owner: String::new(),
                name: None,
                tags: StringMap::default(),
                tags_confirmed: false,
                free_addresses: 100,
                grown: None,
                as_of: at(0),
            };
            (id, observed_subnet)
        };
        Self {
            cluster: Cluster { uid: "cluster".into(), name: "cluster".into() },
            node: Some(ObservedNode {
                name: "n0".into(),
                uid: "uid-n0".into(),
                labels: [("ng", "multi-eni")].into(),
                instance: Ok(InstanceId::parse(INSTANCE).unwrap()),
                zone: Some("z1".into()),
                instance_type: None,
                uninitialized: false,
                deleting: false,
                created: at(0),
            }),
            nodeenis,
            attachments: Vec::new(),
            catalog: Ec2Catalog {
                subnets: BTreeMap::from([
                    subnet(SUBNET_A, "z1"),
                    subnet(SUBNET_B, "z1"),
                    subnet("subnet-00000003", "z2"),
                ]),
                ..Default::default()
            },
            region: None,
            interfaces: Some(InstanceInterfaces { as_of: at(100), vpc: Some("vpc-1".into()), ..Default::default() }),
            state: None,
            states_failure: None,
            others: Vec::new(),
            held_elsewhere: None,
            attached_on_ec2: BTreeSet::new(),
            created_enis: BTreeSet::new(),
            refused_attach: AttachRefusals::new(),
            subnet_gate: SubnetGate::default(),
            instance_type_gate: InstanceTypeGate::default(),
            pods: None,
            pods_unknown: false,
            permits: Permits::new(),
            removals: RemovalPermits::unpaced(),
            settings: Settings::default(),
            now: at(100),
        }
    }

    pub fn assign(&self) -> Assignment {
        let pods: Vec<&ObservedPod> = self.pods.iter().flatten().collect();
        assign(Input {
            cluster: &self.cluster,
            node: self.node.as_ref(),
            others: &self.others.iter().collect::<Vec<_>>(),
            nodeenis: &self.nodeenis.iter().collect::<Vec<_>>(),
            attachments: &self.attachments.iter().collect::<Vec<_>>(),
            catalog: &self.catalog,
            region: self.region.as_deref(),
            instance: self.interfaces.as_ref(),
            states: &|_| self.state,
            states_failure: self.states_failure.as_ref(),
            pods: match &self.pods {
                _ if self.pods_unknown => Pods::Unknown,
                None => Pods::Unasked,
                Some(_) => Pods::Known(&pods),
            },
            is_held: &|eni| self.held_elsewhere.as_ref() == Some(&eni.id),
            is_attached: &|attachment| self.attached_on_ec2.contains(&attachment.name),
            is_created: &|attachment| self.created_enis.contains(&attachment.name),
            permits: &self.permits,
            removals: &self.removals,
            refused_attach: &self.refused_attach,
            subnet_gate: &self.subnet_gate,
            instance_type_gate: &self.instance_type_gate,
            settings: &self.settings,
            now: self.now,
        })
    }

    /// Applies an assignment as the controller would, with EC2 completing every call at once.
    fn apply(&mut self, assignment: &Assignment) {
        for removal in &assignment.delete {
            self.attachments.retain(|attachment| attachment.name != removal.name);
        }
        for attachment in &mut self.attachments {
            if assignment.deselect.contains(&attachment.name) {
                attachment.deselected_since = Some(self.now);
            }
            if assignment.reselect.contains(&attachment.name) {
                attachment.deselected_since = None;
            }
        }
        for new in &assignment.create {
            let mut made = new_attachment("n0", new.spec.request.device_index, true);
            made.name = new.name.clone();
            made.nodeeni = new.spec.node_eni_name.clone();
            made.nodeeni_uid = new.spec.node_eni_uid.clone();
            made.request = new.spec.request.clone();
            made.created = self.now;
            self.attachments.push(made);
        }
    }

    fn settle(&mut self) {
        let assignment = self.assign();
        self.apply(&assignment);
        assert!(self.assign().is_settled(), "planning again: {:?}", self.assign());
    }

    fn indexes(&self) -> Vec<(String, i32)> {
        let mut all: Vec<_> =
            self.attachments.iter().map(|h| (h.request.subnet_id.clone(), h.request.device_index)).collect();
        all.sort();
        all
    }
}

#[test]
fn two_nodeenis_give_two_enis_at_their_indexes_and_planning_again_gives_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("b", 2, &[SUBNET_B])]);
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 1), (SUBNET_B.to_owned(), 2)]);
}

#[test]
fn subnets_of_the_zone_get_device_indexes_in_list_order() {
    let mut world = World::new(vec![nodeeni("a", 3, &[SUBNET_B, "subnet-00000003", SUBNET_A])]);
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_A.to_owned(), 4), (SUBNET_B.to_owned(), 3)]);
}

#[test]
fn without_a_subnet_in_the_zone_there_is_a_reason_and_no_attachment() {
    let world = World::new(vec![nodeeni("a", 1, &["subnet-00000003"])]);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert_eq!(
        assignment.refused[0].why,
        UnassignedReason::NoSubnetInZone { zone: "z1".into(), zones: vec!["z2".into()] }
    );
}

#[test]
fn an_unlabelled_node_keeps_its_enis_for_the_grace_period_and_a_label_flap_removes_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.node.as_mut().unwrap().labels = StringMap::default();
    let first = world.assign();
    assert_eq!((first.deselect.len(), first.delete.len()), (1, 0));
    world.apply(&first);
    world.now = at(105);
    assert!(world.assign().is_settled() && world.assign().recheck == Some(at(110)));

    let mut back = World { attachments: world.attachments.clone(), ..World::new(world.nodeenis.clone()) };
    back.now = at(106);
    assert_eq!(back.assign().reselect.len(), 1);
    assert!(back.assign().delete.is_empty() && back.assign().create.is_empty());

    world.now = at(110);
    assert_eq!(world.assign().delete[0].why, RemovalReason::Deselected);
}

#[test]
fn a_node_being_deleted_loses_nothing_and_gets_nothing() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.node.as_mut().unwrap().deleting = true;
    assert!(world.assign().create.is_empty());
    world.node.as_mut().unwrap().deleting = false;
    world.settle();
    let node = world.node.as_mut().unwrap();
    node.deleting = true;
    node.labels = StringMap::default();
    assert!(world.assign().is_settled());
}

#[test]
fn a_gone_node_is_cleaned_up_at_once_if_its_instance_is_gone_and_after_the_grace_if_it_runs() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.node = None;
    world.settle();
    assert!(world.assign().needs.contains(&Need::InstanceState(InstanceId::parse(INSTANCE).unwrap())));
    let lookup = |state, seconds| Some(InstanceObservation::first(state, at(seconds)));
    world.state = lookup(InstanceState::Terminated, 101);
    world.now = at(102);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeGone);
    world.state = lookup(InstanceState::Running, 101);
    assert!(world.assign().delete.is_empty());
    assert_eq!(world.assign().recheck, Some(at(400)));
    world.now = at(401);
    assert_eq!(world.assign().needs.len(), 1, "one more lookup before the ENI is deleted");
    world.state = lookup(InstanceState::Running, 401);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeGone);
}

#[test]
fn the_same_name_on_another_instance_is_another_node() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    let old = world.attachments[0].name.clone();
    world.node.as_mut().unwrap().instance = Ok(InstanceId::parse("i-0fedcba9876543210").unwrap());
    let assignment = world.assign();
    assert_eq!(assignment.deselect, [old]);
    assert_eq!(assignment.create.len(), 1, "the new instance does not wait for the old one");
}

#[test]
fn the_oldest_nodeeni_gets_a_free_slot_and_a_holder_keeps_its_slot() {
    let mut younger = nodeeni("y", 1, &[SUBNET_B]);
    younger.created = at(5);
    let mut world = World::new(vec![younger.clone(), nodeeni("a", 1, &[SUBNET_A])]);
    let assignment = world.assign();
    assert_eq!(assignment.create[0].spec.node_eni_name, "a");
    assert_eq!(
        assignment.refused[0].why,
        UnassignedReason::SlotHeld { slot: (0, 1), holder: "a".into(), leaving: false }
    );

    world.nodeenis = vec![younger];
    world.settle();
    world.nodeenis.push(nodeeni("a", 1, &[SUBNET_A]));
    let assignment = world.assign();
    assert!(assignment.is_settled(), "an older NodeENI takes no slot that another one occupies");
}

#[test]
fn a_changed_subnet_replaces_the_eni_only_with_a_permit_and_deletes_the_old_one_first() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.nodeenis = vec![nodeeni("a", 1, &[SUBNET_B])];
    assert!(world.assign().is_settled());
    assert_eq!(world.assign().refused[0].why, UnassignedReason::AwaitingRollout);
    world.permits = Permits::from([(
        "uid-a".to_owned(),
        [("n0".to_owned(), crate::rollout::Turn { had: 1, may_lose: true })].into(),
    )]);
    let assignment = world.assign();
    assert_eq!(assignment.delete[0].why, RemovalReason::Replaced);
    assert!(assignment.create.is_empty());
    let attachments: Vec<&Attachment> = world.attachments.iter().collect();
    assert!(
        assignment.is_coming("uid-a", &attachments),
        "the replacement is coming, although no ENIAttachment shows it yet"
    );
    assert!(!assignment.is_coming("uid-b", &[]));
    // An earlier process may have deleted the old ENIAttachment. The new one is created once the lookup that fails now succeeds.
    let mut unknown = World::new(vec![nodeeni("a", 1, &[SUBNET_B])]);
    unknown.node.as_mut().unwrap().instance_type = Some("t3.small".into());
    let lookup = CatalogLookup::InstanceTypes;
    let expired = CallError::Answered { code: "ExpiredToken".into(), message: "expired".into() };
    let failure = LookupFailure::next(None, lookup.action(), &expired, unknown.now);
    unknown.catalog.failures.insert(lookup, failure.clone());
    assert!(
        matches!(unknown.assign().refused[0].why, UnassignedReason::LookupPending(_)),
        "a single failure is not reported"
    );
    assert_eq!(unknown.assign().recheck, Some(failure.report_at()));
    unknown.now = failure.report_at();
    assert!(matches!(unknown.assign().refused[0].why, UnassignedReason::LookupFailed(_)));
    assert!(unknown.assign().is_coming("uid-a", &[]));
    world.attachments[0].deleting = Some(at(100));
    assert!(world.assign().create.is_empty(), "the old ENIAttachment still exists");
    world.attachments.clear();
    world.settle();
    assert_eq!(world.indexes(), [(SUBNET_B.to_owned(), 1)]);
}

#[test]
fn a_deleted_or_vanished_nodeeni_loses_its_enis_and_an_unreadable_one_keeps_them() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    world.nodeenis[0].deleting = true;
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeEniDeleted);
    world.nodeenis[0].deleting = false;
    world.nodeenis[0].spec = Err(crate::nodeeni::Unreadable::NoSubnet);
    assert!(world.assign().is_settled());
    // A NodeENI that is not shown, though its finalizer should keep it, may be shown again.
    let vanished = std::mem::take(&mut world.nodeenis);
    assert_eq!((world.assign().delete.len(), world.assign().deselect.len()), (0, 1));
    world.attachments[0].deselected_since = Some(world.now);
    world.now += world.settings.node_gone_grace - SignedDuration::from_secs(1);
    assert!(world.assign().delete.is_empty());
    world.nodeenis = vanished;
    world.nodeenis[0].spec = nodeeni("a", 1, &[SUBNET_A]).spec;
    assert_eq!((world.assign().delete.len(), world.assign().reselect.len()), (0, 1));
    world.nodeenis.clear();
    world.now += SignedDuration::from_secs(1);
    assert_eq!(world.assign().delete[0].why, RemovalReason::NodeEniDeleted);
}

#[test]
fn a_slot_with_a_foreign_eni_is_a_reason_and_nothing_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut eni = crate::lifecycle::tests::eni(1);
    eni.tags = StringMap::default();
    eni.attachment = Some(crate::lifecycle::tests::attachment(crate::observed::AttachmentState::Attached));
    world.interfaces.as_mut().unwrap().enis.push(eni);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert!(matches!(assignment.refused[0].why, UnassignedReason::SlotTaken { slot: (0, 1), .. }), "{assignment:?}");
    // The user may have freed the slot before creating a NodeENI after this lookup.
    world.nodeenis[0].created = at(110);
    world.now = at(111);
    let assignment = world.assign();
    assert!(matches!(assignment.refused[0].why, UnassignedReason::LookupPending(_)), "{assignment:?}");
    assert_eq!((assignment.needs.len(), assignment.recheck), (1, None));
}

/// A recheck that is due at once would be repeated without end, before any lookup could end.
#[test]
fn an_expired_lookup_is_repeated_before_an_eni_is_created() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.now = at(100 + 61);
    let assignment = world.assign();
    assert!(assignment.create.is_empty());
    assert!(matches!(assignment.refused[0].why, UnassignedReason::LookupPending(_)), "{assignment:?}");
    assert_eq!((assignment.needs.len(), assignment.recheck), (1, None));
    world.interfaces.as_mut().unwrap().as_of = world.now;
    assert_eq!(world.assign().create.len(), 1);
}

#[test]
fn nothing_is_created_before_the_lookup_and_before_the_finalizer() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.interfaces = None;
    assert!(world.assign().create.is_empty() && world.assign().needs.len() == 1);
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.nodeenis[0].has_finalizer = false;
    assert!(world.assign().create.is_empty());
}

#[test]
fn settings_for_the_node_agent_follow_the_nodeeni_without_a_new_eni() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.settle();
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    (spec.node_settings.mtu, spec.node_settings.dpdk_driver) = (Some(9001), Some("vfio-pci".into()));
    let next = world.assign();
    assert_eq!(next.reconfigure.len(), 1, "{next:?}");
    assert_eq!(next.reconfigure[0].1.mtu, Some(9001));
    assert!(next.create.is_empty() && next.delete.is_empty() && next.outdated.is_empty());
    world.attachments[0].node_settings = next.reconfigure[0].1.clone();
    assert!(world.assign().is_settled());
}

//! The world of the tests of `assign`: one Node, its instance, NodeENIs and ENIAttachments.

use super::*;
use crate::confirmation::TermEdits;
use crate::observed::{Neighbour, ObservedEni};
use multi_eni_api::ids::SecurityGroupId;

pub(crate) const SUBNET_A: &str = "subnet-0f59b4f14737be9ad";

pub(crate) const SUBNET_B: &str = "subnet-abcdef1234567890";

pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";

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
        request: multi_eni_api::EniRequest { subnet_id: SUBNET_A.into(), device_index: index, ..Default::default() }
            .into(),
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
    pub term_edits: TermEdits,
    pub groups: Vec<SecurityGroupId>,
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
                outpost: None,
                vpc: "vpc-1".into(),
                cidr: "10.0.0.0/24".into(),
                owner: String::new(),
                name: None,
                tags: StringMap::default(),
                tags_since: Some(at(0)),
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
                unregistered: false,
                is_unreachable: false,
                boot_id: None,
                startup_taints: Vec::new(),
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
            term_edits: TermEdits::new(),
            groups: Vec::new(),
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

    /// The decision. The cache of EC2 keeps foreign ENIs as neighbours, and the decision must be the same with those.
    pub fn assign(&self) -> Assignment {
        let assignment = self.assign_with(self.interfaces.as_ref());
        let kept = self.interfaces.clone().map(|interfaces| self.as_kept(interfaces));
        assert_eq!(self.assign_with(kept.as_ref()), assignment, "with the foreign ENIs as neighbours");
        assignment
    }

    fn as_kept(&self, interfaces: InstanceInterfaces) -> InstanceInterfaces {
        let Some(Ok(instance)) = self.node.as_ref().map(|node| &node.instance) else { return interfaces };
        let kept = |eni: &ObservedEni| match eni.is_foreign(&self.cluster) {
            true => Neighbour::of(eni).observed(instance, interfaces.as_of),
            false => eni.clone(),
        };
        InstanceInterfaces { enis: interfaces.enis.iter().map(kept).collect(), ..interfaces }
    }

    fn assign_with(&self, interfaces: Option<&InstanceInterfaces>) -> Assignment {
        let pods: Vec<&ObservedPod> = self.pods.iter().flatten().collect();
        assign(Input {
            cluster: &self.cluster,
            node: self.node.as_ref(),
            others: &self.others.iter().collect::<Vec<_>>(),
            nodeenis: &self.nodeenis.iter().collect::<Vec<_>>(),
            attachments: &self.attachments.iter().collect::<Vec<_>>(),
            catalog: &self.catalog,
            region: self.region.as_deref(),
            instance: interfaces,
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
            term_edits: &self.term_edits,
            groups_of: &|_| self.groups.clone(),
            refused_attach: &self.refused_attach,
            subnet_gate: &self.subnet_gate,
            instance_type_gate: &self.instance_type_gate,
            settings: &self.settings,
            now: self.now,
        })
    }

    /// Applies an assignment as the controller would, with EC2 completing every call at once.
    pub(crate) fn apply(&mut self, assignment: &Assignment) {
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
            made.request = new.spec.request.clone().into();
            made.created = self.now;
            self.attachments.push(made);
        }
    }

    pub(crate) fn settle(&mut self) {
        let assignment = self.assign();
        self.apply(&assignment);
        assert!(self.assign().is_settled(), "planning again: {:?}", self.assign());
    }

    pub(crate) fn indexes(&self) -> Vec<(String, i32)> {
        let mut all: Vec<_> =
            self.attachments.iter().map(|h| (h.request.subnet_id.clone(), h.request.device_index)).collect();
        all.sort();
        all
    }
}

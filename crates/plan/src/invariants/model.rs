//! A model for property tests: Nodes, NodeENIs, ENIAttachments and EC2 as plain data. It executes at once what `assign`
//! and `lifecycle::step` decide. It has no client and a clock of its own; the simulated histories cover crashes and
//! faults.

mod eni_calls;
mod node_decisions;

use super::{World, always};
use crate::attachment::Attachment;
use crate::lifecycle::CallHistory;
use crate::nodeeni::NodeEni;
use crate::observed::{Cluster, Ec2Catalog, ObservedEni, ObservedNode, ObservedSubnet};
use crate::rollout::{self, Permits};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_api::{NodeENI, NodeEniSpec, names};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const SUBNETS: [&str; 4] = ["subnet-0000000a", "subnet-0000000b", "subnet-0000000c", "subnet-0000000d"];

#[derive(Debug)]
pub(super) struct Model {
    pub cluster: Cluster,
    pub nodes: BTreeMap<String, ObservedNode>,
    pub nodeenis: BTreeMap<String, NodeEni>,
    pub attachments: BTreeMap<String, Attachment>,
    pub enis: BTreeMap<EniId, ObservedEni>,
    pub gone_instances: BTreeSet<InstanceId>,
    pub now: Timestamp,
    catalog: Ec2Catalog,
    permits: Permits,
    settings: Settings,
    call_histories: BTreeMap<String, CallHistory>,
    made: u32,
    /// Number of Detach and Delete calls.
    pub departures: usize,
}

pub(super) fn instance(n: usize) -> InstanceId {
    InstanceId::parse(&format!("i-{n:08x}")).unwrap()
}

impl Model {
    /// A model with Nodes in two zones, with two subnets in each zone, and nothing else.
    pub fn new(nodes: usize) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let subnet = |n: usize| {
            let id = SubnetId::parse(SUBNETS[n]).unwrap();
            let zone = if n < 2 { "z0" } else { "z1" }.to_owned();
            let (vpc, cidr) = ("vpc-1".to_owned(), format!("10.0.{n}.0/24"));
            (
                id.clone(),
                ObservedSubnet {
                    id,
                    zone,
                    outpost: None,
                    vpc,
                    cidr,
                    owner: String::new(),
                    tags: Default::default(),
                    tags_since: None,
                    name: None,
                    free_addresses: 99,
                    grown: None,
                    as_of: now,
                },
            )
        };
        let mut model = Self {
            cluster: Cluster { uid: "cluster".into(), name: "cluster".into() },
            nodes: BTreeMap::new(),
            nodeenis: BTreeMap::new(),
            attachments: BTreeMap::new(),
            enis: BTreeMap::new(),
            gone_instances: BTreeSet::new(),
            now,
            catalog: Ec2Catalog { subnets: (0..4).map(subnet).collect(), ..Ec2Catalog::default() },
            permits: Permits::new(),
            settings: Settings::default(),
            call_histories: BTreeMap::new(),
            made: 0,
            departures: 0,
        };
        (0..nodes).for_each(|n| model.join(n));
        model
    }

    /// Adds a Node with its instance. An existing Node of that name stays as it is.
    pub fn join(&mut self, n: usize) {
        let observed_subnet = ObservedNode {
            name: format!("n{n}"),
            uid: format!("uid-n{n}"),
            labels: [("ng", "x")].into(),
            instance: Ok(instance(n)),
            zone: Some(format!("z{}", n % 2)),
            instance_type: None,
            uninitialized: false,
            unregistered: false,
            is_unreachable: false,
            boot_id: None,
            startup_taints: Vec::new(),
            deleting: false,
            created: self.now,
        };
        self.nodes.entry(observed_subnet.name.clone()).or_insert(observed_subnet);
    }

    /// Creates a NodeENI with this spec, or changes the NodeENI of that name.
    pub fn apply(&mut self, name: &str, spec: NodeEniSpec) {
        let mut object = NodeENI::new(name, spec);
        let old = self.nodeenis.get(name).filter(|old| !old.deleting).cloned();
        self.made += 1;
        object.metadata.uid =
            Some(old.as_ref().map_or_else(|| format!("uid-{name}-{}", self.made), |old| old.uid.clone()));
        object.metadata.finalizers = Some(vec![names::NODEENI_FINALIZER.to_owned()]);
        let mut nodeeni = NodeEni::read(&object);
        nodeeni.created = old.map_or(self.now, |old| old.created);
        if !self.nodeenis.get(name).is_some_and(|old| old.deleting) {
            self.nodeenis.insert(name.to_owned(), nodeeni);
        }
    }

    /// Attaches an ENI of somebody else to a slot, if the slot is free.
    pub fn put(&mut self, n: usize, index: i32, subnet: &str, tags: &[(&str, &str)]) {
        let taken = self.on(&instance(n)).any(|eni| eni.attachment.as_ref().is_some_and(|at| at.index == index));
        if taken || self.gone_instances.contains(&instance(n)) {
            return;
        }
        let id = self.create(subnet, tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        self.attach(&id, &instance(n), 0, index);
    }

    /// One round: each decision is executed at once, and the clock advances by 30 seconds. Returns whether anything
    /// changed.
    pub fn round(&mut self) -> bool {
        let mut busy = false;
        let nodes: BTreeSet<String> = self
            .nodes
            .keys()
            .chain(self.attachments.values().map(|eni_attachment| &eni_attachment.node))
            .cloned()
            .collect();
        let mut outdated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut desired: BTreeMap<(String, String), usize> = BTreeMap::new();
        for name in nodes {
            let assignment = self.assign(&name);
            for uid in assignment.outdated.keys() {
                outdated.entry(uid.clone()).or_default().insert(name.clone());
            }
            for (uid, _) in &assignment.desired {
                desired.insert((uid.clone(), name.clone()), assignment.of_nodeeni(uid).awaited());
            }
            busy |= !assignment.is_settled();
            self.write(&assignment);
            self.check();
        }
        for nodeeni in self.nodeenis.values() {
            let attachments: Vec<&Attachment> =
                self.attachments.values().filter(|eni_attachment| eni_attachment.nodeeni_uid == nodeeni.uid).collect();
            let none = BTreeSet::new();
            let most = nodeeni.spec.as_ref().map_or(1, |spec| {
                spec.max_unavailable.of(self.nodes.values().filter(|node| spec.matches(&node.labels)).count())
            });
            let old = self.permits.remove(&nodeeni.uid).unwrap_or_default();
            let desired =
                |node: &str| desired.get(&(nodeeni.uid.clone(), node.to_owned())).copied().unwrap_or_default();
            let permits = rollout::permits(
                &attachments,
                outdated.get(&nodeeni.uid).unwrap_or(&none),
                &none,
                &old,
                desired,
                Attachment::may_be_in_use,
                most,
            );
            busy |= old != permits;
            self.permits.insert(nodeeni.uid.clone(), permits);
        }
        for name in self.attachments.keys().cloned().collect::<Vec<_>>() {
            busy |= self.step(&name);
            self.check();
        }
        let eni_attachments: BTreeSet<&String> =
            self.attachments.values().map(|eni_attachment| &eni_attachment.nodeeni_uid).collect();
        self.nodeenis.retain(|_, nodeeni| !nodeeni.deleting || eni_attachments.contains(&nodeeni.uid));
        self.now += SignedDuration::from_secs(30);
        busy
    }

    /// Runs rounds until nothing has changed for longer than any grace period.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..600 {
            quiet = if self.round() { 0 } else { quiet + 1 };
            if quiet > 40 {
                return;
            }
        }
        panic!("the model does not converge: {self:#?}");
    }

    fn check(&self) {
        let (enis, eni_attachments): (Vec<&ObservedEni>, Vec<&Attachment>) =
            (self.enis.values().collect(), self.attachments.values().collect());
        let breaches = always(&World { cluster: &self.cluster, enis: &enis, attachments: &eni_attachments });
        assert!(breaches.is_empty(), "{breaches:?}");
    }
}

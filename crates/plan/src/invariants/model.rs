//! A model for property tests: Nodes, NodeENIs, ENIAttachments and EC2 as plain data. It executes at once what `assign`
//! and `lifecycle::step` decide. It has no client and a clock of its own; the simulated histories cover crashes and
//! faults.

use super::{World, always};
use crate::assign::{self, Assignment};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::gates::quota::QuotaGate;
use crate::instance_life::{InstanceObservation, InstanceState};
use crate::lifecycle::{self, Action, CallHistory, Change};
use crate::nodeeni::NodeEni;
use crate::observed::{
    AttachmentState, Cluster, Ec2Catalog, InstanceInterfaces, Missed, Observation, ObservedAttachment, ObservedEni,
    ObservedIpv6, ObservedNode, ObservedSubnet,
};
use crate::pods::Pods;
use crate::rollout::{self, Permits};
use crate::settings::Settings;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_api::{ConnectionTracking, ENIAttachment, NodeENI, NodeEniSpec, names};
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
                    vpc,
                    cidr,
                    owner: String::new(),
                    tags: Default::default(),
                    tags_confirmed: false,
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

    fn on(&self, instance: &InstanceId) -> impl Iterator<Item = &ObservedEni> {
        let on =
            move |eni: &&ObservedEni| eni.attachment.as_ref().is_some_and(|at| at.instance.as_ref() == Some(instance));
        self.enis.values().filter(on)
    }

    fn assign(&self, name: &str) -> Assignment {
        let node = self.nodes.get(name);
        let observation = node.and_then(|node| node.instance.as_ref().ok()).map(|instance| InstanceInterfaces {
            as_of: self.now,
            vpc: Some("vpc-1".into()),
            enis: self.on(instance).cloned().collect(),
            ..InstanceInterfaces::default()
        });
        let lookup = |instance: &InstanceId| Some(InstanceObservation::first(self.state(instance), self.now));
        assign::assign(assign::Input {
            cluster: &self.cluster,
            node,
            others: &[],
            nodeenis: &self.nodeenis.values().collect::<Vec<_>>(),
            attachments: &self
                .attachments
                .values()
                .filter(|eni_attachment| eni_attachment.node == name)
                .collect::<Vec<_>>(),
            catalog: &self.catalog,
            region: None,
            instance: observation.as_ref(),
            states: &lookup,
            states_failure: None,
            pods: Pods::Unasked,
            is_held: &|eni| {
                self.attachments.values().any(|eni_attachment| eni_attachment.eni().as_ref() == Some(&eni.id))
            },
            is_attached: &|_| false,
            is_created: &|_| false,
            permits: &self.permits,
            removals: &crate::removals::RemovalPermits::unpaced(),
            refused_attach: &Default::default(),
            subnet_gate: &crate::gates::subnet::SubnetGate::default(),
            instance_type_gate: &crate::gates::instance_type::InstanceTypeGate::default(),
            settings: &self.settings,
            now: self.now,
        })
    }

    fn state(&self, instance: &InstanceId) -> InstanceState {
        if self.gone_instances.contains(instance) { InstanceState::Terminated } else { InstanceState::Running }
    }

    fn write(&mut self, assignment: &Assignment) {
        for new in &assignment.create {
            let mut object = ENIAttachment::new(&new.name, new.spec.clone());
            self.made += 1;
            object.metadata.uid = Some(format!("uid-{}", self.made));
            object.metadata.finalizers = Some(vec![names::ENIATTACHMENT_FINALIZER.to_owned()]);
            let eni_attachment = Attachment { created: self.now, ..Attachment::read(&object) };
            // The API server answers AlreadyExists to a second object of the same name.
            self.attachments.entry(new.name.clone()).or_insert(eni_attachment);
        }
        for eni_attachment in self.attachments.values_mut() {
            if assignment
                .delete
                .iter()
                .any(|removal| removal.name == eni_attachment.name && removal.uid == eni_attachment.uid)
            {
                eni_attachment.deleting = Some(self.now);
            }
            if assignment.deselect.contains(&eni_attachment.name) {
                eni_attachment.deselected_since = Some(self.now);
            }
            if assignment.reselect.contains(&eni_attachment.name) {
                eni_attachment.deselected_since = None;
            }
            for (_, settings) in assignment.reconfigure.iter().filter(|(name, _)| *name == eni_attachment.name) {
                eni_attachment.node_settings = settings.clone();
            }
        }
    }

    /// Executes the next step of one ENIAttachment. Returns whether anything changed.
    fn step(&mut self, name: &str) -> bool {
        let eni_attachment = self.attachments[name].clone();
        let of_it = |eni: &&ObservedEni| eni.attachment_uid() == Some(eni_attachment.uid.as_str());
        let found = self.enis.values().find(of_it).or_else(|| self.enis.get(&eni_attachment.eni()?));
        let observation = match found {
            Some(eni) => Observation::Seen(Box::new(ObservedEni { shown_at: self.now, ..eni.clone() })),
            None => Observation::Absent {
                by_tag: self.now,
                home: Some(self.now),
                by_id: Some(Missed::by_delete(self.now).after(Some(self.now))),
                deleted: None,
            },
        };
        let call_history = self
            .call_histories
            .entry(eni_attachment.uid.clone())
            .or_insert_with(|| CallHistory::made(eni_attachment.created))
            .clone();
        let node = self.nodes.get(&eni_attachment.node);
        let next = lifecycle::step(lifecycle::Input {
            cluster: &self.cluster,
            attachment: &eni_attachment,
            observation: &observation,
            spec: self
                .nodeenis
                .values()
                .find(|nodeeni| nodeeni.uid == eni_attachment.nodeeni_uid)
                .and_then(|i| i.spec.as_ref().ok()),
            rivals: &[],
            node_leaving: node.is_none_or(|node| node.instance.as_ref().ok() != eni_attachment.instance.as_ref()),
            instance: eni_attachment.instance.as_ref().map(|i| InstanceObservation::first(self.state(i), self.now)),
            states_failure: None,
            home_shown: Some(self.now),
            resync_took: SignedDuration::ZERO,
            catalog: &self.catalog,
            call_history: &call_history,
            quota: &QuotaGate::default(),
            instance_type: None,
            permissions: &crate::gates::permission::PermissionGate::default(),
            subnets: &crate::gates::subnet::SubnetGate::default(),
            settings: &self.settings,
            now: self.now,
        });
        self.attachments.get_mut(name).unwrap().status = next.status.clone();
        match next.action {
            Action::Create { .. } => {
                drop(self.create(&eni_attachment.request.subnet_id, lifecycle::tags(&self.cluster, &eni_attachment)))
            }
            Action::Attach { eni, instance, card, index } => {
                let taken = |other: &ObservedEni| {
                    other.attachment.as_ref().is_some_and(|at| (at.card, at.index) == (card, index))
                };
                let refusal = if self.gone_instances.contains(&instance) {
                    Some(("IncorrectState", "not running"))
                } else if self.on(&instance).any(taken) {
                    Some(("InvalidParameterValue", "already has an interface attached at device index"))
                } else {
                    None
                };
                let call_history = self.call_histories.get_mut(&eni_attachment.uid).unwrap();
                match refusal {
                    Some((code, message)) => {
                        let error = CallError::Answered { code: code.into(), message: message.into() };
                        call_history.failed(Call::Attach, &error, self.now);
                    }
                    None => {
                        call_history.succeeded(Call::Attach, self.now);
                        self.attach(&eni, &instance, card, index);
                    }
                }
            }
            Action::Modify { eni, change } => self.modify(&eni, change),
            Action::Detach { eni, .. } => {
                self.departures += 1;
                self.enis.get_mut(&eni).unwrap().attachment = None;
            }
            Action::Delete { eni } => {
                self.departures += 1;
                assert!(self.enis.remove(&eni).is_some_and(|eni| eni.attachment.is_none()));
            }
            Action::Release => drop(self.attachments.remove(name)),
            Action::NextAttempt => {}
            Action::LookupByTag
            | Action::LookupById(_)
            | Action::LookupSubnet(_)
            | Action::LookupInstance(_)
            | Action::Wait
            | Action::Settled => {
                return next.status != eni_attachment.status;
            }
        }
        true
    }

    fn create(&mut self, subnet: &str, tags: BTreeMap<String, String>) -> EniId {
        self.made += 1;
        let id = EniId::parse(&format!("eni-{:08x}", self.made)).unwrap();
        let observed_subnet = &self.catalog.subnets[&SubnetId::parse(subnet).unwrap()];
        let seen = ObservedEni {
            id: id.clone(),
            subnet: Some(observed_subnet.id.clone()),
            vpc: observed_subnet.vpc.as_str().into(),
            zone: observed_subnet.zone.as_str().into(),
            owner: CompactString::default(),
            mac: CompactString::default(),
            private_ips: Vec::new(),
            ipv4_prefixes: Vec::new(),
            ipv6: ObservedIpv6::default(),
            operator: None,
            groups: Vec::new(),
            description: String::new(),
            source_dest_check: true,
            connection_tracking: ConnectionTracking::default(),
            tags: tags.into_iter().collect(),
            attachment: None,
            in_use_since: None,
            shown_at: self.now,
            last_call: None,
        };
        self.enis.insert(id.clone(), seen);
        id
    }

    fn attach(&mut self, eni: &EniId, instance: &InstanceId, card: i32, index: i32) {
        let attachment = ObservedAttachment {
            id: format!("attach-{eni}"),
            instance: Some(instance.clone()),
            card,
            index,
            state: AttachmentState::Attached,
            since: self.now,
            delete_on_termination: false,
        };
        self.enis.get_mut(eni).unwrap().attachment = Some(attachment);
    }

    fn modify(&mut self, eni: &EniId, change: Change) {
        let eni = self.enis.get_mut(eni).unwrap();
        // Only an ENI of this cluster is ever changed, or an ENI of upstream that is being adopted.
        assert!(
            eni.is_of(&self.cluster) || eni.upstreams(&self.cluster).is_some(),
            "{eni:?} does not belong to this cluster, \
                                                                                     and is changed: {change}"
        );
        change.apply(eni);
    }
}

//! The nodes and NodeENIs as the script has left them so far, so that operations get possible targets. It also draws the first
//! events.

use super::setting::{Choices, pick};
use super::upstream::upstream;
use super::{specs, vpc_cni};
use crate::script::{Event, Operation, Placement, Setting};
use fastrand::Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes a large history has.
pub(super) const LARGE_FLEET: usize = 200;

/// A node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub instance: String,
    pub zone: String,
    pub labels: BTreeMap<String, String>,
    /// Whether its instance runs.
    pub runs: bool,
    /// Whether its instance is stopped.
    pub halted: bool,
    /// Whether it has a deletionTimestamp.
    pub draining: bool,
}

/// The nodes, NodeENIs, Pods and conditions so far.
#[derive(Debug)]
pub(super) struct Fleet {
    pub nodes: BTreeMap<String, Node>,
    /// Nodes that left, by name. They may return on the same instance or on another one.
    pub left: BTreeMap<String, Node>,
    pub nodeenis: BTreeMap<String, Value>,
    /// The names of deleted NodeENIs.
    pub removed: BTreeSet<String>,
    pub pods: BTreeSet<String>,
    pub denied: BTreeSet<&'static str>,
    pub crowded: BTreeSet<String>,
    pub quota: bool,
    pub replicas: usize,
    /// What nodes and specs may ask for.
    pub choices: Choices,
    /// How many Nodes joined that can never have an ENI.
    pub unsupported: u32,
    instances: u64,
    started: u64,
}

impl Fleet {
    pub fn new(setting: &Setting) -> Self {
        Self {
            nodes: BTreeMap::new(),
            left: BTreeMap::new(),
            nodeenis: BTreeMap::new(),
            removed: BTreeSet::new(),
            pods: BTreeSet::new(),
            denied: BTreeSet::new(),
            crowded: BTreeSet::new(),
            quota: false,
            replicas: setting.replicas,
            choices: Choices::of(setting),
            unsupported: 0,
            instances: 0,
            started: 0,
        }
    }

    /// The first events: at least 10 nodes and 2 NodeENIs, some before the controller starts, some after.
    pub fn enter(&mut self, rng: &mut Rng, waits_for_pods: bool) -> Vec<Event> {
        let nodes: usize = *pick(rng, &[10, 10, 10, 11]);
        self.enter_nodes(rng, nodes, waits_for_pods)
    }

    /// The first events with so many nodes.
    pub fn enter_nodes(&mut self, rng: &mut Rng, nodes: usize, waits_for_pods: bool) -> Vec<Event> {
        let mut events = Vec::new();
        for number in 1..=nodes {
            let name = format!("n{number}");
            let node = self.new_node(rng);
            events.push(Event { at: rng.u64(0..6_000), operation: join(&name, &node) });
            self.nodes.insert(name, node);
        }
        for number in 1..=*pick(rng, &[2, 2, 3]) {
            let (name, spec) = (format!("e{number}"), specs::draw(rng, &self.choices));
            events.push(Event {
                at: rng.u64(0..15_000),
                operation: Operation::Apply { name: name.clone(), spec: spec.clone() },
            });
            self.nodeenis.insert(name, spec);
        }
        // In one history of five, upstream's controller has left ENIs behind.
        if rng.u32(0..5) == 0 {
            let (nodes, nodeenis) = (self.nodes.clone(), self.nodeenis.keys().cloned().collect::<Vec<_>>());
            for (node, facts) in nodes.iter().filter(|_| rng.bool()).collect::<Vec<_>>() {
                let nodeeni = pick(rng, &nodeenis).clone();
                let applied =
                    events.iter().find(|e| matches!(&e.operation, Operation::Apply { name, .. } if *name == nodeeni));
                let joined =
                    events.iter().find(|e| matches!(&e.operation, Operation::Join { node: name, .. } if name == node));
                let at = applied.map_or(0, |event| event.at).max(joined.map_or(0, |event| event.at));
                events
                    .push(Event { at, operation: upstream(rng, node, (&facts.zone, &self.choices.subnets), &nodeeni) });
            }
        }
        // In one history of eight, the VPC CNI is busy.
        if nodes < LARGE_FLEET && rng.u32(0..8) == 0 {
            let joined = events.iter().filter_map(|event| match &event.operation {
                Operation::Join { node, .. } => Some((event.at, node.clone())),
                _ => None,
            });
            let busy: Vec<Event> = joined.map(|(at, node)| vpc_cni::busy(rng, at, node)).collect();
            events.extend(busy);
        }
        if waits_for_pods {
            for _ in 0..rng.u32(3..8) {
                let start = self.start_pod(rng);
                events.extend(start.map(|operation| Event { at: 15_000, operation }));
            }
        }
        events
    }

    /// Starts a Pod on some Node that uses some NodeENI's interface.
    pub fn start_pod(&mut self, rng: &mut Rng) -> Option<Operation> {
        let pod = format!("p{}", self.started);
        let operation =
            Operation::PodStarts { pod: pod.clone(), node: self.node(rng, |_| true)?, nodeeni: self.nodeeni(rng)? };
        self.started += 1;
        self.pods.insert(pod);
        Some(operation)
    }

    pub fn new_node(&mut self, rng: &mut Rng) -> Node {
        self.instances += 1;
        let zone = pick(rng, &self.choices.zones()).to_string();
        let instance = format!("i-{:017x}", self.instances);
        Node { instance, zone, labels: labels(rng), runs: true, halted: false, draining: false }
    }

    /// The name of a random Node that fits.
    pub fn node(&self, rng: &mut Rng, fits: impl Fn(&Node) -> bool) -> Option<String> {
        let names: Vec<&String> = self.nodes.iter().filter(|(_, node)| fits(node)).map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| pick(rng, &names).to_string())
    }

    /// The name of a random NodeENI.
    pub fn nodeeni(&self, rng: &mut Rng) -> Option<String> {
        let names: Vec<&String> = self.nodeenis.keys().collect();
        (!names.is_empty()).then(|| pick(rng, &names).to_string())
    }
}

pub(super) fn join(name: &str, node: &Node) -> Operation {
    Operation::Join {
        node: name.to_owned(),
        instance: node.instance.clone(),
        zone: node.zone.clone(),
        labels: node.labels.clone(),
        bare: false,
        placement: Placement::Region,
    }
}

/// Random labels. The selectors of [`specs`] ask for some of them.
pub(super) fn labels(rng: &mut Rng) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if let Some(group) = pick(rng, &[Some("x"), Some("x"), Some("y"), None, None]) {
        labels.insert("ng".to_owned(), (*group).to_owned());
    }
    if rng.u32(0..4) == 0 {
        labels.insert("tier".to_owned(), "db".to_owned());
    }
    labels
}

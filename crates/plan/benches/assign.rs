//! Benchmarks `assign` alone: the nodes of a cluster and 50 NodeENIs, two of which select each node. The result that matters is
//! the growth with the number of nodes; absolute times depend on the machine.
//!
//!     cargo bench -p multi-eni-plan
#![allow(clippy::unwrap_used, reason = "all of it is made here")]

use divan::{Bencher, black_box};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use multi_eni_api::conditions::{ConditionUpdate, set, types};
use multi_eni_api::ids::{InstanceId, SubnetId};
use multi_eni_api::names::NODEENI_FINALIZER;
use multi_eni_api::{EniAttachmentStatus, NodeENI, NodeEniSpec};
use multi_eni_plan::assign::{Assignment, Input, assign};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::{Cluster, Ec2Catalog, InstanceInterfaces, ObservedNode, ObservedSubnet};
use multi_eni_plan::pods::Pods;
use multi_eni_plan::removals::RemovalPermits;
use multi_eni_plan::rollout::Permits;
use multi_eni_plan::settings::Settings;
use std::collections::BTreeMap;

const NODEENIS: usize = 50;
/// The number of node pools. Two NodeENIs select the nodes of each pool.
const POOLS: usize = NODEENIS / 2;
const SUBNET: &str = "subnet-0f59b4f14737be9ad";
const SIZES: [usize; 3] = [500, 5_000, 50_000];

fn main() {
    divan::main();
}

/// Decides for every node of a cluster without ENIAttachments.
#[divan::bench(args = SIZES, sample_count = 10)]
fn whole_from_nothing(bencher: Bencher, nodes: usize) {
    let cluster = World::new(nodes);
    bencher.bench_local(|| cluster.whole());
}

/// Decides for every node of a settled cluster, as after a restart.
#[divan::bench(args = SIZES, sample_count = 10)]
fn whole_at_rest(bencher: Bencher, nodes: usize) {
    let cluster = World::new(nodes).settled();
    bencher.bench_local(|| cluster.whole());
}

/// Decides for one node whose label has changed.
#[divan::bench(args = SIZES)]
fn one_node_changed(bencher: Bencher, nodes: usize) {
    let mut cluster = World::new(nodes).settled();
    let middle = nodes / 2;
    cluster.nodes[middle].observed_subnet.labels = pool(middle + 1).into_iter().collect();
    bencher.bench_local(|| cluster.one(black_box(middle)));
}

struct World {
    cluster: Cluster,
    nodeenis: Vec<NodeEni>,
    catalog: Ec2Catalog,
    nodes: Vec<Node>,
    settings: Settings,
    permits: Permits,
    removals: RemovalPermits,
}

struct Node {
    observed_subnet: ObservedNode,
    interfaces: InstanceInterfaces,
    attachment: Vec<Attachment>,
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000)
}

fn pool(number: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("pool".to_owned(), format!("p{}", number % POOLS))])
}

fn instance(number: usize) -> InstanceId {
    InstanceId::parse(&format!("i-{number:017x}")).unwrap()
}

impl World {
    fn new(nodes: usize) -> Self {
        let subnet = ObservedSubnet {
            id: SubnetId::parse(SUBNET).unwrap(),
            zone: "z1".into(),
            outpost: None,
            vpc: "vpc-1".into(),
            cidr: "10.0.0.0/16".into(),
            owner: String::new(),
            tags: Default::default(),
            tags_since: None,
            name: None,
            free_addresses: 60_000,
            grown: None,
            as_of: now(),
        };
        Self {
            cluster: Cluster { uid: "cluster".into(), name: "cluster".into() },
            nodeenis: (0..NODEENIS).map(nodeeni).collect(),
            catalog: Ec2Catalog { subnets: BTreeMap::from([(subnet.id.clone(), subnet)]), ..Ec2Catalog::default() },
            nodes: (0..nodes).map(node).collect(),
            settings: Settings::default(),
            permits: Permits::new(),
            removals: RemovalPermits::unpaced(),
        }
    }

    /// The cluster after all plans have been applied.
    fn settled(mut self) -> Self {
        for number in 0..self.nodes.len() {
            let created = self.one(number).create;
            assert_eq!(created.len(), 2, "two NodeENIs select each node");
            self.nodes[number].attachment = created
                .into_iter()
                .map(|new| {
                    let mut status = EniAttachmentStatus::default();
                    set(&mut status.conditions, ConditionUpdate::new(types::READY, true, "Ready", ""), None, now());
                    Attachment {
                        uid: format!("uid-{}", new.name),
                        name: new.name,
                        created: now(),
                        generation: Some(1),
                        deleting: None,
                        has_finalizer: true,
                        node: new.spec.node_name,
                        instance: InstanceId::parse(&new.spec.instance_id).ok(),
                        nodeeni: new.spec.node_eni_name,
                        nodeeni_uid: new.spec.node_eni_uid,
                        adopted: None,
                        recovered: false,
                        labelled: true,
                        request: new.spec.request.into(),
                        node_settings: new.spec.node_settings.into(),
                        deselected_since: None,
                        unreadable: None,
                        status,
                    }
                })
                .collect();
            assert_eq!(self.one(number).create, [], "no ENIAttachment is to be created at rest");
        }
        self
    }

    fn one(&self, number: usize) -> Assignment {
        let node = &self.nodes[number];
        let (nodeenis, attachment): (Vec<&NodeEni>, Vec<&Attachment>) =
            (self.nodeenis.iter().collect(), node.attachment.iter().collect());
        assign(Input {
            cluster: &self.cluster,
            node: Some(&node.observed_subnet),
            others: &[],
            nodeenis: &nodeenis,
            attachments: &attachment,
            catalog: &self.catalog,
            region: None,
            instance: Some(&node.interfaces),
            states: &|_| None,
            states_failure: None,
            pods: Pods::Unasked,
            is_held: &|_| false,
            is_attached: &|_| false,
            is_created: &|_| false,
            permits: &self.permits,
            removals: &self.removals,
            term_edits: &Default::default(),
            groups_of: &|_| Vec::new(),
            refused_attach: &Default::default(),
            subnet_gate: &Default::default(),
            instance_type_gate: &Default::default(),
            settings: &self.settings,
            now: now(),
        })
    }

    fn whole(&self) -> usize {
        (0..self.nodes.len()).map(|number| black_box(self.one(number)).create.len()).sum()
    }
}

fn node(number: usize) -> Node {
    let observed_subnet = ObservedNode {
        name: format!("n{number}"),
        uid: format!("uid-n{number}"),
        labels: pool(number).into_iter().collect(),
        instance: Ok(instance(number)),
        zone: Some("z1".into()),
        instance_type: None,
        uninitialized: false,
        unregistered: false,
        is_unreachable: false,
        boot_id: None,
        startup_taints: Vec::new(),
        deleting: false,
        created: now(),
    };
    let interfaces = InstanceInterfaces { as_of: now(), vpc: Some("vpc-1".into()), ..Default::default() };
    Node { observed_subnet, interfaces, attachment: Vec::new() }
}

fn nodeeni(number: usize) -> NodeEni {
    let spec = NodeEniSpec {
        node_selector: pool(number),
        subnet_id: Some(SUBNET.into()),
        device_index: 1 + i32::try_from(number / POOLS).unwrap(),
        ..NodeEniSpec::default()
    };
    let mut object = NodeENI::new(&format!("e{number}"), spec);
    object.metadata.uid = Some(format!("uid-e{number}"));
    object.metadata.creation_timestamp = Some(Time(now()));
    object.metadata.finalizers = Some(vec![NODEENI_FINALIZER.to_owned()]);
    NodeEni::read(&object)
}

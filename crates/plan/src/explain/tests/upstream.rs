//! The sentences for ENIs of upstream that are not adopted.

use super::*;
use crate::lifecycle::Action;
use multi_eni_api::ids::SubnetId;

const SUBNET_B: &str = "subnet-abcdef1234567890";

/// What is said of upstream's ENI in this subnet, on the node.
fn said(world: &World, subnet: &str) -> Vec<String> {
    let mut left = eni(1);
    left.tags = [(names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER), (names::UPSTREAM_TAG_NODEENI, "a")].into();
    left.subnet = SubnetId::parse(subnet).ok();
    left.attachment = Some(attachment(AttachmentState::Attached));
    left.attachment.as_mut().unwrap().instance = world.node.as_ref().unwrap().instance.clone().ok();
    let node = world.node.clone().unwrap();
    let plan = plan(Input {
        removals: &BTreeMap::new(),
        cluster: &world.cluster,
        nodes: &[&node],
        nodeenis: &world.nodeenis.iter().collect::<Vec<_>>(),
        attachments: &world.attachments.iter().map(explained).collect::<Vec<_>>(),
        assignments: &BTreeMap::from([(node.name.clone(), world.assign())]),
        catalog: &world.catalog,
        owned: &[],
        upstreams: &[left],
        refused: &BTreeMap::new(),
        settings: &world.settings,
        now: world.now,
    });
    plan.left_by_upstream
}

fn explained(attachment: &Attachment) -> ExplainedAttachment {
    let observation = Observation::Blind;
    let step = lifecycle::Step {
        action: Action::Settled,
        status: attachment.status.clone(),
        recheck: None,
        device_return: None,
        agreement: lifecycle::Agreement::default(),
    };
    ExplainedAttachment { attachment: attachment.clone(), observation, step, changes: Vec::new() }
}

#[test]
fn an_eni_of_upstream_beside_the_one_that_the_terms_ask_for_is_explained() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let none = |said: Vec<String>, words: &str| assert!(said[0].contains(words), "{said:?}");
    none(said(&world, SUBNET_B), "neither matches the node nor lists the ENI in its status");
    world.attachments = vec![new_attachment("n0", 1, true)];
    none(said(&world, SUBNET_A), "the NodeENI has another ENI in the same subnet on that node");
    none(said(&world, SUBNET_B), "neither matches the node");
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    spec.subnets.clear();
    spec.subnet_terms = vec![SubnetTerm::Id(SubnetId::parse(SUBNET_A).unwrap())];
    none(said(&world, SUBNET_B), "the NodeENI has another ENI on that node, and subnetSelectorTerms ask for one");
}

//! Tests of `explain`. This file has their world; `edits.rs` tests what follows an edit of a NodeENI, `upstream.rs`
//! what is said of ENIs that are not adopted, `duplicates.rs` of a second Node of an instance, `unknown_entry.rs`
//! of an entry of the list that EC2 does not know, `unconfigured.rs` of ENIs that the node agent has not configured, `closing.rs` the
//! last sentences of the plan, and `vpc_cni.rs` the notes about the device indexes that the AWS VPC CNI takes.

mod closing;
mod duplicates;
mod edits;
mod unconfigured;
mod unknown_entry;
mod upstream;
mod vpc_cni;

use super::*;
use crate::assign::Assignment;
use crate::assign::tests::{SUBNET_A, World, at, new_attachment, nodeeni};
use crate::ec2_terms::{SubnetTerm, TagTerm};
use crate::gates::quota::QuotaGate;
use crate::lifecycle::tests::{attachment, eni};
use crate::lifecycle::{self, CallHistory};
use crate::max_unavailable::MaxUnavailable;
use crate::observed::Observation;
use crate::observed::{AttachmentState, NotOnEc2, ObservedEni, Unattachable};
use multi_eni_api::names;

/// The plan for a world in which EC2 shows these observations of ENIAttachments.
fn reported(world: &World, seen: &[(&Attachment, Observation)]) -> Plan {
    let node = world.node.clone().unwrap();
    let assignments = BTreeMap::from([(node.name.clone(), world.assign())]);
    reported_with(world, seen, &assignments)
}

/// The same, with the assignments of several Nodes.
fn reported_with(
    world: &World,
    seen: &[(&Attachment, Observation)],
    assignments: &BTreeMap<String, Assignment>,
) -> Plan {
    let node = world.node.clone().unwrap();
    let attachments = seen.iter().map(|(eni_attachment, observation)| {
        let call_history = CallHistory::begin(at(0), eni_attachment);
        let input = lifecycle::Input {
            cluster: &world.cluster,
            attachment: eni_attachment,
            observation,
            spec: world.nodeenis.first().and_then(|nodeeni| nodeeni.spec.as_ref().ok()),
            rivals: &[],
            node: Some(&node),
            boot_ids: &[],
            instance: None,
            states_failure: None,
            report_outdated_since: None,
            home_shown: None,
            resync_took: jiff::SignedDuration::ZERO,
            catalog: &world.catalog,
            agreement: lifecycle::Agreement::default(),
            call_history: &call_history,
            quota: &QuotaGate::default(),
            instance_type: None,
            permissions: &crate::gates::permission::PermissionGate::default(),
            subnets: &crate::gates::subnet::SubnetGate::default(),
            settings: &world.settings,
            now: world.now,
        };
        ExplainedAttachment {
            attachment: (*eni_attachment).clone(),
            observation: observation.clone(),
            step: lifecycle::step(input),
            changes: lifecycle::changes(&input),
        }
    });
    let refused = BTreeMap::from([("bad".to_owned(), "would be refused: no".to_owned())]);
    plan(Input {
        removals: &BTreeMap::new(),
        cluster: &world.cluster,
        nodes: &[&node],
        nodeenis: &world.nodeenis.iter().collect::<Vec<_>>(),
        attachments: &attachments.collect::<Vec<_>>(),
        assignments,
        catalog: &world.catalog,
        owned: &[],
        upstreams: &[],
        refused: &refused,
        settings: &world.settings,
        now: world.now,
    })
}

/// An attached ENI of this ENIAttachment.
fn attached(eni_attachment: &Attachment) -> ObservedEni {
    let mut seen = eni(7);
    seen.tags.insert(names::TAG_ATTACHMENT_UID, &eni_attachment.uid);
    seen.attachment = Some(attachment(AttachmentState::Attached));
    seen.shown_at = at(100);
    seen
}

#[test]
fn a_node_of_a_cluster_without_nodeenis_is_explained_so() {
    let world = World::new(Vec::new());
    let mut plan = reported(&world, &[]);
    plan.node_enis.clear();
    let said = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    assert!(said.starts_with("Node n0: ") && said.ends_with("\n  The cluster has no NodeENI.\n"), "{said}");
}

#[test]
fn a_new_eni_costs_three_calls_and_a_conflict_none() {
    let world = World::new(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("b", 1, &[SUBNET_A])]);
    let plan = reported(&world, &[]);
    assert_eq!(
        plan_text(&plan),
        "NodeENI a (ng=multi-eni): matches 1 node, 1 ENI desired, 0 in place\n  \
         + n0, index 1: create an ENI in subnet-0f59b4f14737be9ad (10.0.0.0/24) and attach it\n\n\
         NodeENI b (ng=multi-eni): matches 1 node, 1 ENI desired, 0 in place\n  \
         ! n0, index 1: device index 1 on network card 0 is reserved for NodeENI a: give one of the two NodeENIs another \
         deviceIndex\n\n\
         NodeENI bad: would be refused: no\n\n\
         1 needs a person (!): b on n0 (DeviceIndexConflict)\n\
         1 NodeENI needs a person: bad\n\
         EC2 calls: AttachNetworkInterface 1, CreateNetworkInterface 1 (2 in all)\n"
    );
    // The spec of these tests has deleteOnTermination false. With true there is a third call.
    let mut spec = world.nodeenis[0].spec.clone().unwrap();
    spec.delete_on_termination = true;
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    world.nodeenis[0].spec = Ok(spec);
    assert_eq!(reported(&world, &[]).calls.values().sum::<u32>(), 3);
}

#[test]
fn each_change_in_place_is_one_call() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut of = new_attachment("n0", 1, true);
    of.name = world.assign().create[0].name.clone();
    of.request = world.assign().create[0].spec.request.clone().into();
    world.attachments = vec![of.clone()];
    let mut seen = attached(&of);
    seen.attachment.as_mut().unwrap().delete_on_termination = false;
    seen.tags.extend(lifecycle::tags(&world.cluster, &of));
    of.status.eni_id = Some(seen.id.to_string());
    let settled = reported(&world, &[(&of, Observation::Seen(Box::new(seen.clone())))]);
    assert!(plan_text(&settled).contains("1 ENI desired, 1 in place\n\n"), "{}", plan_text(&settled));
    let story = explain_node(&settled, world.node.as_ref(), "n0").unwrap();
    assert!(story.contains("  = index 1: eni-00000000000000007 is attached"), "{story}");
    assert_eq!(story.matches("eni-00000000000000007").count(), 1, "{story}");

    seen.source_dest_check = false;
    seen.tags.remove(names::TAG_NO_MANAGE);
    let changed = reported(&world, &[(&of, Observation::Seen(Box::new(seen)))]);
    assert_eq!(changed.calls, BTreeMap::from([("CreateTags", 1), ("ModifyNetworkInterfaceAttribute", 1)]));
    let text = plan_text(&changed);
    assert!(text.contains("sourceDestCheck: true; tags: node.k8s.amazonaws.com/no_manage=true"), "{text}");
}

#[test]
fn a_node_without_the_label_loses_its_eni_and_the_text_names_the_label() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let of = new_attachment("n0", 1, true);
    world.attachments = vec![of.clone()];
    world.node.as_mut().unwrap().labels = [("ng", "other")].into();
    let plan = reported(&world, &[(&of, Observation::Seen(Box::new(attached(&of))))]);
    assert_eq!(plan.calls, BTreeMap::from([("DeleteNetworkInterface", 1), ("DetachNetworkInterface", 1)]));
    let story = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    assert!(story.contains("NodeENI a: no longer matches") && story.contains("within 10s"), "{story}");
    let story = explain_nodeeni(&plan, "a", &[world.node.as_ref().unwrap()]).unwrap();
    assert!(story.contains("not matched: n0: ng is other, not multi-eni"), "{story}");
    assert_eq!((explain_nodeeni(&plan, "x", &[]), explain_node(&plan, None, "x")), (None, None));
}

#[test]
fn a_nodeeni_without_an_eni_on_a_gone_node_is_not_listed() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A]), nodeeni("b", 2, &[SUBNET_A])]);
    let of = new_attachment("n0", 1, true);
    world.attachments = vec![of.clone()];
    world.node.as_mut().unwrap().labels = [("ng", "other")].into();
    let plan = reported(&world, &[(&of, Observation::Seen(Box::new(attached(&of))))]);
    let story = explain_node(&plan, None, "n0").unwrap();
    assert!(
        story.starts_with("Node n0 no longer exists. Its ENIs:\n  NodeENI a: ") && !story.contains("NodeENI b"),
        "{story}"
    );
}

#[test]
fn a_subnet_on_an_outpost_is_shown_with_it() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let subnet = world.catalog.subnets.values_mut().find(|subnet| subnet.id.as_str() == SUBNET_A).unwrap();
    subnet.outpost = Some("arn:aws:outposts:eu-west-1:111122223333:outpost/op-0ab23c4567890de1f".into());
    let shown = "subnet subnet-0f59b4f14737be9ad: z1 on Outpost op-0ab23c4567890de1f, 10.0.0.0/24, 100 free addresses";
    assert_eq!(reported(&world, &[]).node_enis[0].subnets, [shown]);
}

#[test]
fn a_percentage_for_the_rollout_is_shown_with_its_number_of_nodes() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut of = new_attachment("n0", 1, true);
    of.name = world.assign().create[0].name.clone();
    of.request = world.assign().create[0].spec.request.clone().into();
    of.request.private_ip_count = Some(2);
    world.attachments = vec![of.clone()];
    let mut message = |max: MaxUnavailable| {
        world.nodeenis[0].spec.as_mut().unwrap().max_unavailable = max;
        let plan = reported(&world, &[(&of, Observation::Seen(Box::new(attached(&of))))]);
        let replaced = plan.node_enis[0].lines.iter().find(|line| line.mark == LineKind::Replace).unwrap();
        (plan.node_enis[0].max_unavailable, replaced.message.clone())
    };
    let (most, text) = message(MaxUnavailable::Percent(30));
    assert_eq!(most, 1, "0.3 nodes are rounded up");
    assert!(text.ends_with("(rollout.maxUnavailable: 30%, 1 of 1 node)"), "{text}");
    let (most, text) = message(MaxUnavailable::Nodes(4));
    assert_eq!(most, 4);
    assert!(text.ends_with("(rollout.maxUnavailable: 4)"), "{text}");
}

#[test]
fn terms_that_match_nothing_are_a_problem_though_the_old_eni_stays() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let mut of = new_attachment("n0", 1, true);
    of.name = world.assign().create[0].name.clone();
    of.request = world.assign().create[0].spec.request.clone().into();
    world.attachments = vec![of.clone()];
    let tags = TagTerm::read(None, &[("tier".to_owned(), "none".to_owned())].into()).unwrap();
    world.catalog.subnets_tagged.insert(tags.clone(), [].into());
    let spec = world.nodeenis[0].spec.as_mut().unwrap();
    (spec.subnets, spec.subnet_terms) = (Vec::new(), vec![SubnetTerm::Tags(tags)]);
    let plan = reported(&world, &[(&of, Observation::Seen(Box::new(attached(&of))))]);
    let line = plan.node_enis[0].lines.iter().find(|line| line.mark == LineKind::Blocked).unwrap();
    assert_eq!(line.reason, "SubnetNotFound");
    let story = explain_node(&plan, world.node.as_ref(), "n0").unwrap();
    let expected = "  ! no subnet of the node's VPC matches subnetSelectorTerms (tag tier=none): correct the terms or tag a subnet";
    assert!(story.lines().any(|line| line.starts_with(expected)), "{story}");
}

#[test]
fn the_head_of_a_node_says_what_is_known_of_it() {
    let world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    let head = |change: &dyn Fn(&mut ObservedNode)| {
        let mut node = world.node.clone().unwrap();
        change(&mut node);
        explain_node(&reported(&world, &[]), Some(&node), "n0").unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(head(&|_| {}), "Node n0: instance i-0123456789abcdef0, Availability Zone z1");
    let joining = head(&|node| (node.instance, node.zone) = (Err(NotOnEc2::NoProviderId), None));
    assert_eq!(joining, "Node n0: no instance and no Availability Zone known, because it has no providerID yet");
    let fargate = head(&|node| node.instance = Err(NotOnEc2::Never(Unattachable::Fargate)));
    assert_eq!(fargate, "Node n0: an AWS Fargate Node, which can have no ENI");
    let leaving = head(&|node| (node.zone, node.deleting) = (None, true));
    assert_eq!(
        leaving,
        "Node n0: instance i-0123456789abcdef0, Availability Zone not known by its providerID, being deleted"
    );
}

#[test]
fn a_device_that_is_given_back_before_the_detach_is_shown_with_its_end() {
    let mut world = World::new(vec![nodeeni("a", 1, &[SUBNET_A])]);
    (world.settings.node_agent, world.now) = (true, at(103));
    let mut leaving = new_attachment("n0", 1, true);
    leaving.deleting = Some(at(100));
    let mut seen = attached(&leaving);
    let of_cluster = lifecycle::tags(&world.cluster, &leaving);
    seen.tags.extend(of_cluster);
    let report = multi_eni_api::node_status::NodeStatus {
        mac_address: Some(seen.mac.to_string()),
        driver: Some("vfio-pci".to_owned()),
        pci_address: Some("0000:00:06.0".to_owned()),
        ..Default::default()
    };
    leaving.status.node = Some(Box::new(report));
    let plan = reported(&world, &[(&leaving, Observation::Seen(Box::new(seen)))]);
    let line = plan.node_enis[0].lines.iter().find(|line| line.reason == "ReturningDevice").unwrap();
    assert_eq!(line.mark, LineKind::Waits, "{line:?}");
    let words = "has given the device 0000:00:06.0 back from vfio-pci";
    assert!(line.message.contains(words) && line.message.contains(&at(220).to_string()), "{line:?}");
    assert_eq!(line.calls, BTreeMap::from([("DetachNetworkInterface", 1), ("DeleteNetworkInterface", 1)]));
}

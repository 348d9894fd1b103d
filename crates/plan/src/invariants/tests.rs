//! Random edits of a model: the invariants hold after every decision, the model converges, and no ENI is left over.

use super::model::{Model, SUBNETS, instance};
use super::{World, at_rest};
use crate::attachment::Attachment;
use crate::observed::ObservedEni;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::nodeeni::Rollout;
use multi_eni_api::{NodeEniSpec, names};
use proptest::prelude::*;

const NODES: usize = 3;
const NODEENIS: usize = 3;

/// One random edit.
#[derive(Debug, Clone)]
enum Edit {
    Apply(usize, Box<NodeEniSpec>),
    Delete(usize),
    Label(usize, &'static str),
    Leave(usize),
    Join(usize),
    Terminate(usize),
    Detach(usize),
    Destroy(usize),
    Untag(usize),
    Foreign(usize, i32),
    Upstream(usize, usize, usize, i32),
    Rounds(usize),
}

fn spec() -> impl Strategy<Value = NodeEniSpec> {
    let subnets = prop::collection::vec(0..SUBNETS.len(), 1..4);
    let group = prop::sample::select(vec!["x", "y"]);
    (group, subnets, 1..4_i32, 0..2_i32, 1..3_i32, any::<bool>(), any::<bool>()).prop_map(
        |(group, subnets, index, card, most, dot, check)| NodeEniSpec {
            node_selector: [("ng".to_owned(), group.to_owned())].into(),
            subnet_ids: Some(subnets.into_iter().map(|n| SUBNETS[n].to_owned()).collect()),
            device_index: index,
            network_card_index: Some(card),
            delete_on_termination: dot,
            source_dest_check: Some(check),
            mtu: check.then_some(9001),
            rollout: Some(Rollout {
                max_unavailable: Some(if dot {
                    IntOrString::Int(most)
                } else {
                    IntOrString::String(format!("{}%", most * 25))
                }),
                max_removals: None,
            }),
            ..NodeEniSpec::default()
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (0..NODEENIS, spec()).prop_map(|(n, spec)| Edit::Apply(n, Box::new(spec))),
        2 => (0..NODEENIS).prop_map(Edit::Delete),
        4 => (0..NODES, prop::sample::select(vec!["x", "y", "z"])).prop_map(|(n, to)| Edit::Label(n, to)),
        1 => (0..NODES).prop_map(Edit::Leave),
        2 => (0..NODES).prop_map(Edit::Join),
        1 => (0..NODES).prop_map(Edit::Terminate),
        2 => (0..9_usize).prop_map(Edit::Detach),
        2 => (0..9_usize).prop_map(Edit::Destroy),
        1 => (0..9_usize).prop_map(Edit::Untag),
        2 => (0..NODES, 1..5_i32).prop_map(|(n, index)| Edit::Foreign(n, index)),
        2 => (0..NODES, 0..NODEENIS, 0..SUBNETS.len(), 1..5_i32).prop_map(|(n, i, s, at)| Edit::Upstream(n, i, s, at)),
        6 => (0..30_usize).prop_map(Edit::Rounds),
    ]
}

fn nth_of_ours(model: &mut Model, n: usize) -> Option<&mut ObservedEni> {
    let cluster = model.cluster.clone();
    let mut ours: Vec<&mut ObservedEni> = model.enis.values_mut().filter(|eni| eni.is_of(&cluster)).collect();
    let n = n % ours.len().max(1);
    (n < ours.len()).then(|| ours.swap_remove(n))
}

fn make(model: &mut Model, edit: Edit) {
    match edit {
        Edit::Apply(n, spec) => model.apply(&format!("e{n}"), *spec),
        Edit::Delete(n) => {
            if let Some(nodeeni) = model.nodeenis.get_mut(&format!("e{n}")) {
                nodeeni.deleting = true;
            }
        }
        Edit::Label(n, to) => {
            if let Some(node) = model.nodes.get_mut(&format!("n{n}")) {
                node.labels.insert("ng", to);
            }
        }
        Edit::Leave(n) => drop(model.nodes.remove(&format!("n{n}"))),
        Edit::Join(n) if !model.gone_instances.contains(&instance(n)) => model.join(n),
        Edit::Join(_) => {}
        Edit::Terminate(n) => {
            model.nodes.remove(&format!("n{n}"));
            model.gone_instances.insert(instance(n));
            let on = |eni: &ObservedEni| {
                eni.attachment.as_ref().is_some_and(|at| at.instance.as_ref() == Some(&instance(n)))
            };
            model
                .enis
                .retain(|_, eni| !(on(eni) && eni.attachment.as_ref().is_some_and(|at| at.delete_on_termination)));
            model.enis.values_mut().filter(|eni| on(eni)).for_each(|eni| eni.attachment = None);
        }
        Edit::Detach(n) => {
            if let Some(eni) = nth_of_ours(model, n) {
                eni.attachment = None;
            }
        }
        Edit::Destroy(n) => {
            if let Some(id) = nth_of_ours(model, n).map(|eni| eni.id.clone()) {
                model.enis.remove(&id);
            }
        }
        Edit::Untag(n) => {
            if let Some(eni) = nth_of_ours(model, n) {
                eni.tags.remove(names::TAG_NODE);
                eni.source_dest_check = !eni.source_dest_check;
            }
        }
        Edit::Foreign(n, index) => model.put(n, index, SUBNETS[n % 2 * 2], &[("Name", "vpc-cni")]),
        Edit::Upstream(n, nodeeni, subnet, index) => {
            let nodeeni = format!("e{nodeeni}");
            let manager = (names::UPSTREAM_TAG_MANAGED_BY, names::UPSTREAM_MANAGER);
            // EC2 attaches no ENI to an instance of another zone.
            model.put(n, index, SUBNETS[n % 2 * 2 + subnet % 2], &[manager, (names::UPSTREAM_TAG_NODEENI, &nodeeni)]);
        }
        Edit::Rounds(n) => {
            for _ in 0..n {
                model.round();
            }
        }
    }
}

/// The ENIs that the controller must not touch.
fn foreign(model: &Model) -> Vec<ObservedEni> {
    let free = |eni: &&ObservedEni| !eni.is_of(&model.cluster) && eni.upstreams(&model.cluster).is_none();
    model.enis.values().filter(free).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_after_any_edits_and_the_model_converges(edits in prop::collection::vec(edit(), 1..25)) {
        let mut model = Model::new(NODES);
        for edit in edits {
            make(&mut model, edit);
        }
        let before = foreign(&model);
        model.settle();
        prop_assert_eq!(&foreign(&model), &before);
        // No ENIAttachment exists that cannot work: after convergence each one is ready.
        let attachments: Vec<&Attachment> = model.attachments.values().collect();
        let waiting: Vec<&&Attachment> = attachments.iter().filter(|attachment| !is_true(&attachment.status.conditions, types::READY)).collect();
        prop_assert!(waiting.is_empty(), "{:?}", waiting);
        let enis: Vec<&ObservedEni> = model.enis.values().collect();
        let breaches = at_rest(&World { cluster: &model.cluster, enis: &enis, attachments: &attachments });
        prop_assert!(breaches.is_empty(), "{:?}", breaches);
        let departures = model.departures;
        model.settle();
        prop_assert_eq!(model.departures, departures, "planning again gives something to take away");

        // Without NodeENIs no ENI of this cluster is left, and no ENI of others is gone.
        model.nodeenis.values_mut().for_each(|nodeeni| nodeeni.deleting = true);
        model.settle();
        prop_assert!(model.attachments.is_empty(), "{:?}", model.attachments);
        let left: Vec<&ObservedEni> = model.enis.values().filter(|eni| eni.is_of(&model.cluster)).collect();
        prop_assert!(left.is_empty(), "{:?}", left);
        prop_assert_eq!(&foreign(&model), &before);
    }
}

/// 25 % of 9 nodes are 3, rounded up: no more are without their ENI at a time, and no fewer are replaced together.
#[test]
fn a_percentage_of_the_nodes_loses_its_enis_at_a_time() {
    const ALL: usize = 9;
    let spec = |index: i32| NodeEniSpec {
        node_selector: [("ng".to_owned(), "x".to_owned())].into(),
        subnet_ids: Some([SUBNETS[0], SUBNETS[2]].map(str::to_owned).into()),
        device_index: index,
        rollout: Some(Rollout { max_unavailable: Some(IntOrString::String("25%".to_owned())), max_removals: None }),
        ..NodeEniSpec::default()
    };
    let ready = |model: &Model, index: i32| {
        let is_ready = |attachment: &&Attachment| {
            attachment.deleting.is_none() && is_true(&attachment.status.conditions, types::READY)
        };
        model.attachments.values().filter(is_ready).filter(|attachment| attachment.slot().1 == index).count()
    };
    let mut model = Model::new(ALL);
    model.apply("e0", spec(1));
    model.settle();
    assert_eq!(ready(&model, 1), ALL);
    model.apply("e0", spec(2));
    let mut away = Vec::new();
    while ready(&model, 2) < ALL {
        assert!(away.len() < 200, "the rollout stands still: {away:?}");
        model.round();
        away.push(ALL - ready(&model, 1) - ready(&model, 2));
    }
    assert_eq!(away.iter().max(), Some(&3), "{away:?}");
    model.settle();
    assert_eq!((ready(&model, 1), ready(&model, 2), model.attachments.len()), (0, ALL, ALL));
}

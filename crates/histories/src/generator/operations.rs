//! Draws operations, in the mixture of this history.

use super::fleet::{Fleet, join, labels};
use super::setting::{pick, subnets};
use super::upstream::upstream;
use super::{joining, node_identity, refusals, specs, vpc_cni};
use crate::script::{HandChange, Millis, Operation, Target};
use fastrand::Rng;

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Join,
    JoinBare,
    JoinUnsupported,
    Leave,
    Return,
    Replace,
    Terminate,
    Power,
    Relabel,
    Flap,
    Twin,
    ZoneLabel,
    LeftOut,
    Drain,
    Heartbeats,
    Apply,
    Edit,
    Remove,
    Recreate,
    ByKubectl,
    Strip,
    Annotate,
    ReconcileAt,
    HandDetach,
    HandDelete,
    HandMove,
    HandChange,
    Untag,
    Cni,
    CniLoad,
    OtherCluster,
    Upstream,
    Pod,
    Quota,
    Crowd,
    RemakeGroup,
    RenameSubnet,
    RefuseCalls,
    Undo,
    Deny,
    Kill,
    Stop,
    Elsewhere,
    RoleSwap,
    Pause,
    ClockStep,
    Partition,
    StaleWatch,
    BreakWatches,
    Compact,
    RestartApi,
    Forbid,
    Refuse,
}

/// Every kind and its weight.
const KINDS: [(Kind, u32); 53] = [
    (Kind::Join, 6),
    (Kind::JoinBare, 3),
    (Kind::JoinUnsupported, 2),
    (Kind::Leave, 6),
    (Kind::Return, 5),
    (Kind::Replace, 4),
    (Kind::Terminate, 4),
    (Kind::Power, 2),
    (Kind::Relabel, 10),
    (Kind::Flap, 4),
    (Kind::Twin, 2),
    (Kind::ZoneLabel, 3),
    (Kind::LeftOut, 2),
    (Kind::Drain, 3),
    (Kind::Heartbeats, 2),
    (Kind::Apply, 3),
    (Kind::Edit, 10),
    (Kind::Remove, 4),
    (Kind::Recreate, 4),
    (Kind::ByKubectl, 3),
    (Kind::Strip, 2),
    (Kind::Annotate, 2),
    (Kind::ReconcileAt, 3),
    (Kind::HandDetach, 3),
    (Kind::HandDelete, 3),
    (Kind::HandMove, 2),
    (Kind::HandChange, 3),
    (Kind::Untag, 2),
    (Kind::Cni, 5),
    (Kind::CniLoad, 4),
    (Kind::OtherCluster, 2),
    (Kind::Upstream, 4),
    (Kind::Pod, 4),
    (Kind::Quota, 2),
    (Kind::Crowd, 2),
    (Kind::RemakeGroup, 2),
    (Kind::RenameSubnet, 2),
    (Kind::RefuseCalls, 3),
    (Kind::Undo, 1),
    (Kind::Deny, 2),
    (Kind::Kill, 5),
    (Kind::Stop, 3),
    (Kind::Elsewhere, 1),
    (Kind::RoleSwap, 1),
    (Kind::Pause, 4),
    (Kind::ClockStep, 1),
    (Kind::Partition, 3),
    (Kind::StaleWatch, 3),
    (Kind::BreakWatches, 2),
    (Kind::Compact, 2),
    (Kind::RestartApi, 2),
    (Kind::Forbid, 2),
    (Kind::Refuse, 2),
];

/// The kinds of operations that one history has.
#[derive(Debug)]
pub(super) struct OperationMix(Vec<(Kind, u32)>);

impl OperationMix {
    pub fn draw(rng: &mut Rng) -> Self {
        let always = |kind: Kind| matches!(kind, Kind::Relabel | Kind::Edit | Kind::Join);
        Self(KINDS.into_iter().filter(|(kind, _)| always(*kind) || rng.bool()).collect())
    }

    fn kind(&self, rng: &mut Rng) -> Kind {
        let mut left = rng.u32(0..self.0.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in &self.0 {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::Relabel
    }

    /// Draws the next operations, each with its delay after the first; None if the drawn kind has no possible target.
    pub fn draw_operations(&self, rng: &mut Rng, fleet: &mut Fleet) -> Option<Vec<(Millis, Operation)>> {
        let at_once = |operation: Operation| Some(vec![(0, operation)]);
        match self.kind(rng) {
            Kind::Join => {
                let name = format!("n{}", fleet.nodes.len() + fleet.left.len() + 1);
                let node = fleet.new_node(rng);
                let operation = join(&name, &node);
                fleet.left.remove(&name);
                fleet.nodes.insert(name, node);
                at_once(operation)
            }
            Kind::JoinBare => joining::bare(rng, fleet),
            Kind::JoinUnsupported => at_once(joining::unsupported(rng, fleet)),
            Kind::Leave => {
                let name = fleet.node(rng, |node| !node.draining)?;
                let mut node = fleet.nodes.remove(&name)?;
                let terminate = rng.bool();
                node.runs &= !terminate;
                fleet.left.insert(name.clone(), node);
                at_once(Operation::Leave { node: name, terminate })
            }
            Kind::Return => {
                let names: Vec<String> =
                    fleet.left.iter().filter(|(_, node)| node.runs).map(|(n, _)| n.clone()).collect();
                let name = names.get(rng.usize(0..names.len().max(1)))?.clone();
                let node = fleet.left.remove(&name)?;
                let operation = join(&name, &node);
                fleet.nodes.insert(name, node);
                at_once(operation)
            }
            Kind::Replace => {
                let name = fleet.node(rng, |node| !node.draining)?;
                let next = fleet.new_node(rng);
                let operations = vec![
                    (0, Operation::Leave { node: name.clone(), terminate: rng.bool() }),
                    (rng.u64(0..30_000), join(&name, &next)),
                ];
                fleet.nodes.insert(name, next);
                Some(operations)
            }
            Kind::Terminate => {
                let name = fleet.node(rng, |node| node.runs && !node.draining)?;
                let mut node = fleet.nodes.remove(&name)?;
                node.runs = false;
                fleet.left.insert(name.clone(), node);
                let leave = Operation::Leave { node: name.clone(), terminate: false };
                Some(vec![(0, Operation::Terminate { node: name }), (rng.u64(0..90_000), leave)])
            }
            Kind::Power => {
                let name = fleet.node(rng, |node| node.runs && !node.draining)?;
                let node = fleet.nodes.get_mut(&name)?;
                if node.halted {
                    node.halted = false;
                    return at_once(Operation::Boot { node: name });
                }
                // Usually the instance starts again soon; else it stays stopped until this kind is drawn again for it, or until
                // the end.
                node.halted = rng.u32(0..3) == 0;
                let mut operations = vec![(0, Operation::Halt { node: name.clone() })];
                if !node.halted {
                    operations.push((rng.u64(10_000..200_000), Operation::Boot { node: name }));
                }
                Some(operations)
            }
            Kind::Relabel => {
                let name = fleet.node(rng, |_| true)?;
                let node = fleet.nodes.get_mut(&name)?;
                let next = labels(rng);
                let keys = ["ng", "tier"].map(str::to_owned);
                let set = keys.map(|key| (key.clone(), next.get(&key).cloned())).into();
                node.labels = next;
                at_once(Operation::Label { node: name, set })
            }
            Kind::Flap => {
                let name = fleet.node(rng, |node| node.labels.contains_key("ng"))?;
                let group = fleet.nodes.get(&name)?.labels.get("ng").cloned();
                let off = Operation::Label { node: name.clone(), set: [("ng".to_owned(), None)].into() };
                let on = Operation::Label { node: name, set: [("ng".to_owned(), group)].into() };
                Some(vec![(0, off), (rng.u64(10..15_000), on)])
            }
            Kind::Twin => node_identity::twin(rng, fleet),
            Kind::ZoneLabel => node_identity::zone_label(rng, fleet),
            Kind::LeftOut => node_identity::left_out(rng, fleet),
            Kind::Drain => {
                let name = fleet.node(rng, |node| !node.draining)?;
                let mut node = fleet.nodes.remove(&name)?;
                (node.draining, node.runs) = (true, false);
                fleet.left.insert(name.clone(), node);
                let lasts = rng.u64(1_000..120_000);
                Some(vec![(0, Operation::Drain { node: name.clone() }), (lasts, Operation::Drained { node: name })])
            }
            Kind::Heartbeats => {
                let names: Vec<String> = fleet.nodes.keys().cloned().collect();
                Some(names.into_iter().map(|node| (rng.u64(0..5_000), Operation::Heartbeat { node })).collect())
            }
            Kind::Apply => {
                let name = format!("e{}", fleet.nodeenis.len() + fleet.removed.len() + 1);
                let spec = specs::draw(rng, &fleet.choices);
                fleet.nodeenis.insert(name.clone(), spec.clone());
                at_once(Operation::Apply { name, spec })
            }
            Kind::Edit => {
                let name = fleet.nodeeni(rng)?;
                let spec = specs::edit(rng, fleet.nodeenis.get(&name)?, &fleet.choices);
                fleet.nodeenis.insert(name.clone(), spec.clone());
                at_once(Operation::Apply { name, spec })
            }
            Kind::Remove => {
                let name = fleet.nodeeni(rng)?;
                fleet.nodeenis.remove(&name);
                fleet.removed.insert(name.clone());
                at_once(Operation::Remove { name })
            }
            Kind::Recreate => {
                let name = fleet.nodeeni(rng)?;
                let spec =
                    if rng.bool() { fleet.nodeenis.get(&name)?.clone() } else { specs::draw(rng, &fleet.choices) };
                fleet.nodeenis.insert(name.clone(), spec.clone());
                // While the former NodeENI still exists, the first Apply edits an object that is being deleted. So it is applied
                // twice.
                let again = Operation::Apply { name: name.clone(), spec };
                let (first, second) = (rng.u64(10..20_000), rng.u64(20_000..120_000));
                Some(vec![(0, Operation::Remove { name }), (first, again.clone()), (second, again)])
            }
            Kind::ByKubectl => at_once(Operation::DeleteAttachment(target(rng))),
            Kind::Strip => at_once(Operation::StripAttachment(target(rng))),
            Kind::Annotate => at_once(Operation::Annotate(target(rng))),
            Kind::ReconcileAt => {
                let nodeeni = if rng.bool() { Some(fleet.nodeeni(rng)?) } else { None };
                at_once(Operation::ReconcileAt { nodeeni, nth: rng.usize(0..100) })
            }
            Kind::HandDetach => at_once(Operation::HandDetach(target(rng))),
            Kind::HandDelete => at_once(Operation::HandDelete(target(rng))),
            Kind::HandMove => {
                let node = fleet.node(rng, |node| node.runs)?;
                at_once(Operation::HandMove { nth: rng.usize(0..100), node, index: rng.u32(1..8) })
            }
            Kind::HandChange => {
                let changes = [
                    HandChange::Rename,
                    HandChange::Describe,
                    HandChange::Groups,
                    HandChange::SourceDestCheck,
                    HandChange::ConnectionTracking,
                    HandChange::DeleteOnTermination,
                ];
                at_once(Operation::HandChange { nth: rng.usize(0..100), change: *pick(rng, &changes) })
            }
            Kind::Untag => {
                let changes = [HandChange::Untag, HandChange::UntagCluster, HandChange::UntagAttachment];
                at_once(Operation::HandChange { nth: rng.usize(0..100), change: *pick(rng, &changes) })
            }
            Kind::Cni => {
                let node = fleet.node(rng, |node| node.runs)?;
                at_once(if rng.u32(0..3) == 0 { Operation::CniRelease { node } } else { Operation::CniAttach { node } })
            }
            Kind::CniLoad => {
                let node = fleet.node(rng, |node| node.runs)?;
                at_once(vpc_cni::load(rng, node))
            }
            Kind::OtherCluster => {
                let node = fleet.node(rng, |node| node.runs)?;
                at_once(Operation::OtherCluster { node })
            }
            Kind::Upstream => {
                let node = fleet.node(rng, |node| node.runs)?;
                let nodeeni = fleet.nodeeni(rng)?;
                let zone = &fleet.nodes.get(&node)?.zone;
                at_once(upstream(rng, &node, (zone, &fleet.choices.subnets), &nodeeni))
            }
            Kind::Pod => {
                let last = fleet.pods.pop_first().filter(|_| rng.u32(0..3) == 0);
                at_once(match last {
                    Some(pod) => Operation::PodEnds { pod },
                    None => fleet.start_pod(rng)?,
                })
            }
            Kind::Quota => {
                fleet.quota = !fleet.quota;
                at_once(Operation::Quota { room: fleet.quota.then(|| rng.u32(0..4)) })
            }
            Kind::Crowd => {
                let tiny: Vec<String> = subnets().into_iter().filter(|s| s.tiny).map(|s| s.id).collect();
                let subnet = pick(rng, &tiny).clone();
                at_once(if fleet.crowded.remove(&subnet) {
                    Operation::Uncrowd { subnet }
                } else {
                    fleet.crowded.insert(subnet.clone());
                    Operation::Crowd { subnet, leave: rng.u64(0..2) }
                })
            }
            Kind::RemakeGroup => at_once(Operation::RemakeGroup { number: rng.u64(1..=crate::environment::GROUPS) }),
            Kind::RenameSubnet => {
                let subnet = pick(rng, &fleet.choices.subnets).id.clone();
                let name = *pick(rng, &["storage", "only-a", "only-b", "other"]);
                at_once(Operation::RenameSubnet { subnet, name: name.to_owned() })
            }
            Kind::RefuseCalls => at_once(refusals::by_ec2(rng)),
            Kind::Undo => Some(refusals::undone(rng)),
            Kind::Deny => {
                let action = *pick(rng, &crate::environment::ACTIONS);
                let action_name = action.to_owned();
                if fleet.denied.remove(action) {
                    return at_once(Operation::Allow { action: action_name });
                }
                let mut operations = vec![(0, Operation::Deny { action: action_name.clone() })];
                if rng.u32(0..3) == 0 {
                    fleet.denied.insert(action);
                } else {
                    operations.push((rng.u64(1_000..200_000), Operation::Allow { action: action_name }));
                }
                Some(operations)
            }
            Kind::Kill => at_once(Operation::Kill { replica: replica(rng, fleet), restart: rng.u64(500..60_000) }),
            Kind::Stop => at_once(Operation::Stop { replica: replica(rng, fleet), restart: rng.u64(500..60_000) }),
            Kind::Elsewhere => {
                at_once(Operation::Elsewhere { replica: replica(rng, fleet), lasts: rng.u64(20_000..300_000) })
            }
            Kind::RoleSwap => {
                at_once(Operation::RoleSwap { replica: replica(rng, fleet), lasts: rng.u64(20_000..600_000) })
            }
            Kind::Pause => at_once(Operation::Pause { replica: replica(rng, fleet), lasts: rng.u64(1_000..90_000) }),
            Kind::ClockStep => {
                at_once(Operation::ClockStep { replica: replica(rng, fleet), by: rng.i64(-120_000..120_000) })
            }
            Kind::Partition => {
                let lasts = rng.u64(1_000..90_000);
                at_once(Operation::Partition { replica: replica(rng, fleet), kube: rng.bool(), lasts })
            }
            Kind::StaleWatch => {
                at_once(Operation::StaleWatch { replica: replica(rng, fleet), lasts: rng.u64(1_000..60_000) })
            }
            Kind::BreakWatches => at_once(Operation::BreakWatches {}),
            Kind::Compact => Some(vec![(0, Operation::Compact {}), (rng.u64(0..2_000), Operation::BreakWatches {})]),
            Kind::RestartApi => at_once(Operation::RestartApi { lasts: rng.u64(500..40_000) }),
            Kind::Forbid => at_once(Operation::Forbid { reads: rng.bool(), lasts: rng.u64(1_000..60_000) }),
            Kind::Refuse => at_once(refusals::by_admission(rng)),
        }
    }
}

fn target(rng: &mut Rng) -> Target {
    Target { nth: rng.usize(0..100) }
}

fn replica(rng: &mut Rng, fleet: &Fleet) -> usize {
    rng.usize(0..fleet.replicas)
}

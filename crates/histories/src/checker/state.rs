//! The state of the checker: what it knows of the history so far, and the first violation. `on_change.rs` and `on_request.rs` feed
//! it.

use super::backoff::{Repeats, Request};
use super::budget::Budgets;
use super::invariant::{Invariant, Violation};
use super::lease::Leases;
use super::max_staleness::{MAX_NAME_AGE, MAX_WATCH_STALENESS};
use super::model::{Model, ModelNodeEni};
use super::outages;
use super::refused_requests::Refusals;
use super::removal_history::RemovalHistories;
use super::tainted_nodes::StartupTaints;
use super::trace::{Detail, Trace};
use super::unavailable_nodes::Rollouts;
use crate::script::{Millis, Operation, Placement, Script, SubnetPlace};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::observed::Cluster;
use multi_eni_sim::ec2::catalog;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What the checker knows.
#[derive(Debug)]
pub struct State {
    /// This cluster, as its tags name it on EC2.
    pub cluster: Cluster,
    /// The subnets, with the names that they have now.
    pub subnets: Vec<SubnetPlace>,
    /// How many interfaces each network card of an instance takes.
    pub cards: Vec<u32>,
    /// Whether the replicas elect a leader.
    pub elects: bool,
    /// The grace before a detach is forced, minus the possible difference of clocks.
    pub force_after: Millis,
    /// How far the clocks of replicas may be from that of the API server.
    pub clocks_differ: Millis,
    /// The longest time for which EC2 may show an older state.
    pub lag: Millis,
    /// How old a replica's view of Pods may be; None if the controller does not wait for Pods.
    pub pods_known: Option<Millis>,
    /// EC2 and the API server as they are.
    pub model: Model,
    /// The trace.
    pub trace: Trace,
    /// The Lease.
    pub leases: Leases,
    /// The first violation.
    pub breach: Option<Violation>,
    /// When an ENI last changed, or a replica last changed an object that is no Lease.
    pub moved: Millis,
    /// How many changes there were so far, of any kind except Leases.
    pub changes: u64,
    /// The replicas' calls and writes since the last reset.
    pub since_mark: Activity,
    /// Nodes that rollouts have made unavailable.
    pub rollouts: Rollouts,
    /// ENIs that NodeENIs have lost by labels and edits.
    pub removals: RemovalHistories,
    /// Whether the node agent is enabled.
    pub node_agent: bool,
    /// Startup taints of Nodes.
    pub startup_taints: StartupTaints,
    /// Requests that are refused.
    pub refusals: Refusals,
    /// When a process last started.
    pub last_begun: Millis,
    /// When [`Self::poll`] last ran.
    pub(super) last_poll: Millis,
    /// Instances that are shutting down or terminated, and since when.
    pub(super) dead: BTreeMap<String, Millis>,
    /// When no replica can be relied on to see and to write.
    pub(super) unable: Vec<Range<Millis>>,
    /// The rate limits of processes.
    pub(super) budgets: Budgets,
    /// Requests that processes repeat.
    pub repeats: Repeats,
    /// By number: calls to EC2 on their way.
    pub(super) calls: BTreeMap<u64, Request>,
    /// By number: calls that have changed something and have not ended yet.
    pub(super) effective: BTreeSet<u64>,
    /// By process and object: when the process last changed the object.
    pub(super) written: BTreeMap<(String, String), Millis>,
}

/// What the replicas did in a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// How many EC2 calls only read.
    pub reads: u64,
    /// The EC2 calls that change something, by action.
    pub mutations: Vec<String>,
    /// The writes to the API server, except for the Lease: verb, resource and name.
    pub writes: Vec<String>,
}

impl State {
    /// The state before the first event.
    pub fn new(cluster: &str, script: &Script, detail: Detail) -> Self {
        let setting = &script.setting;
        let skew = setting.clock_skew.iter().map(|skew| skew.unsigned_abs()).max().unwrap_or(0);
        let steps = script.events.iter().map(|event| match event.operation {
            Operation::ClockStep { by, .. } => by.unsigned_abs(),
            _ => 0,
        });
        let steps: Millis = skew + steps.sum::<u64>();
        let force = u64::try_from(setting.graces.force_detach).unwrap_or(0) * 1000;
        Self {
            cluster: Cluster { uid: cluster.to_owned(), name: String::new() },
            subnets: setting.subnets.clone(),
            cards: catalog::instance_type(&setting.instance_type).map_or_else(Vec::new, |found| found.cards.to_vec()),
            elects: setting.replicas > 1,
            force_after: force.saturating_sub(2000 + steps),
            clocks_differ: 2000 + steps,
            lag: setting.lag,
            pods_known: setting.waits_for_pods.then(|| MAX_WATCH_STALENESS + outages::blind_for(script)),
            model: Model { placements: placements(script), ..Model::default() },
            trace: Trace::new(detail),
            leases: Leases::default(),
            breach: None,
            moved: 0,
            changes: 0,
            since_mark: Activity::default(),
            rollouts: Rollouts::of(script),
            removals: RemovalHistories::new(2 * steps),
            node_agent: setting.node_agent,
            startup_taints: StartupTaints::default(),
            refusals: Refusals::default(),
            last_begun: 0,
            last_poll: 0,
            dead: BTreeMap::new(),
            unable: outages::unable(script),
            budgets: Budgets::new(setting.buckets_percent, steps, outages::frozen(script)),
            repeats: Repeats::default(),
            calls: BTreeMap::new(),
            effective: BTreeSet::new(),
            written: BTreeMap::new(),
        }
    }

    /// Records a violation. Only the first one counts.
    pub fn broke(&mut self, at: Millis, invariant: Invariant, how: String) {
        if self.breach.is_none() {
            self.trace.line(Detail::Story, at, "!", || format!("{invariant}: {how}"));
            self.breach = Some(Violation { at, invariant, how });
        }
    }

    /// A subnet gets another tag Name. A replica that has resolved the name may use its answer for `MAX_NAME_AGE`.
    pub fn renamed(&mut self, at: Millis, subnet: &str, name: &str) {
        let place = self.subnets.iter_mut().find(|place| place.id == subnet);
        if let Some(place) = place {
            place.name = Some(name.to_owned());
        }
        self.names_have_moved(at);
    }

    /// All subnets get their first names again.
    pub fn names_are_put_back(&mut self, at: Millis, subnets: &[SubnetPlace]) {
        if self.subnets != subnets {
            self.subnets = subnets.to_vec();
            self.names_have_moved(at);
        }
    }

    fn names_have_moved(&mut self, at: Millis) {
        let by_name = |nodeeni: &&ModelNodeEni| {
            let spec = nodeeni.spec.as_ref();
            spec.is_some_and(|spec| {
                let mut terms = spec.subnet_selector_terms.iter().flatten();
                spec.subnet_name.is_some() || spec.subnet_names.is_some() || terms.any(|term| term.name.is_some())
            })
        };
        let concerned = self.model.nodeenis.values().filter(by_name).map(|nodeeni| nodeeni.uid.clone());
        let concerned: Vec<String> = concerned.collect();
        concerned.iter().for_each(|uid| self.removals.names_moved(at, uid));
        self.model.nodeenis_changed.extend(concerned.into_iter().map(|uid| (uid, at + MAX_NAME_AGE)));
    }

    /// A new term of leadership begins. The process forgets its requests, and knows of the quota only what statuses say.
    pub fn quota_is_forgotten(&mut self, process: &str) {
        self.budgets.quota_is_forgotten(process);
        self.repeats.forget(process);
    }

    /// Whether the instance of an ENIAttachment is shutting down or terminated.
    pub fn has_died(&self, attachment: &Attachment) -> bool {
        attachment.instance.as_ref().is_some_and(|instance| self.dead.contains_key(instance.as_str()))
    }

    /// Whether some replica could see and write during all of the last `long` milliseconds.
    pub fn is_able(&self, at: Millis, long: Millis) -> bool {
        let from = at.saturating_sub(long);
        self.last_begun <= from && !self.unable.iter().any(|span| span.end > from && span.start <= at)
    }

    /// Whether [`Self::poll`] is due. It is not called at every event, because it needs a copy of the account.
    pub fn is_poll_due(&mut self, at: Millis) -> bool {
        const EVERY: Millis = 10_000;
        let due = at >= self.last_poll + EVERY;
        if due {
            self.last_poll = at;
        }
        due
    }
}

/// Where in the account the instances are that the script starts, except for the first VPC in the Region.
fn placements(script: &Script) -> BTreeMap<String, Placement> {
    let placed = script.events.iter().filter_map(|event| match &event.operation {
        Operation::Join { instance, placement, .. } | Operation::JoinManaged { instance, placement, .. } => {
            Some((instance.clone(), *placement))
        }
        _ => None,
    });
    // An instance stays where its first Node has started it.
    let mut placements = BTreeMap::new();
    for (instance, placement) in placed {
        placements.entry(instance).or_insert(placement);
    }
    placements
}

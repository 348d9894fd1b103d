//! The decisions of one moment, without their execution: the input of `multi-eni plan` and `multi-eni explain`.
//!
//! It makes the lookups that the decisions need, until they need no more. It never writes to the API server and never changes
//! EC2.

use super::{Dependencies, Reconciler};
use crate::store::Store;
use jiff::Timestamp;
use multi_eni_ec2::Changed;
use multi_eni_plan::assign::{Assignment, Need};
use multi_eni_plan::call_trouble::CallTrouble;
use multi_eni_plan::explain::{self, ExplainedAttachment};
use multi_eni_plan::lifecycle::{self, Action, Step};
use multi_eni_plan::nodeeni::NodeEni;
use multi_eni_plan::observed::{Ec2Catalog, ObservedEni, ObservedNode};
use multi_eni_plan::removals::RemovalPace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// How long to wait for further changes after the last answer of EC2.
const SETTLE_TIME: Duration = Duration::from_millis(20);

/// All decisions of one moment, and what they are based on.
#[derive(Debug)]
pub struct DryRun {
    /// All Nodes of the cluster.
    pub nodes: Vec<ObservedNode>,
    nodeenis: Vec<NodeEni>,
    attachments: Vec<ExplainedAttachment>,
    assignments: BTreeMap<String, Assignment>,
    catalog: Arc<Ec2Catalog>,
    removals: BTreeMap<String, RemovalPace>,
    owned: Vec<ObservedEni>,
    /// ENIs with the tags of upstream's controller.
    upstreams: Vec<ObservedEni>,
    /// The time of the decisions.
    now: Timestamp,
    /// Why the dry run is incomplete, as a sentence: EC2 did not answer all lookups in time.
    pub unanswered: Option<String>,
}

impl Reconciler {
    /// Decides for all objects in `store` without acting. The lookups on EC2 may take `timeout` in all;
    /// [`multi_eni_ec2::Ec2::run`] must run beside it.
    ///
    /// # Errors
    /// If the first resync of EC2 did not end in time: without it nothing can be decided.
    pub async fn dry_run(
        deps: Dependencies,
        store: Store,
        mut ec2_changes: UnboundedReceiver<Changed>,
        timeout: Duration,
    ) -> Result<DryRun, String> {
        let mut reconciler = Self::new(deps);
        reconciler.store = store;
        let deadline = Instant::now() + timeout;
        let mut asked: BTreeSet<Lookup> = BTreeSet::new();
        loop {
            let before = reconciler.assignments.clone();
            let steps = reconciler.decide_only(&mut asked);
            let ec2 = &reconciler.deps.ec2;
            let resynced = ec2.last_resync().is_some();
            let has_changes = tokio::time::timeout(SETTLE_TIME, ec2_changes.recv()).await.is_ok();
            while ec2_changes.try_recv().is_ok() {}
            if resynced && !has_changes && !ec2.has_open_lookups() && before == reconciler.assignments {
                return Ok(reconciler.into_dry_run(steps, None).await);
            }
            if Instant::now() >= deadline {
                let why = ec2.failure();
                let why = format!(
                    "EC2 did not answer all lookups within {} s{}",
                    timeout.as_secs(),
                    why.map(|why| format!(": {why}{}", silence(why.trouble()))).unwrap_or_default()
                );
                return if resynced { Ok(reconciler.into_dry_run(steps, Some(why)).await) } else { Err(why) };
            }
        }
    }

    /// Makes every decision, and starts the lookups that the decisions need. Each lookup is made once: after it the answer is
    /// known or will not come.
    fn decide_only(&mut self, asked: &mut BTreeSet<Lookup>) -> BTreeMap<String, Step> {
        self.states_failure = self.deps.ec2.states_failure();
        for name in self.store.node_names() {
            // `recheck` depends on the current time, so it would differ in each round.
            let assignment = Assignment { recheck: None, ..self.assign(&name) };
            let new =
                assignment.needs.iter().filter(|need| asked.insert(Lookup::Need((*need).clone()))).cloned().collect();
            self.look_up(&new);
            self.assignments.insert(name, assignment);
        }
        let nodeenis: Vec<_> = self.store.nodeenis().cloned().collect();
        for entry in &nodeenis {
            self.update_permits(entry);
            self.pace_removals(entry);
        }
        let mut steps = BTreeMap::new();
        (self.quota, self.permissions, self.subnets) =
            (self.quota_gate_from_statuses(), self.permission_gate_from_statuses(), self.subnet_gate_from_statuses());
        self.instance_types = self.instance_type_gate_from_statuses();
        let entries: Vec<_> = self.store.attachments().cloned().collect();
        for entry in &entries {
            let step = self.step(entry);
            if matches!(step.action, Action::Create { .. }) {
                let now = self.now();
                self.quota.sent(&entry.attachment.uid, now);
                self.subnets.sent(&entry.attachment.uid, &entry.attachment.request);
            }
            let (name, ec2) = (&entry.attachment.name, &self.deps.ec2);
            match &step.action {
                Action::LookupById(eni) if asked.insert(Lookup::Step(name.clone())) => ec2.lookup_by_id(eni),
                Action::LookupByTag if asked.insert(Lookup::Step(name.clone())) => {
                    ec2.lookup_by_tag(&entry.attachment.uid)
                }
                Action::LookupSubnet(subnet) if asked.insert(Lookup::Step(name.clone())) => {
                    ec2.lookup_subnets(std::slice::from_ref(subnet), &[]);
                }
                Action::LookupInstance(instance) if asked.insert(Lookup::Step(name.clone())) => {
                    ec2.lookup_instance_state(instance)
                }
                _ => {}
            }
            steps.insert(name.clone(), step);
        }
        steps
    }

    async fn into_dry_run(mut self, mut steps: BTreeMap<String, Step>, mut unanswered: Option<String>) -> DryRun {
        let upstreams = self.deps.ec2.upstreams().await.unwrap_or_else(|error| {
            let advice = CallTrouble::of(&error).advice().map(|advice| format!(". {advice}")).unwrap_or_default();
            unanswered.get_or_insert(format!("DescribeNetworkInterfaces failed: {error}{advice}"));
            Vec::new()
        });
        let nodeenis: Vec<_> = self.store.nodeenis().cloned().collect();
        let removals = nodeenis.iter().map(|entry| (entry.nodeeni.uid.clone(), self.projected_pace(entry))).collect();
        let catalog = self.deps.ec2.catalog();
        let attachments = self.store.attachments().filter_map(|entry| {
            let attachment = &entry.attachment;
            let step = steps.remove(&attachment.name)?;
            let observation = self.observation(&entry.attachment);
            let call_history = self.call_history(attachment);
            let changes = lifecycle::changes(&self.step_input(attachment, &observation, &call_history, &catalog));
            Some(ExplainedAttachment { attachment: attachment.clone(), observation, step, changes })
        });
        let attachments = attachments.collect();
        DryRun {
            attachments,
            nodes: self.store.nodes().cloned().collect(),
            nodeenis: self.store.nodeenis().map(|entry| entry.nodeeni.clone()).collect(),
            assignments: self.assignments.iter().map(|(node, last)| (node.clone(), last.clone())).collect(),
            catalog,
            removals,
            owned: self.deps.ec2.owned_where(|_| true).1,
            upstreams,
            now: self.now(),
            unanswered,
        }
    }
}

/// What to check if EC2 is silent. The text of the failure has the advice for every other trouble.
fn silence(trouble: CallTrouble) -> String {
    let advice = trouble.advice().filter(|_| trouble == CallTrouble::Silence);
    advice.map(|advice| format!(". {advice}")).unwrap_or_default()
}

/// A lookup that was started already.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lookup {
    Need(Need),
    Step(String),
}

impl DryRun {
    /// The plan. `refused` has the NodeENIs that the API server would refuse, with its message.
    pub fn plan(
        &self,
        cluster: &multi_eni_plan::observed::Cluster,
        settings: &multi_eni_plan::settings::Settings,
        refused: &BTreeMap<String, String>,
    ) -> explain::Plan {
        explain::plan(explain::Input {
            cluster,
            nodes: &self.nodes.iter().collect::<Vec<_>>(),
            nodeenis: &self.nodeenis.iter().collect::<Vec<_>>(),
            attachments: &self.attachments,
            assignments: &self.assignments,
            catalog: &self.catalog,
            removals: &self.removals,
            owned: &self.owned,
            upstreams: &self.upstreams,
            refused,
            settings,
            now: self.now,
        })
    }
}

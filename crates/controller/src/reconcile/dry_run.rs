//! One moment's decisions, and nothing done about them: what `multi-eni plan` and `explain` tell.
//!
//! It asks EC2 what the decisions need to know, until they need nothing more. It writes nothing and begins no call.

use super::{Dependencies, Reconciler};
use crate::store::Store;
use multi_eni_ec2::Changed;
use multi_eni_plan::assign::{Assignment, Need};
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

/// Time for a change to be told after the last answer.
const SETTLING: Duration = Duration::from_millis(20);

/// Everything that was decided at one moment, and on what.
#[derive(Debug)]
pub struct DryRun {
    /// All Nodes.
    pub nodes: Vec<ObservedNode>,
    nodeenis: Vec<NodeEni>,
    attachments: Vec<ExplainedAttachment>,
    assignments: BTreeMap<String, Assignment>,
    catalog: Arc<Ec2Catalog>,
    removals: BTreeMap<String, RemovalPace>,
    owned: Vec<ObservedEni>,
    /// ENIs that carry the tags of upstream's controller.
    upstreams: Vec<ObservedEni>,
    /// Why it is not whole, as a sentence: EC2 did not answer everything in time.
    pub unanswered: Option<String>,
}

impl Reconciler {
    /// Decides over this world, without acting. Asks EC2 for at most `patience`; [`multi_eni_ec2::Ec2::run`] must run
    /// beside it.
    ///
    /// # Errors
    /// If EC2 could not be swept: then nothing can be said at all.
    pub async fn dry_run(
        deps: Dependencies,
        store: Store,
        mut seen: UnboundedReceiver<Changed>,
        patience: Duration,
    ) -> Result<DryRun, String> {
        let mut reconciler = Self::new(deps);
        reconciler.store = store;
        let deadline = Instant::now() + patience;
        let mut asked: BTreeSet<Asked> = BTreeSet::new();
        loop {
            let before = reconciler.assignments.clone();
            let steps = reconciler.decide_only(&mut asked);
            let ec2 = &reconciler.deps.ec2;
            let swept = ec2.last_sweep().is_some();
            let news = tokio::time::timeout(SETTLING, seen.recv()).await.is_ok();
            while seen.try_recv().is_ok() {}
            if swept && !news && !ec2.is_asking() && before == reconciler.assignments {
                return Ok(reconciler.surveyed(steps, None).await);
            }
            if Instant::now() >= deadline {
                let why = ec2.failure();
                let why = format!(
                    "EC2 did not answer all questions within {} s{}",
                    patience.as_secs(),
                    why.map(|why| format!(": {why}")).unwrap_or_default()
                );
                return if swept { Ok(reconciler.surveyed(steps, Some(why)).await) } else { Err(why) };
            }
        }
    }

    /// Every decision, and what it asks EC2: each question once, for what it needs is then known or cannot be.
    fn decide_only(&mut self, asked: &mut BTreeSet<Asked>) -> BTreeMap<String, Step> {
        self.states_failure = self.deps.ec2.states_failure();
        for name in self.store.node_names() {
            // When to ask again is reckoned from now, and would make each round differ from the last.
            let assignment = Assignment { recheck: None, ..self.assign(&name) };
            let new =
                assignment.needs.iter().filter(|need| asked.insert(Asked::Need((*need).clone()))).cloned().collect();
            self.find_out(&new);
            self.assignments.insert(name, assignment);
        }
        let nodeenis: Vec<_> = self.store.nodeenis().cloned().collect();
        for entry in &nodeenis {
            self.permit(entry);
            self.pace_removals(entry);
        }
        let mut steps = BTreeMap::new();
        (self.quota, self.permissions, self.subnets) = (self.quota_told(), self.probes_told(), self.room_told());
        let entries: Vec<_> = self.store.attachments().cloned().collect();
        for entry in &entries {
            let step = self.step(entry);
            if matches!(step.action, Action::Create { .. }) {
                self.quota.sent(&entry.attachment.uid);
                self.subnets.sent(&entry.attachment.uid, &entry.attachment.request);
            }
            let (name, ec2) = (&entry.attachment.name, &self.deps.ec2);
            match &step.action {
                Action::LookById(eni) if asked.insert(Asked::Step(name.clone())) => ec2.look_by_id(eni),
                Action::LookByTag if asked.insert(Asked::Step(name.clone())) => ec2.look_by_tag(&entry.attachment.uid),
                Action::LookAtSubnet(subnet) if asked.insert(Asked::Step(name.clone())) => {
                    ec2.want_subnets(std::slice::from_ref(subnet), &[]);
                }
                Action::LookAtState(instance) if asked.insert(Asked::Step(name.clone())) => ec2.look_at_state(instance),
                _ => {}
            }
            steps.insert(name.clone(), step);
        }
        steps
    }

    async fn surveyed(mut self, mut steps: BTreeMap<String, Step>, mut unanswered: Option<String>) -> DryRun {
        let upstreams = self.deps.ec2.upstreams().await.unwrap_or_else(|error| {
            unanswered.get_or_insert(format!("DescribeNetworkInterfaces failed: {error}"));
            Vec::new()
        });
        let nodeenis: Vec<_> = self.store.nodeenis().cloned().collect();
        let removals = nodeenis.iter().map(|entry| (entry.nodeeni.uid.clone(), self.pace_to_come(entry))).collect();
        let catalog = self.deps.ec2.catalog();
        let attachments = self.store.attachments().filter_map(|entry| {
            let attachment = &entry.attachment;
            let step = steps.remove(&attachment.name)?;
            let observation = self.observation(&entry.attachment);
            let memory = self.memory(attachment);
            let changes = lifecycle::changes(&self.step_input(attachment, &observation, &memory, &catalog));
            Some(ExplainedAttachment { attachment: attachment.clone(), observation, step, changes })
        });
        let attachments = attachments.collect();
        DryRun {
            attachments,
            nodes: self.store.nodes().cloned().collect(),
            nodeenis: self.store.nodeenis().map(|entry| entry.nodeeni.clone()).collect(),
            assignments: self.assignments.clone(),
            catalog,
            removals,
            owned: self.deps.ec2.owned_where(|_| true).1,
            upstreams,
            unanswered,
        }
    }
}

/// What was asked already.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Need(Need),
    Step(String),
}

impl DryRun {
    /// The account. `refused`: NodeENIs that the API server would not take, and its words.
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
        })
    }
}

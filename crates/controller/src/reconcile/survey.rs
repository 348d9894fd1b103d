//! One moment's decisions, and nothing done about them: what `multi-eni plan` and `explain` tell.
//!
//! It asks EC2 what the decisions need to know, until they need nothing more. It writes nothing and begins no call.

use super::{Means, Reconciler};
use crate::world::World;
use multi_eni_ec2::Changed;
use multi_eni_plan::assign::{Assignment, Need};
use multi_eni_plan::explain::{self, Attachment};
use multi_eni_plan::facts::{EniSeen, Network, NodeFacts};
use multi_eni_plan::intent::Intent;
use multi_eni_plan::removals::Pace;
use multi_eni_plan::step::{self, Action, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Time for a change to be told after the last answer.
const SETTLING: Duration = Duration::from_millis(20);

/// Everything that was decided at one moment, and on what.
#[derive(Debug)]
pub struct Survey {
    /// All Nodes.
    pub nodes: Vec<NodeFacts>,
    intents: Vec<Intent>,
    attachments: Vec<Attachment>,
    assignments: BTreeMap<String, Assignment>,
    network: Arc<Network>,
    removals: BTreeMap<String, Pace>,
    owned: Vec<EniSeen>,
    /// ENIs that carry the tags of upstream's controller.
    upstreams: Vec<EniSeen>,
    /// Why it is not whole, as a sentence: EC2 did not answer everything in time.
    pub unanswered: Option<String>,
}

impl Reconciler {
    /// Decides over this world, without acting. Asks EC2 for at most `patience`; [`multi_eni_ec2::Ec2::run`] must run
    /// beside it.
    ///
    /// # Errors
    /// If EC2 could not be swept: then nothing can be said at all.
    pub async fn survey(
        means: Means,
        world: World,
        mut seen: UnboundedReceiver<Changed>,
        patience: Duration,
    ) -> Result<Survey, String> {
        let mut reconciler = Self::new(means);
        reconciler.world = world;
        let deadline = Instant::now() + patience;
        let mut asked: BTreeSet<Asked> = BTreeSet::new();
        loop {
            let before = reconciler.assignments.clone();
            let steps = reconciler.decide_only(&mut asked);
            let ec2 = &reconciler.means.ec2;
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
        self.states_failure = self.means.ec2.states_failure();
        for name in self.world.node_names() {
            // When to ask again is reckoned from now, and would make each round differ from the last.
            let assignment = Assignment { recheck: None, ..self.assign(&name) };
            let new =
                assignment.needs.iter().filter(|need| asked.insert(Asked::Need((*need).clone()))).cloned().collect();
            self.find_out(&new);
            self.assignments.insert(name, assignment);
        }
        let nodeenis: Vec<_> = self.world.nodeenis().cloned().collect();
        for entry in &nodeenis {
            self.permit(entry);
            self.pace_removals(entry);
        }
        let mut steps = BTreeMap::new();
        (self.quota, self.probes, self.room) = (self.quota_told(), self.probes_told(), self.room_told());
        let entries: Vec<_> = self.world.attachments().cloned().collect();
        for entry in &entries {
            let step = self.step(entry);
            if matches!(step.action, Action::Create { .. }) {
                self.quota.sent(&entry.held.uid);
                self.room.sent(&entry.held.uid, &entry.held.request);
            }
            let (name, ec2) = (&entry.held.name, &self.means.ec2);
            match &step.action {
                Action::LookById(eni) if asked.insert(Asked::Step(name.clone())) => ec2.look_by_id(eni),
                Action::LookByTag if asked.insert(Asked::Step(name.clone())) => ec2.look_by_tag(&entry.held.uid),
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

    async fn surveyed(mut self, mut steps: BTreeMap<String, Step>, mut unanswered: Option<String>) -> Survey {
        let upstreams = self.means.ec2.upstreams().await.unwrap_or_else(|error| {
            unanswered.get_or_insert(format!("DescribeNetworkInterfaces failed: {error}"));
            Vec::new()
        });
        let nodeenis: Vec<_> = self.world.nodeenis().cloned().collect();
        let removals = nodeenis.iter().map(|entry| (entry.intent.uid.clone(), self.pace_to_come(entry))).collect();
        let network = self.means.ec2.network();
        let attachments = self.world.attachments().filter_map(|entry| {
            let held = &entry.held;
            let step = steps.remove(&held.name)?;
            let sight = self.sight(entry);
            let memory = self.memory(held);
            let changes = step::changes(&self.step_input(held, &sight, &memory, &network));
            Some(Attachment { held: held.clone(), sight, step, changes })
        });
        let attachments = attachments.collect();
        Survey {
            attachments,
            nodes: self.world.nodes().cloned().collect(),
            intents: self.world.nodeenis().map(|entry| entry.intent.clone()).collect(),
            assignments: self.assignments.clone(),
            network,
            removals,
            owned: self.means.ec2.owned_where(|_| true).1,
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

impl Survey {
    /// The account. `refused`: NodeENIs that the API server would not take, and its words.
    pub fn plan(
        &self,
        cluster: &multi_eni_plan::facts::Cluster,
        settings: &multi_eni_plan::settings::Settings,
        refused: &BTreeMap<String, String>,
    ) -> explain::Plan {
        explain::plan(explain::Input {
            cluster,
            nodes: &self.nodes.iter().collect::<Vec<_>>(),
            intents: &self.intents.iter().collect::<Vec<_>>(),
            attachments: &self.attachments,
            assignments: &self.assignments,
            network: &self.network,
            removals: &self.removals,
            owned: &self.owned,
            upstreams: &self.upstreams,
            refused,
            settings,
        })
    }
}

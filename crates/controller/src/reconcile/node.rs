//! One Node: `assign`, and its writes.

use super::{Reconciler, writes};
use crate::queue::Key;
use crate::world::AttachmentEntry;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::NodeSettings;
use multi_eni_api::ids::InstanceId;
use multi_eni_plan::assign::{self, Assignment, AttachRefused, Need, NewAttachment, Refused, Removal, RemovalReason};
use multi_eni_plan::backoff::Content;
use multi_eni_plan::facts::{AttachmentState, InstanceSight, NodeFacts, Sight};
use multi_eni_plan::held::Held;
use multi_eni_plan::intent::{Intent, SubnetRef};
use multi_eni_plan::pods::Pods;
use multi_eni_plan::writes::{Asked, Target, Write, digest};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Reconciler {
    pub(super) fn node(&mut self, key: &Key, name: &str) {
        let assignment = self.assign(name);
        self.find_out(&assignment.needs);
        if let Some(at) = assignment.recheck {
            self.queue.at(key.clone(), at);
        }
        if assignment.refused.iter().any(|refusal| refusal.why.reason() == "Looking") {
            self.queue.at(key.clone(), self.now().saturating_add(SignedDuration::from_secs(5)).unwrap_or_default());
        }
        self.remember_what_is_refused(name, &assignment);
        self.write_assignment(key, name, &assignment);
        self.keep_assignment(name, assignment);
    }

    pub(super) fn assign(&self, name: &str) -> Assignment {
        let node: Option<&NodeFacts> = self.world.node(name);
        let intents: Vec<&Intent> = self.world.nodeenis().map(|entry| &entry.intent).collect();
        let held: Vec<&Held> = self.world.attachments_on(name).map(|entry| &entry.held).collect();
        let (network, region) = (self.means.ec2.network(), self.means.ec2.region());
        let instance = node.and_then(|node| node.instance.as_ref().ok());
        let sight: Option<InstanceSight> = instance.and_then(|instance| self.means.ec2.instance_sight(instance));
        let others: Vec<&NodeFacts> = instance.map_or_else(Vec::new, |instance| {
            self.world.nodes_on(instance).filter(|other| other.name != name).collect()
        });
        let mut pods = self.world.pods_on(name);
        for other in &others {
            pods = pods.and_then(|pods| Some(pods.into_iter().chain(self.world.pods_on(&other.name)?).collect()));
        }
        assign::assign(assign::Input {
            cluster: &self.means.cluster,
            node,
            others: &others,
            intents: &intents,
            held: &held,
            network: &network,
            region: region.as_deref(),
            instance: sight.as_ref(),
            states: &|instance| self.means.ec2.instance_look(instance),
            states_failure: self.states_failure.as_ref(),
            pods: match (&self.means.settings.pod_annotation, &pods) {
                (None, _) => Pods::Unasked,
                (Some(_), None) => Pods::Unknown,
                (Some(_), Some(pods)) => Pods::Known(pods),
            },
            is_held: &|eni| self.world.is_held(eni),
            is_attached: &|held| self.shows_attached(held),
            permits: &self.permits,
            removals: &self.removals,
            refused_attach: &self.refused_attach,
            settings: &self.means.settings,
            now: self.now(),
        })
    }

    /// EC2 shows its ENI attached to its instance, whatever its status says.
    pub(super) fn shows_attached(&self, held: &Held) -> bool {
        let sight = self.means.ec2.sight(&held.uid, held.eni().as_ref());
        let Sight::Seen(eni) = sight else { return false };
        eni.attachment.is_some_and(|at| at.state == AttachmentState::Attached && at.instance == held.instance)
    }

    pub(super) fn find_out(&self, needs: &BTreeSet<Need>) {
        let (mut ids, mut names, mut groups, mut types) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for need in needs {
            match need {
                Need::LookAtInstance(instance) => self.means.ec2.look_at_instance(instance),
                Need::InstanceState(instance) => self.means.ec2.look_at_state(instance),
                Need::Subnet(SubnetRef::Id(id)) => ids.push(id.clone()),
                Need::Subnet(SubnetRef::Name(name)) => names.push(name.clone()),
                Need::Group(name) => groups.push(name.clone()),
                Need::InstanceType(kind) => types.push(kind.clone()),
            }
        }
        if !ids.is_empty() || !names.is_empty() {
            self.means.ec2.want_subnets(&ids, &names);
        }
        if !groups.is_empty() {
            self.means.ec2.want_groups(&groups);
        }
        types.iter().for_each(|kind| self.means.ec2.want_instance_type(kind));
    }

    /// What was on an instance when EC2 refused an Attach there.
    pub(super) fn note_refusal_looks(&mut self, instance: &InstanceId) {
        if self.refusal_looks.is_empty() {
            return;
        }
        let Some(sight) = self.means.ec2.instance_sight(instance) else { return };
        for entry in self.world.attachments_of_instance(instance) {
            if let Some(look) = self.refusal_looks.get_mut(&entry.held.name) {
                look.take(&sight);
            }
        }
    }

    /// What goes because EC2 does not attach it is not made again before something has changed.
    fn remember_what_is_refused(&mut self, name: &str, assignment: &Assignment) {
        for removal in assignment.delete.iter().filter(|removal| removal.why == RemovalReason::Unattachable) {
            let Some(entry) = self.world.attachment(&removal.name).cloned() else { continue };
            let instance = entry.held.instance.as_ref();
            let sight = instance.and_then(|instance| self.means.ec2.instance_sight(instance));
            // Who had the slot is told by a look: it is made again when the slot is seen free.
            if AttachRefused::is_of_its_slot(&entry.held, self.refusal_looks.get(&removal.name)) {
                continue;
            }
            // What an earlier process was refused is tried once more: what stood then is not known.
            let Some(at_refusal) = self.refusal_looks.get(&removal.name) else { continue };
            let refused = AttachRefused::of(&entry.held, self.world.node(name), sight.as_ref(), at_refusal, self.now());
            self.refused_attach.insert(removal.name.clone(), refused);
        }
    }

    fn write_assignment(&mut self, key: &Key, node: &str, assignment: &Assignment) {
        let decided = self.decided_writes(node, assignment);
        let waits = |uid: &str| {
            let mut refused = assignment.refused.iter().filter(|refusal| refusal.nodeeni_uid == uid);
            refused.any(|refusal| refusal.why.is_passing() || matches!(refusal.why, Refused::LookFailed(_)))
        };
        self.decided(key, &decided.iter().map(|(asked, _)| asked.clone()).collect::<Vec<_>>(), waits);
        let due = self.due(key, decided);
        if due.is_empty() {
            return;
        }
        if self.queue.waits_for_room(key) {
            return;
        }
        let mut creating = BTreeSet::new();
        for (asked, work) in &due {
            let again = self.writes.is_failing(key, &asked.target);
            match work {
                Work::Create(new) => {
                    creating.insert(new.spec.node_eni_uid.clone());
                    if !again {
                        announce(new);
                    }
                }
                Work::Delete(removal) if !again => {
                    tracing::info!(attachment = %removal.name, why = ?removal.why, "gives an ENI up");
                }
                Work::Follow(entry, to, _) if !again => {
                    tracing::info!(attachment = %entry.held.name, from = %entry.held.node, %to, "follows its instance to another Node");
                }
                Work::Delete(_) | Work::Mark(..) | Work::Configure(..) | Work::Follow(..) => {}
            }
        }
        if !creating.is_empty() {
            self.creating.insert(key.clone(), creating);
        }
        let writer = self.means.writer.clone();
        let work = due.into_iter().map(move |(asked, work)| {
            let writer = writer.clone();
            writes::sent(asked, async move {
                match work {
                    Work::Create(new) => writer.create(*new).await,
                    Work::Delete(removal) => writer.delete(removal).await,
                    Work::Mark(entry, since) => writer.deselect(entry, since).await,
                    Work::Configure(entry, settings) => writer.node_settings(entry, *settings).await,
                    Work::Follow(entry, name, uid) => writer.follow(entry, name, uid).await,
                }
            })
        });
        self.call(key, join_all(work));
    }

    /// What an assignment comes to, write by write.
    fn decided_writes(&self, node: &str, assignment: &Assignment) -> Vec<(Asked, Work)> {
        if assignment.is_settled() {
            return Vec::new();
        }
        let Assignment { create, delete, deselect, reselect, reconfigure, follow, .. } = assignment;
        let creates = create.iter().map(|new| (asks_for(new), Work::Create(Box::new(new.clone()))));
        let deletes = delete.iter().filter_map(|removal| {
            let entry = self.world.attachment(&removal.name)?;
            let asked = writes::to_attachment(Write::DeleteAttachment, &entry.held, ());
            Some((asked, Work::Delete(removal.clone())))
        });
        let now = self.now();
        let marks = deselect.iter().map(|name| (name, Some(now))).chain(reselect.iter().map(|name| (name, None)));
        let marks = marks.filter_map(|(name, since)| {
            let entry = self.world.attachment(name)?.clone();
            let asked = writes::to_attachment(Write::MarkAttachment, &entry.held, since.is_some());
            Some((asked, Work::Mark(entry, since)))
        });
        let settings = reconfigure.iter().filter_map(|(name, settings)| {
            let entry = self.world.attachment(name)?.clone();
            let asked = writes::to_attachment(Write::ConfigureAttachment, &entry.held, settings);
            Some((asked, Work::Configure(entry, Box::new(settings.clone()))))
        });
        let follow = follow.iter().filter_map(|name| {
            let (entry, node) = (self.world.attachment(name)?.clone(), self.world.node(node)?);
            let asked = writes::to_attachment(Write::FollowInstance, &entry.held, &node.uid);
            Some((asked, Work::Follow(entry, node.name.clone(), node.uid.clone())))
        });
        creates.chain(deletes).chain(marks).chain(settings).chain(follow).collect()
    }

    /// Keeps the answer for `fold` and `rollout`, and wakes the NodeENIs for which it changed.
    fn keep_assignment(&mut self, name: &str, assignment: Assignment) {
        let nothing = Assignment::default();
        let old = self.assignments.get(name).unwrap_or(&nothing);
        for uid in old.nodeenis().union(&assignment.nodeenis()) {
            let differs = old.share(uid) != assignment.share(uid);
            if let Some(entry) = self.world.nodeeni_by_uid(uid).filter(|_| differs) {
                self.queue.now(Key::NodeEni(entry.intent.name.clone()));
            }
        }
        if self.world.node(name).is_none() && self.world.attachments_on(name).next().is_none() {
            self.assignments.remove(name);
        } else {
            self.assignments.insert(name.to_owned(), assignment);
        }
    }
}

/// One write of an assignment.
enum Work {
    Create(Box<NewAttachment>),
    Delete(Removal),
    Mark(Arc<AttachmentEntry>, Option<Timestamp>),
    Configure(Arc<AttachmentEntry>, Box<NodeSettings>),
    /// Name and UID of the Node that it follows to.
    Follow(Arc<AttachmentEntry>, String, String),
}

fn asks_for(new: &NewAttachment) -> Asked {
    let what = digest(&new.spec);
    Asked {
        target: Target { write: Write::CreateAttachment, name: new.name.clone() },
        content: Content { what, ground: what },
        nodeeni: new.spec.node_eni_uid.clone(),
        node: Some(new.spec.node_name.clone()),
    }
}

fn announce(new: &NewAttachment) {
    let (node, nodeeni) = (&new.spec.node_name, &new.spec.node_eni_name);
    match &new.adopts {
        Some(eni) => tracing::info!(%node, %nodeeni, eni = %eni.id, "takes an ENI of upstream's over"),
        None => tracing::info!(%node, %nodeeni, index = new.spec.request.device_index, "wants an ENI"),
    }
}

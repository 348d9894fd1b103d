//! Reconciles one Node: `assign` decides which ENIAttachments to create, delete and change, and this file writes them, and removes
//! the startup taint when that is decided. It is given the store and the cache of EC2. It never calls EC2 but for lookups.

use super::startup_taint::TaintRemoval;
use super::{Reconciler, write_backoff};
use crate::store::AttachmentEntry;
use crate::work_queue::Key;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::NodeSettings;
use multi_eni_api::ids::{InstanceId, SecurityGroupId};
use multi_eni_plan::assign::{self, Assignment, AttachRefusal, Need, NewAttachment, RemovalReason, UnassignedReason};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::backoff::Content;
use multi_eni_plan::nodeeni::{NodeEni, SubnetRef};
use multi_eni_plan::observed::{AttachmentState, InstanceInterfaces, Observation, ObservedNode};
use multi_eni_plan::pods::Pods;
use multi_eni_plan::write_history::{PendingWrite, Target, Write, digest};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Reconciler {
    pub(super) fn node(&mut self, key: &Key, name: &str) {
        let assignment = self.assign(name);
        self.look_up(&assignment.needs);
        if let Some(at) = assignment.recheck {
            self.queue.add_at(key.clone(), at);
        }
        if assignment.refused.iter().any(|refusal| refusal.why.awaits_lookup()) {
            self.queue.add_at(key.clone(), self.now().saturating_add(SignedDuration::from_secs(5)).unwrap_or_default());
        }
        self.remember_refused_attaches(name, &assignment);
        let taint = self.decide_startup_taint(key, name, &assignment);
        self.write_assignment(key, name, &assignment, taint);
        self.keep_assignment(name, assignment);
        for uid in self.undecided.decided(name) {
            if let Some(entry) = self.store.nodeeni_by_uid(&uid) {
                self.queue.add(Key::NodeEni(entry.nodeeni.name.clone()));
            }
        }
    }

    /// Adds to the queue the Nodes for which the resync may prove that their instance is gone.
    pub(super) fn enqueue_resync_waiters(&mut self) {
        let waits = |last: &Assignment| last.refused.iter().any(|refusal| refusal.why.awaits_resync());
        let waiting = self.assignments.iter().filter(|(_, last)| waits(last));
        let keys: Vec<Key> = waiting.map(|(node, _)| Key::Node(node.clone())).collect();
        keys.into_iter().for_each(|key| self.queue.add(key));
    }

    pub(super) fn assign(&self, name: &str) -> Assignment {
        let node: Option<&ObservedNode> = self.store.node(name);
        let nodeenis: Vec<&NodeEni> = self.store.nodeenis().map(|entry| &entry.nodeeni).collect();
        let attachments: Vec<&Attachment> = self.store.attachments_on(name).map(|entry| &entry.attachment).collect();
        let (catalog, region) = (self.deps.ec2.catalog(), self.deps.ec2.region());
        let instance = node.and_then(|node| node.instance.as_ref().ok());
        let interfaces: Option<InstanceInterfaces> =
            instance.and_then(|instance| self.deps.ec2.instance_interfaces(instance));
        let others: Vec<&ObservedNode> = instance.map_or_else(Vec::new, |instance| {
            self.store.nodes_on(instance).filter(|other| other.name != name).collect()
        });
        let mut pods = self.store.pods_on(name);
        for other in &others {
            pods = pods.and_then(|pods| Some(pods.into_iter().chain(self.store.pods_on(&other.name)?).collect()));
        }
        assign::assign(assign::Input {
            cluster: &self.deps.cluster,
            node,
            others: &others,
            nodeenis: &nodeenis,
            attachments: &attachments,
            catalog: &catalog,
            region: region.as_deref(),
            instance: interfaces.as_ref(),
            states: &|instance| self.deps.ec2.instance_observation(instance),
            states_failure: self.states_failure.as_ref(),
            pods: match (&self.deps.settings.pod_annotation, &pods) {
                (None, _) => Pods::Unasked,
                (Some(_), None) => Pods::Unknown,
                (Some(_), Some(pods)) => Pods::Known(pods),
            },
            is_held: &|eni| self.store.is_held(eni),
            is_attached: &|attachment| self.shows_attached(attachment),
            is_created: &|attachment| self.has_created_eni(attachment),
            permits: &self.permits,
            removals: &self.removals,
            term_edits: &self.term_edits,
            groups_of: &|attachment| self.shown_groups(attachment),
            refused_attach: &self.refused_attach,
            subnet_gate: &self.subnets,
            instance_type_gate: &self.instance_types,
            settings: &self.deps.settings,
            now: self.now(),
        })
    }

    /// Whether this process created an ENI for this ENIAttachment.
    fn has_created_eni(&self, attachment: &Attachment) -> bool {
        self.call_histories.get(&attachment.uid).is_some_and(|call_history| call_history.created_eni.is_some())
    }

    /// Whether EC2 shows the ENI of this ENIAttachment attached to its instance.
    pub(super) fn shows_attached(&self, attachment: &Attachment) -> bool {
        let Observation::Seen(eni) = self.observation(attachment) else { return false };
        eni.attachment.is_some_and(|at| at.state == AttachmentState::Attached && at.instance == attachment.instance)
    }

    /// The security groups of its ENI, as EC2 shows them.
    fn shown_groups(&self, attachment: &Attachment) -> Vec<SecurityGroupId> {
        match self.observation(attachment) {
            Observation::Seen(eni) => eni.groups,
            Observation::Blind | Observation::Absent { .. } => Vec::new(),
        }
    }

    pub(super) fn look_up(&self, needs: &BTreeSet<Need>) {
        let (mut ids, mut names, mut groups, mut types) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for need in needs {
            match need {
                Need::LookupInterfaces(instance) => self.deps.ec2.lookup_instance(instance),
                Need::InstanceState(instance) => self.deps.ec2.lookup_instance_state(instance),
                Need::Subnet(SubnetRef::Id(id)) => ids.push(id.clone()),
                Need::Subnet(SubnetRef::Name(name)) => names.push(name.clone()),
                Need::Group(name) => groups.push(name.clone()),
                Need::TaggedSubnets(term) => self.deps.ec2.lookup_tagged_subnets(term),
                Need::TaggedGroups(term) => self.deps.ec2.lookup_tagged_groups(term),
                Need::SubnetSince(id, since) => self.deps.ec2.lookup_subnet_since(id, *since),
                Need::GroupSince(name, since) => self.deps.ec2.lookup_group_since(name, *since),
                Need::TaggedGroupsSince(term, since) => self.deps.ec2.lookup_tagged_groups_since(term, *since),
                Need::InstanceType(kind) => types.push(kind.clone()),
            }
        }
        if !ids.is_empty() || !names.is_empty() {
            self.deps.ec2.lookup_subnets(&ids, &names);
        }
        if !groups.is_empty() {
            self.deps.ec2.lookup_groups(&groups);
        }
        types.iter().for_each(|kind| self.deps.ec2.lookup_instance_type(kind));
    }

    /// Keeps the observed interfaces of an instance on which EC2 refused an Attach.
    pub(super) fn note_refusal_observations(&mut self, instance: &InstanceId) {
        if self.refusal_observations.is_empty() {
            return;
        }
        let Some(interfaces) = self.deps.ec2.instance_interfaces(instance) else { return };
        for entry in self.store.attachments_of_instance(instance) {
            if let Some(observation) = self.refusal_observations.get_mut(&entry.attachment.name) {
                observation.take(&interfaces);
            }
        }
    }

    /// Remembers ENIs that are deleted because EC2 refused to attach them: they are not created again until something has
    /// changed.
    fn remember_refused_attaches(&mut self, name: &str, assignment: &Assignment) {
        for removal in assignment.delete.iter().filter(|removal| removal.why == RemovalReason::Unattachable) {
            let Some(entry) = self.store.attachment(&removal.name).cloned() else { continue };
            let instance = entry.attachment.instance.as_ref();
            let interfaces = instance.and_then(|instance| self.deps.ec2.instance_interfaces(instance));
            // Another ENI occupies the slot. Lookups show when the slot is free again, so nothing need be remembered.
            if AttachRefusal::is_of_its_slot(&entry.attachment, self.refusal_observations.get(&removal.name)) {
                continue;
            }
            // An earlier process got the refusal, and what was on the instance then is not known: try once more.
            let Some(at_refusal) = self.refusal_observations.get(&removal.name) else { continue };
            let refused = AttachRefusal::of(
                &entry.attachment,
                self.store.node(name),
                interfaces.as_ref(),
                at_refusal,
                self.now(),
            );
            self.refused_attach.insert(removal.name.clone(), refused);
        }
    }

    fn write_assignment(
        &mut self,
        key: &Key,
        node: &str,
        assignment: &Assignment,
        taint: Option<(PendingWrite, TaintRemoval)>,
    ) {
        let mut decided = self.decided_writes(node, assignment);
        decided.extend(taint.map(|(asked, removal)| (asked, Work::RemoveTaint(removal))));
        let waits = |uid: &str| {
            let mut refused = assignment.refused.iter().filter(|refusal| refusal.nodeeni_uid == uid);
            refused
                .any(|refusal| refusal.why.is_transient() || matches!(refusal.why, UnassignedReason::LookupFailed(_)))
        };
        self.retain_decided(key, &decided.iter().map(|(asked, _)| asked.target.clone()).collect::<Vec<_>>(), waits);
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
                    if new.adopts.is_none() {
                        self.stopwatches.decided(&new.name, self.now());
                    }
                    if !again {
                        log_create(new);
                    }
                }
                Work::Delete(entry, why) if !again => {
                    tracing::info!(attachment = %entry.attachment.name, reason = ?why, "deleting ENIAttachment");
                }
                Work::Follow(entry, to, _) if !again => {
                    tracing::info!(attachment = %entry.attachment.name, from = %entry.attachment.node, %to, "updating the Node of ENIAttachment");
                }
                Work::RemoveTaint(removal) if !again => {
                    tracing::info!(node = %removal.node, "removing the startup taint of Node");
                }
                Work::Delete(..) | Work::Mark(..) | Work::Configure(..) | Work::Follow(..) | Work::RemoveTaint(_) => {}
            }
        }
        if !creating.is_empty() {
            self.creating.insert(key.clone(), creating);
        }
        let writer = self.deps.writer.clone();
        let work = due.into_iter().map(move |(asked, work)| {
            let writer = writer.clone();
            write_backoff::sent(asked, async move {
                match work {
                    Work::Create(new) => writer.create(*new).await,
                    Work::Delete(entry, _) => writer.delete(entry).await,
                    Work::Mark(entry, since) => writer.deselect(entry, since).await,
                    Work::Configure(entry, settings) => writer.node_settings(entry, *settings).await,
                    Work::Follow(entry, name, uid) => writer.follow(entry, name, uid).await,
                    Work::RemoveTaint(TaintRemoval { node, uid, places }) => {
                        writer.remove_startup_taints(&node, &uid, &places).await
                    }
                }
            })
        });
        self.start_calls(key, join_all(work));
    }

    /// The writes that an assignment consists of.
    fn decided_writes(&self, node: &str, assignment: &Assignment) -> Vec<(PendingWrite, Work)> {
        if assignment.is_settled() {
            return Vec::new();
        }
        let Assignment { create, delete, deselect, reselect, reconfigure, follow, .. } = assignment;
        let creates = create.iter().map(|new| (asks_for(new), Work::Create(Box::new(new.clone()))));
        let deletes = delete.iter().filter_map(|removal| {
            let entry =
                self.store.attachment(&removal.name).filter(|entry| entry.attachment.uid == removal.uid)?.clone();
            let asked = write_backoff::to_attachment(Write::DeleteAttachment, &entry.attachment, ());
            Some((asked, Work::Delete(entry, removal.why)))
        });
        let now = self.now();
        let marks = deselect.iter().map(|name| (name, Some(now))).chain(reselect.iter().map(|name| (name, None)));
        let marks = marks.filter_map(|(name, since)| {
            let entry = self.store.attachment(name)?.clone();
            let asked = write_backoff::to_attachment(Write::MarkAttachment, &entry.attachment, since.is_some());
            Some((asked, Work::Mark(entry, since)))
        });
        let settings = reconfigure.iter().filter_map(|(name, settings)| {
            let entry = self.store.attachment(name)?.clone();
            let asked = write_backoff::to_attachment(Write::ConfigureAttachment, &entry.attachment, settings);
            Some((asked, Work::Configure(entry, Box::new(settings.clone()))))
        });
        let follow = follow.iter().filter_map(|name| {
            let (entry, node) = (self.store.attachment(name)?.clone(), self.store.node(node)?);
            let asked = write_backoff::to_attachment(Write::FollowInstance, &entry.attachment, &node.uid);
            Some((asked, Work::Follow(entry, node.name.clone(), node.uid.clone())))
        });
        creates.chain(deletes).chain(marks).chain(settings).chain(follow).collect()
    }

    /// Keeps the assignment for the status and the rollout, and reconciles the NodeENIs whose share changed.
    fn keep_assignment(&mut self, name: &str, assignment: Assignment) {
        let (nothing, now) = (Assignment::default(), self.now());
        let old = self.assignments.get(name).unwrap_or(&nothing);
        for uid in old.nodeenis().union(&assignment.nodeenis()) {
            let differs = old.of_nodeeni(uid) != assignment.of_nodeeni(uid);
            if let Some(entry) = self.store.nodeeni_by_uid(uid).filter(|_| differs) {
                self.share_changed.insert((*uid).clone(), now);
                self.queue.add(Key::NodeEni(entry.nodeeni.name.clone()));
            }
        }
        if self.store.node(name).is_none() && self.store.attachments_on(name).next().is_none() {
            self.assignments.remove(name);
        } else {
            self.assignments.insert(name.to_owned(), assignment);
        }
    }
}

/// The content of one write of an assignment.
enum Work {
    Create(Box<NewAttachment>),
    Delete(Arc<AttachmentEntry>, RemovalReason),
    Mark(Arc<AttachmentEntry>, Option<Timestamp>),
    Configure(Arc<AttachmentEntry>, Box<NodeSettings>),
    /// With the name and UID of the Node that the instance has now.
    Follow(Arc<AttachmentEntry>, String, String),
    RemoveTaint(TaintRemoval),
}

fn asks_for(new: &NewAttachment) -> PendingWrite {
    let what = digest(&new.spec);
    PendingWrite {
        target: Target { write: Write::CreateAttachment, name: new.name.clone() },
        content: Content { what, ground: what },
        nodeeni: new.spec.node_eni_uid.clone(),
        node: Some(new.spec.node_name.clone()),
    }
}

fn log_create(new: &NewAttachment) {
    let (node, nodeeni) = (&new.spec.node_name, &new.spec.node_eni_name);
    match &new.adopts {
        Some(eni) => {
            tracing::info!(attachment = %new.name, %node, %nodeeni, eni = %eni.id, "creating ENIAttachment that adopts an ENI")
        }
        None => {
            tracing::info!(attachment = %new.name, %node, %nodeeni, index = new.spec.request.device_index, "creating ENIAttachment")
        }
    }
}

//! One Node: `assign`, and its writes.

use super::{Outcome, Reconciler};
use crate::queue::Key;
use futures::future::join_all;
use jiff::SignedDuration;
use multi_eni_plan::assign::{self, Assignment, AttachRefused, Need, RemovalReason};
use multi_eni_plan::facts::{InstanceSight, NodeFacts};
use multi_eni_plan::held::Held;
use multi_eni_plan::intent::{Intent, SubnetRef};
use multi_eni_plan::pods::Pods;
use std::collections::BTreeSet;

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
        self.write_assignment(key, &assignment);
        self.keep_assignment(name, assignment);
    }

    pub(super) fn assign(&self, name: &str) -> Assignment {
        let node: Option<&NodeFacts> = self.world.node(name);
        let intents: Vec<&Intent> = self.world.nodeenis().map(|entry| &entry.intent).collect();
        let held: Vec<&Held> = self.world.attachments_on(name).map(|entry| &entry.held).collect();
        let network = self.means.ec2.network();
        let instance = node.and_then(|node| node.instance.as_ref().ok());
        let sight: Option<InstanceSight> = instance.and_then(|instance| self.means.ec2.instance_sight(instance));
        let pods = self.world.pods_on(name);
        assign::assign(assign::Input {
            cluster: &self.means.cluster,
            node,
            intents: &intents,
            held: &held,
            network: &network,
            instance: sight.as_ref(),
            states: &|instance| self.means.ec2.instance_look(instance),
            pods: match (&self.means.settings.pod_annotation, &pods) {
                (None, _) => Pods::Unasked,
                (Some(_), None) => Pods::Unknown,
                (Some(_), Some(pods)) => Pods::Known(pods),
            },
            is_held: &|eni| self.world.is_held(eni),
            permits: &self.permits,
            refused_attach: &self.refused_attach,
            settings: &self.means.settings,
            now: self.now(),
        })
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

    /// What goes because EC2 does not attach it is not made again before something has changed.
    fn remember_what_is_refused(&mut self, name: &str, assignment: &Assignment) {
        for removal in assignment.delete.iter().filter(|removal| removal.why == RemovalReason::Unattachable) {
            let Some(entry) = self.world.attachment(&removal.name).cloned() else { continue };
            let instance = entry.held.instance.as_ref();
            let sight = instance.and_then(|instance| self.means.ec2.instance_sight(instance));
            let refused = AttachRefused::of(&entry.held, self.world.node(name), sight.as_ref());
            self.refused_attach.insert(removal.name.clone(), refused);
        }
    }

    fn write_assignment(&mut self, key: &Key, assignment: &Assignment) {
        if assignment.is_settled() {
            return;
        }
        let (now, writer) = (self.now(), self.means.writer.clone());
        let marks: Vec<_> = assignment
            .deselect
            .iter()
            .map(|name| (name, Some(now)))
            .chain(assignment.reselect.iter().map(|name| (name, None)))
            .filter_map(|(name, since)| Some((self.world.attachment(name)?.clone(), since)))
            .collect();
        let settings: Vec<_> = assignment
            .reconfigure
            .iter()
            .filter_map(|(name, settings)| Some((self.world.attachment(name)?.clone(), settings.clone())))
            .collect();
        let (create, delete) = (assignment.create.clone(), assignment.delete.clone());
        for new in &create {
            if let Some(eni) = &new.adopts {
                tracing::info!(node = %new.spec.node_name, nodeeni = %new.spec.node_eni_name, eni = %eni.id, "takes an ENI of upstream's over");
                continue;
            }
            tracing::info!(node = %new.spec.node_name, nodeeni = %new.spec.node_eni_name, index = new.spec.request.device_index, "wants an ENI");
        }
        for removal in &delete {
            tracing::info!(attachment = %removal.name, why = ?removal.why, "gives an ENI up");
        }
        if !create.is_empty() {
            let uids = create.iter().map(|new| new.spec.node_eni_uid.clone()).collect();
            self.creating.insert(key.clone(), uids);
        }
        self.call(key, async move {
            let creates = join_all(create.into_iter().map(|new| writer.create(new)));
            let deletes = join_all(delete.into_iter().map(|removal| writer.delete(removal)));
            let marks = join_all(marks.into_iter().map(|(entry, since)| writer.deselect(entry, since)));
            let settings =
                join_all(settings.into_iter().map(|(entry, settings)| writer.node_settings(entry, settings)));
            let (creates, deletes, marks, settings) = futures::join!(creates, deletes, marks, settings);
            creates.into_iter().chain(deletes).chain(marks).chain(settings).map(Outcome::Wrote).collect()
        });
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

//! The model makes the decision for each Node and executes it at once.

use super::Model;
use crate::assign;
use crate::assign::Assignment;
use crate::attachment::Attachment;
use crate::instance_life::{InstanceObservation, InstanceState};
use crate::observed::{InstanceInterfaces, ObservedEni};
use crate::pods::Pods;
use multi_eni_api::ids::InstanceId;
use multi_eni_api::{ENIAttachment, names};

impl Model {
    pub(super) fn on(&self, instance: &InstanceId) -> impl Iterator<Item = &ObservedEni> {
        let on =
            move |eni: &&ObservedEni| eni.attachment.as_ref().is_some_and(|at| at.instance.as_ref() == Some(instance));
        self.enis.values().filter(on)
    }

    pub(super) fn assign(&self, name: &str) -> Assignment {
        let node = self.nodes.get(name);
        let observation = node.and_then(|node| node.instance.as_ref().ok()).map(|instance| InstanceInterfaces {
            as_of: self.now,
            vpc: Some("vpc-1".into()),
            enis: self.on(instance).cloned().collect(),
            ..InstanceInterfaces::default()
        });
        let lookup = |instance: &InstanceId| Some(InstanceObservation::first(self.state(instance), self.now));
        assign::assign(assign::Input {
            cluster: &self.cluster,
            node,
            others: &[],
            nodeenis: &self.nodeenis.values().collect::<Vec<_>>(),
            attachments: &self
                .attachments
                .values()
                .filter(|eni_attachment| eni_attachment.node == name)
                .collect::<Vec<_>>(),
            catalog: &self.catalog,
            region: None,
            instance: observation.as_ref(),
            states: &lookup,
            states_failure: None,
            pods: Pods::Unasked,
            is_held: &|eni| {
                self.attachments.values().any(|eni_attachment| eni_attachment.eni().as_ref() == Some(&eni.id))
            },
            is_attached: &|_| false,
            is_created: &|_| false,
            permits: &self.permits,
            removals: &crate::removals::RemovalPermits::unpaced(),
            term_edits: &Default::default(),
            groups_of: &|_| Vec::new(),
            refused_attach: &Default::default(),
            subnet_gate: &crate::gates::subnet::SubnetGate::default(),
            instance_type_gate: &crate::gates::instance_type::InstanceTypeGate::default(),
            settings: &self.settings,
            now: self.now,
        })
    }

    pub(super) fn state(&self, instance: &InstanceId) -> InstanceState {
        if self.gone_instances.contains(instance) { InstanceState::Terminated } else { InstanceState::Running }
    }

    pub(super) fn write(&mut self, assignment: &Assignment) {
        for new in &assignment.create {
            let mut object = ENIAttachment::new(&new.name, new.spec.clone());
            self.made += 1;
            object.metadata.uid = Some(format!("uid-{}", self.made));
            object.metadata.finalizers = Some(vec![names::ENIATTACHMENT_FINALIZER.to_owned()]);
            let eni_attachment = Attachment { created: self.now, ..Attachment::read(&object) };
            // The API server answers AlreadyExists to a second object of the same name.
            self.attachments.entry(new.name.clone()).or_insert(eni_attachment);
        }
        for eni_attachment in self.attachments.values_mut() {
            if assignment
                .delete
                .iter()
                .any(|removal| removal.name == eni_attachment.name && removal.uid == eni_attachment.uid)
            {
                eni_attachment.deleting = Some(self.now);
            }
            if assignment.deselect.contains(&eni_attachment.name) {
                eni_attachment.deselected_since = Some(self.now);
            }
            if assignment.reselect.contains(&eni_attachment.name) {
                eni_attachment.deselected_since = None;
            }
            for (_, settings) in assignment.reconfigure.iter().filter(|(name, _)| *name == eni_attachment.name) {
                eni_attachment.node_settings = settings.clone().into();
            }
        }
    }
}

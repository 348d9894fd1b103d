//! The model makes the decision for each ENIAttachment, and its EC2 completes the call at once.

use super::Model;
use crate::ec2_errors::{Call, CallError};
use crate::gates::quota::QuotaGate;
use crate::instance_life::InstanceObservation;
use crate::lifecycle;
use crate::lifecycle::{Action, CallHistory, Change};
use crate::observed::{AttachmentState, Missed, Observation, ObservedAttachment, ObservedEni, ObservedIpv6};
use compact_str::CompactString;
use jiff::SignedDuration;
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use std::collections::BTreeMap;

impl Model {
    /// Executes the next step of one ENIAttachment. Returns whether anything changed.
    pub(super) fn step(&mut self, name: &str) -> bool {
        let eni_attachment = self.attachments[name].clone();
        let of_it = |eni: &&ObservedEni| eni.attachment_uid() == Some(eni_attachment.uid.as_str());
        let found = self.enis.values().find(of_it).or_else(|| self.enis.get(&eni_attachment.eni()?));
        let observation = match found {
            Some(eni) => Observation::Seen(Box::new(ObservedEni { shown_at: self.now, ..eni.clone() })),
            None => Observation::Absent {
                by_tag: self.now,
                home: Some(self.now),
                by_id: Some(Missed::by_delete(self.now).after(Some(self.now))),
                deleted: None,
            },
        };
        let call_history = self
            .call_histories
            .entry(eni_attachment.uid.clone())
            .or_insert_with(|| CallHistory::made(eni_attachment.created))
            .clone();
        let node = self.nodes.get(&eni_attachment.node);
        let next = lifecycle::step(lifecycle::Input {
            cluster: &self.cluster,
            attachment: &eni_attachment,
            observation: &observation,
            spec: self
                .nodeenis
                .values()
                .find(|nodeeni| nodeeni.uid == eni_attachment.nodeeni_uid)
                .and_then(|i| i.spec.as_ref().ok()),
            rivals: &[],
            node: node.filter(|node| node.instance.as_ref().ok() == eni_attachment.instance.as_ref()),
            boot_ids: &[],
            instance: eni_attachment.instance.as_ref().map(|i| InstanceObservation::first(self.state(i), self.now)),
            states_failure: None,
            report_outdated_since: None,
            home_shown: Some(self.now),
            resync_took: SignedDuration::ZERO,
            catalog: &self.catalog,
            agreement: lifecycle::Agreement::default(),
            call_history: &call_history,
            quota: &QuotaGate::default(),
            instance_type: None,
            permissions: &crate::gates::permission::PermissionGate::default(),
            subnets: &crate::gates::subnet::SubnetGate::default(),
            settings: &self.settings,
            now: self.now,
        });
        self.attachments.get_mut(name).unwrap().status = next.status.clone();
        match next.action {
            Action::Create { .. } => {
                drop(self.create(&eni_attachment.request.subnet_id, lifecycle::tags(&self.cluster, &eni_attachment)))
            }
            Action::Attach { eni, instance, card, index } => {
                let taken = |other: &ObservedEni| {
                    other.attachment.as_ref().is_some_and(|at| (at.card, at.index) == (card, index))
                };
                let refusal = if self.gone_instances.contains(&instance) {
                    Some(("IncorrectState", "not running"))
                } else if self.on(&instance).any(taken) {
                    Some(("InvalidParameterValue", "already has an interface attached at device index"))
                } else {
                    None
                };
                let call_history = self.call_histories.get_mut(&eni_attachment.uid).unwrap();
                match refusal {
                    Some((code, message)) => {
                        let error = CallError::Answered { code: code.into(), message: message.into() };
                        call_history.failed(Call::Attach, &error, self.now);
                    }
                    None => {
                        call_history.succeeded(Call::Attach, self.now);
                        self.attach(&eni, &instance, card, index);
                    }
                }
            }
            Action::Modify { eni, change, .. } => self.modify(&eni, change),
            Action::Detach { eni, .. } => {
                self.departures += 1;
                self.enis.get_mut(&eni).unwrap().attachment = None;
            }
            Action::Delete { eni } => {
                self.departures += 1;
                assert!(self.enis.remove(&eni).is_some_and(|eni| eni.attachment.is_none()));
            }
            Action::Release => drop(self.attachments.remove(name)),
            Action::NextAttempt => {}
            Action::LookupByTag
            | Action::LookupById(_)
            | Action::LookupSubnet(_)
            | Action::LookupInstance(_)
            | Action::Wait
            | Action::Settled => {
                return next.status != eni_attachment.status;
            }
        }
        true
    }

    pub(super) fn create(&mut self, subnet: &str, tags: BTreeMap<String, String>) -> EniId {
        self.made += 1;
        let id = EniId::parse(&format!("eni-{:08x}", self.made)).unwrap();
        let observed_subnet = &self.catalog.subnets[&SubnetId::parse(subnet).unwrap()];
        let seen = ObservedEni {
            id: id.clone(),
            subnet: Some(observed_subnet.id.clone()),
            vpc: observed_subnet.vpc.as_str().into(),
            zone: observed_subnet.zone.as_str().into(),
            owner: CompactString::default(),
            mac: CompactString::default(),
            private_ips: Vec::new(),
            ipv4_prefixes: Vec::new(),
            ipv6: ObservedIpv6::default(),
            operator: None,
            groups: Vec::new(),
            description: String::new(),
            source_dest_check: true,
            connection_tracking: ConnectionTracking::default(),
            tags: tags.into_iter().collect(),
            attachment: None,
            in_use_since: None,
            shown_at: self.now,
            last_call: None,
        };
        self.enis.insert(id.clone(), seen);
        id
    }

    pub(super) fn attach(&mut self, eni: &EniId, instance: &InstanceId, card: i32, index: i32) {
        let attachment = ObservedAttachment {
            id: format!("attach-{eni}"),
            instance: Some(instance.clone()),
            card,
            index,
            state: AttachmentState::Attached,
            since: self.now,
            delete_on_termination: false,
        };
        self.enis.get_mut(eni).unwrap().attachment = Some(attachment);
    }

    pub(super) fn modify(&mut self, eni: &EniId, change: Change) {
        let eni = self.enis.get_mut(eni).unwrap();
        // Only an ENI of this cluster is ever changed, or an ENI of upstream that is being adopted.
        assert!(
            eni.is_of(&self.cluster) || eni.upstreams(&self.cluster).is_some(),
            "{eni:?} does not belong to this cluster, \
                                                                                     and is changed: {change}"
        );
        change.apply(eni);
    }
}

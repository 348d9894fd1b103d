//! The calm: circumstances pass, and people put right what they have done by hand, as the conditions advise.

use super::Environment;
use super::cluster::{People, nodes, pods};
use crate::checker::Checker;
use crate::checker::model::EniTruth;
use crate::script::SubnetPlace;
use multi_eni_api::names::TAG_ATTACHMENT_UID;
use multi_eni_plan::observed::AttachmentState;
use multi_eni_sim::ec2::InstanceState;
use serde_json::Value;
use std::collections::BTreeMap;

/// EC2's names of what the controller may be denied.
pub const ACTIONS: [&str; 11] = [
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeInstanceTypes",
    "DescribeSubnets",
    "DescribeSecurityGroups",
];

impl Environment {
    /// Mends everything that acts have left behind.
    ///
    /// # Errors
    /// If the simulators refuse it.
    pub async fn mend(&self, checker: &Checker, subnets: &[SubnetPlace]) -> Result<(), String> {
        ACTIONS.into_iter().for_each(|action| self.ec2.allow(action));
        self.ec2.configure(|settings| settings.eni_quota = Some(5000));
        for subnet in subnets {
            self.uncrowd(&subnet.id)?;
        }
        self.put_names_back(subnets)?;
        let people = People::at(&self.api);
        for pod in self.api.list(&pods()) {
            let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            people.delete(&pods(), name).await?;
        }
        let instances = self.ec2.snapshot().instances;
        for node in self.api.list(&nodes()) {
            let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (name, draining) = (text("/metadata/name"), node.pointer("/metadata/deletionTimestamp").is_some());
            let instance = text("/spec/providerID").rsplit('/').next().unwrap_or_default();
            let state = instances.get(instance).map(|instance| instance.state);
            let gone = matches!(state, None | Some(InstanceState::ShuttingDown | InstanceState::Terminated));
            if !draining && !gone {
                self.put_right(&people, &node).await?;
            }
            if draining {
                self.play(&crate::script::Operation::Drained { node: name.to_owned() }).await?;
            } else if gone {
                // What the cloud controller does.
                people.delete(&nodes(), name).await?;
            }
        }
        // Owner, whether it is elsewhere, and whether it is an orphan on an instance that has no Node, which is reported only.
        let ours: Vec<(EniTruth, bool, bool, bool)> = {
            let state = checker.state();
            let model = &state.model;
            let ours = model.enis.values().filter(|eni| eni.made_for.is_some());
            ours.map(|eni| {
                let attachment = eni
                    .made_for
                    .as_ref()
                    .and_then(|uid| model.uids.get(uid))
                    .and_then(|name| model.attachments.get(name));
                // While it is adopted its tags name another one, which is gone.
                let adopts = || {
                    model
                        .attachments
                        .values()
                        .find(|attachment| attachment.attachment.eni().as_ref() == Some(&eni.seen.id))
                };
                let attachment = attachment.or_else(adopts);
                let elsewhere = eni.seen.attachment.as_ref().is_some_and(|at| {
                    attachment.is_some_and(|attachment| {
                        at.instance != attachment.attachment.instance
                            || (at.card, at.index) != attachment.attachment.slot()
                    })
                });
                let instance = eni.seen.attachment.as_ref().and_then(|at| at.instance.as_ref());
                let abandoned = attachment.is_none()
                    && instance.is_some_and(|i| !model.nodes.values().any(|node| node.instance == i.as_str()));
                (eni.clone(), attachment.is_some(), elsewhere, abandoned)
            })
            .collect()
        };
        for (eni, known, elsewhere, abandoned) in ours {
            let id = eni.seen.id.as_str();
            let leaving = eni.seen.attachment.as_ref().is_some_and(|at| at.state == AttachmentState::Detaching);
            if elsewhere && !leaving {
                self.ec2.hand_detach(id, false).map_err(|error| error.to_string())?;
            }
            if eni.untagged.is_some() && known {
                let mut tags: BTreeMap<String, String> =
                    eni.made_with.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                // It may have been adopted since it was made.
                tags.extend(eni.made_for.clone().map(|uid| (TAG_ATTACHMENT_UID.to_owned(), uid)));
                self.ec2.hand_change(id, |eni| eni.tags = tags).map_err(|error| error.to_string())?;
            } else if eni.untagged.is_some() || abandoned {
                if eni.seen.attachment.is_some() {
                    self.ec2.hand_detach(id, true).map_err(|error| error.to_string())?;
                }
                self.ec2.hand_delete(id).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Stops and starts instances on which a forced detach has left a slot unusable, as its event advises.
    pub fn cycle_spoilt(&self) {
        for (id, instance) in self.ec2.snapshot().instances {
            if instance.unusable_slots.is_empty() {
                continue;
            }
            // Both can only fail on an instance that is not there.
            let _ = self.ec2.stop_instance(&id);
            if instance.state == InstanceState::Running {
                let _ = self.ec2.start_instance(&id);
            }
        }
    }
}

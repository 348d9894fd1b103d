//! Restores the environment when the faults stop: IAM, quotas, names and Pods are as at first, and changes by hand are undone as
//! the conditions advise a user.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::{eniattachments, nodes, pods};
use super::joining::{instance_in, later_provider_id};
use crate::checker::Checker;
use crate::checker::model::ModelEni;
use crate::script::SubnetPlace;
use multi_eni_api::names::{TAG_ATTACHMENT_UID, TAG_CLUSTER};
use multi_eni_plan::observed::AttachmentState;
use multi_eni_sim::ec2::InstanceState;
use serde_json::Value;

/// The EC2 actions that a script may deny to the controller.
pub const ACTIONS: [&str; 12] = [
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "DeleteTags",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeInstanceTypes",
    "DescribeSubnets",
    "DescribeSecurityGroups",
];

impl Environment {
    /// Undoes what operations have left behind.
    ///
    /// # Errors
    /// If a simulator refuses a change.
    pub async fn mend(&self, checker: &Checker, subnets: &[SubnetPlace]) -> Result<(), String> {
        ACTIONS.into_iter().for_each(|action| self.ec2.allow(action));
        self.ec2.configure(|settings| settings.eni_quota = Some(5000));
        self.node_agents.calm(self.now());
        for subnet in subnets {
            self.uncrowd(&subnet.id)?;
        }
        self.put_names_back(subnets)?;
        let client = ApiClient::new(&self.api);
        for pod in self.api.list(&pods()) {
            let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            client.delete(&pods(), name).await?;
        }
        for node in self.api.list(&nodes()).iter().filter(|node| later_provider_id(node).is_some()) {
            let name = node.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            self.initialize(&client, name).await?;
        }
        let instances = self.ec2.snapshot().instances;
        for node in self.api.list(&nodes()).into_iter().filter(|node| instance_in(node).starts_with("i-")) {
            let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (name, draining) = (text("/metadata/name"), node.pointer("/metadata/deletionTimestamp").is_some());
            let instance = instance_in(&node);
            let state = instances.get(instance).map(|instance| instance.state);
            let gone = matches!(state, None | Some(InstanceState::ShuttingDown | InstanceState::Terminated));
            if !draining && !gone {
                self.put_right(&client, &node).await?;
            }
            if draining {
                self.play(&crate::script::Operation::Drained { node: name.to_owned() }).await?;
            } else if gone {
                // The cloud controller manager does the same.
                client.delete(&nodes(), name).await?;
            }
        }
        // The interfaces that replicas made: whether each has an ENIAttachment, whether it is attached in another place, and
        // whether it is an orphan on an instance without a Node, which the controller only reports.
        let ours: Vec<(ModelEni, bool, bool, bool)> = {
            let state = checker.state();
            let model = &state.model;
            let ours = model.enis.values().filter(|eni| eni.made_for.is_some());
            ours.map(|eni| {
                let attachment = eni
                    .made_for
                    .as_ref()
                    .and_then(|uid| model.uids.get(uid))
                    .and_then(|name| model.attachments.get(name));
                // While the ENI is being adopted, its tags name a former ENIAttachment, which is gone.
                let adopts = || {
                    model
                        .attachments
                        .values()
                        .find(|attachment| attachment.attachment.eni().as_ref() == Some(&eni.current.id))
                };
                let attachment = attachment.or_else(adopts);
                let elsewhere = eni.current.attachment.as_ref().is_some_and(|at| {
                    attachment.is_some_and(|attachment| {
                        at.instance != attachment.attachment.instance
                            || (at.card, at.index) != attachment.attachment.slot()
                    })
                });
                let instance = eni.current.attachment.as_ref().and_then(|at| at.instance.as_ref());
                let abandoned = attachment.is_none()
                    && instance.is_some_and(|i| !model.nodes.values().any(|node| node.instance == i.as_str()));
                (eni.clone(), attachment.is_some(), elsewhere, abandoned)
            })
            .collect()
        };
        for (eni, known, elsewhere, abandoned) in ours {
            let id = eni.current.id.as_str();
            let leaving = eni.current.attachment.as_ref().is_some_and(|at| at.state == AttachmentState::Detaching);
            if elsewhere && !leaving {
                self.ec2.hand_detach(id, false).map_err(|error| error.to_string())?;
            }
            if eni.untagged.is_some() && known {
                let ids = [
                    (TAG_CLUSTER.to_owned(), self.cluster.clone()),
                    // It may have been adopted since it was created.
                    (TAG_ATTACHMENT_UID.to_owned(), eni.made_for.clone().unwrap_or_default()),
                ];
                let made_with = eni.made_with.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
                let restored: Vec<(String, String)> = made_with.chain(ids).collect();
                self.ec2.hand_change(id, |eni| eni.tags.extend(restored)).map_err(|error| error.to_string())?;
            } else if eni.untagged.is_some() || abandoned {
                if eni.current.attachment.is_some() {
                    self.ec2.hand_detach(id, true).map_err(|error| error.to_string())?;
                }
                self.ec2.hand_delete(id).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Detaches each ENI that an ENIAttachment reports as attached elsewhere, as its condition advises. An ENI that was moved by hand may
    /// be adopted only now, from an answer of EC2 that is older than the move.
    pub fn detach_elsewhere(&self) {
        let reports = |attachment: &Value| {
            let conditions = attachment.pointer("/status/conditions").and_then(Value::as_array);
            conditions.into_iter().flatten().any(|condition| condition["reason"] == "AttachedElsewhere")
        };
        for attachment in self.api.list(&eniattachments()).iter().filter(|attachment| reports(attachment)) {
            if let Some(eni) = attachment.pointer("/status/eniID").and_then(Value::as_str) {
                // EC2 refuses only if the ENI is not attached any more.
                let _ = self.ec2.hand_detach(eni, false);
            }
        }
    }

    /// Stops and starts the instances on which a forced detach has left a slot unusable, as the event of the controller advises.
    pub fn cycle_spoilt(&self) {
        for (id, instance) in self.ec2.snapshot().instances {
            if instance.unusable_slots.is_empty() {
                continue;
            }
            // Both calls fail only if the instance does not exist.
            let _ = self.ec2.stop_instance(&id);
            if instance.state == InstanceState::Running {
                let _ = self.ec2.start_instance(&id);
            }
        }
    }
}

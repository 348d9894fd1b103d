//! What upstream's controller leaves behind when it is stopped.

use super::Environment;
use super::cluster::{People, nodeenis};
use super::play::Came;
use multi_eni_api::names::{UPSTREAM_MANAGER, UPSTREAM_TAG_MANAGED_BY, UPSTREAM_TAG_NODE, UPSTREAM_TAG_NODEENI};
use multi_eni_sim::ec2::InstanceState;
use serde_json::{Value, json};

/// One of its ENIs.
pub(super) struct Upstreams<'a> {
    pub node: &'a str,
    pub nodeeni: &'a str,
    pub subnet: &'a str,
    pub index: u32,
}

impl Environment {
    /// It attaches an ENI, and lists it in the NodeENI's status or does not get so far.
    pub(super) async fn upstream(&self, people: &People, its: &Upstreams<'_>, listed: bool) -> Came {
        let Upstreams { node, nodeeni, subnet, index } = its;
        let instance = self.instance_of(node)?;
        let snapshot = self.ec2.snapshot();
        let about = snapshot.instances.get(&instance).ok_or_else(|| format!("{instance} is gone"))?;
        if about.state != InstanceState::Running || snapshot.attached_to(&instance).contains_key(&(0, *index)) {
            return Err(format!("{instance} does not run, or index {index} is taken"));
        }
        let tags =
            [(UPSTREAM_TAG_MANAGED_BY, UPSTREAM_MANAGER), (UPSTREAM_TAG_NODEENI, *nodeeni), (UPSTREAM_TAG_NODE, *node)];
        let eni = self.ec2.hand_create(subnet, &tags).map_err(|error| error.to_string())?;
        if let Err(error) = self.ec2.hand_attach(&eni, &instance, 0, *index) {
            // Of another zone, say: it is not left behind.
            self.ec2.hand_delete(&eni).map_err(|error| error.to_string())?;
            return Err(error.to_string());
        }
        if listed {
            self.list_upstreams(people, its, &instance, &eni).await?;
        }
        Ok(format!("upstream attaches {eni} of {nodeeni} to {node} at index {index}"))
    }

    async fn list_upstreams(
        &self,
        people: &People,
        its: &Upstreams<'_>,
        instance: &str,
        eni: &str,
    ) -> Result<(), String> {
        let object = people.get(&nodeenis(), its.nodeeni).await?;
        if object.pointer("/status/observedGeneration").is_some() {
            // Ours is at work already, and upstream no longer writes.
            return Ok(());
        }
        let mut entries = object.pointer("/status/attachments").and_then(Value::as_array).cloned().unwrap_or_default();
        entries.push(json!({ "nodeID": its.node, "instanceID": instance, "eniID": eni, "subnetID": its.subnet,
            "deviceIndex": its.index, "status": "attached" }));
        let status = json!({ "status": { "attachments": entries } });
        people.patch_status(&nodeenis(), its.nodeeni, &status).await.map(drop)
    }
}

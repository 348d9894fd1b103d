//! The ENIs that upstream's controller leaves behind when it is stopped.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::nodeenis;
use super::operation_result::OperationResult;
use multi_eni_api::names::{UPSTREAM_MANAGER, UPSTREAM_TAG_MANAGED_BY, UPSTREAM_TAG_NODE, UPSTREAM_TAG_NODEENI};
use multi_eni_sim::ec2::InstanceState;
use serde_json::{Value, json};

/// An ENI of upstream's controller.
pub(super) struct UpstreamEni<'a> {
    pub node: &'a str,
    pub nodeeni: &'a str,
    pub subnet: &'a str,
    pub index: u32,
}

impl Environment {
    /// Creates and attaches an ENI as upstream does. `listed`: it also adds the ENI to the NodeENI's status.
    pub(super) async fn upstream(&self, client: &ApiClient, its: &UpstreamEni<'_>, listed: bool) -> OperationResult {
        let UpstreamEni { node, nodeeni, subnet, index } = its;
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
            // The attach fails for a subnet of another zone, for example. The ENI is deleted again.
            self.ec2.hand_delete(&eni).map_err(|error| error.to_string())?;
            return Err(error.to_string());
        }
        if listed {
            self.list_upstreams(client, its, &instance, &eni).await?;
        }
        Ok(format!("upstream attaches {eni} of {nodeeni} to {node} at index {index}"))
    }

    async fn list_upstreams(
        &self,
        client: &ApiClient,
        its: &UpstreamEni<'_>,
        instance: &str,
        eni: &str,
    ) -> Result<(), String> {
        let object = client.get(&nodeenis(), its.nodeeni).await?;
        if object.pointer("/status/observedGeneration").is_some() {
            // This project's controller has already written the status, so upstream does not write it any more.
            return Ok(());
        }
        let mut entries = object.pointer("/status/attachments").and_then(Value::as_array).cloned().unwrap_or_default();
        entries.push(json!({ "nodeID": its.node, "instanceID": instance, "eniID": eni, "subnetID": its.subnet,
            "deviceIndex": its.index, "status": "attached" }));
        let status = json!({ "status": { "attachments": entries } });
        client.patch_status(&nodeenis(), its.nodeeni, &status).await.map(drop)
    }
}

//! Operations that put a Node's identity in doubt: a second Node for one instance, and a zone label that someone changes.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::nodes;
use super::operation_result::OperationResult;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Environment {
    /// The instance of a Node also registers under another name.
    pub(super) async fn twin(
        &self,
        client: &ApiClient,
        node: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> OperationResult {
        let first = self.api.get(&nodes(), "", node).ok_or_else(|| format!("there is no Node {node}"))?;
        let provider = first.pointer("/spec/providerID").and_then(Value::as_str).unwrap_or_default().to_owned();
        if provider.is_empty() {
            return Err(format!("Node {node} has no providerID"));
        }
        let mut all = labels.clone();
        for key in ["topology.kubernetes.io/zone", "node.kubernetes.io/instance-type"] {
            let value = first.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
            all.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": all },
            "spec": { "providerID": provider },
        });
        client.create(&nodes(), &object).await.map(|_| format!("the instance of {node} registers as Node {name} too"))
    }

    /// Sets a Node's zone label, or removes it.
    pub(super) async fn zone_label(&self, client: &ApiClient, node: &str, zone: Option<&str>) -> OperationResult {
        let labels = json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": zone } } });
        client.patch(&nodes(), node, &labels).await?;
        Ok(format!("the zone label of Node {node} is {zone:?}"))
    }

    /// Does what the conditions advise a user to do: sets the zone label as the providerID says, and deletes all Nodes of one
    /// instance except for the first by name.
    pub(super) async fn put_right(&self, client: &ApiClient, node: &Value) -> Result<(), String> {
        let text =
            |node: &Value, pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, provider) = (text(node, "/metadata/name"), text(node, "/spec/providerID"));
        let same = |other: &Value| text(other, "/spec/providerID") == provider;
        if self.api.list(&nodes()).iter().any(|other| same(other) && text(other, "/metadata/name") < name) {
            client.delete(&nodes(), &name).await?;
            return Ok(());
        }
        let zone = provider.rsplit('/').nth(1).unwrap_or_default().to_owned();
        let label = node.pointer("/metadata/labels").and_then(|labels| labels.get("topology.kubernetes.io/zone"));
        if label.and_then(Value::as_str) != Some(zone.as_str()) {
            self.zone_label(client, &name, Some(&zone)).await?;
        }
        Ok(())
    }
}

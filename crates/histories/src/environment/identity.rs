//! Nodes that are not what they were: a second one of an instance, and a zone label that a person changes.

use super::Environment;
use super::cluster::{People, nodes};
use super::play::Came;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Environment {
    /// The instance of a Node registers under another name as well.
    pub(super) async fn twin(
        &self,
        people: &People,
        node: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Came {
        let first = self.api.get(&nodes(), "", node).ok_or_else(|| format!("there is no Node {node}"))?;
        let provider = first.pointer("/spec/providerID").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut all = labels.clone();
        for key in ["topology.kubernetes.io/zone", "node.kubernetes.io/instance-type"] {
            let value = first.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
            all.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": all },
            "spec": { "providerID": provider },
        });
        people.create(&nodes(), &object).await.map(|_| format!("the instance of {node} registers as Node {name} too"))
    }

    /// A person sets a Node's zone label, or takes it away.
    pub(super) async fn zone_label(&self, people: &People, node: &str, zone: Option<&str>) -> Came {
        let labels = json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": zone } } });
        people.patch(&nodes(), node, &labels).await?;
        Ok(format!("the zone label of Node {node} is {zone:?}"))
    }

    /// What a person does whom the conditions have told: the zone label is set as the providerID says, and of several Nodes of one
    /// instance all but the one that came first by name are deleted.
    pub(super) async fn put_right(&self, people: &People, node: &Value) -> Result<(), String> {
        let text =
            |node: &Value, pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, provider) = (text(node, "/metadata/name"), text(node, "/spec/providerID"));
        let same = |other: &Value| text(other, "/spec/providerID") == provider;
        if self.api.list(&nodes()).iter().any(|other| same(other) && text(other, "/metadata/name") < name) {
            people.delete(&nodes(), &name).await?;
            return Ok(());
        }
        let zone = provider.rsplit('/').nth(1).unwrap_or_default().to_owned();
        let label = node.pointer("/metadata/labels").and_then(|labels| labels.get("topology.kubernetes.io/zone"));
        if label.and_then(Value::as_str) != Some(zone.as_str()) {
            self.zone_label(people, &name, Some(&zone)).await?;
        }
        Ok(())
    }
}

//! Operations by which Nodes join: on an instance, initialized or not yet, and Nodes that can never have an ENI.

use super::Environment;
use super::api_client::ApiClient;
use super::api_resources::nodes;
use super::ec2_setup::{node_subnet, zone};
use super::node_agents::boot_id;
use super::operation_result::OperationResult;
use super::taints::taints_of;
use crate::script::{Placement, UnsupportedKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The taint of a Node that the cloud provider has not initialized.
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label with which EKS marks the Nodes of Auto Mode, with the value `auto`.
pub const COMPUTE_TYPE_LABEL: &str = "eks.amazonaws.com/compute-type";
/// The providerID that the cloud provider will write.
const LATER_PROVIDER_ID: &str = "example.com/provider-id";

/// A Node that is to register.
pub(super) struct NewNode<'a> {
    pub node: &'a str,
    pub instance: &'a str,
    /// `a`, `b` or `xyz`, and where in the account its instance is.
    pub place: (&'a str, Placement),
    pub labels: &'a BTreeMap<String, String>,
    /// Whether the cloud provider has not initialized the Node.
    pub bare: bool,
}

/// The instance of a Node; empty if the object names none.
pub(super) fn instance_in(node: &Value) -> &str {
    let now = node.pointer("/spec/providerID").and_then(Value::as_str);
    let provider = now.or_else(|| later_provider_id(node)).unwrap_or_default();
    provider.rsplit('/').next().unwrap_or_default()
}

/// The providerID that the cloud provider will write for a Node that it has not initialized.
pub(super) fn later_provider_id(node: &Value) -> Option<&str> {
    if node.pointer("/spec/providerID").is_some() {
        return None;
    }
    node.pointer("/metadata/annotations")?.get(LATER_PROVIDER_ID)?.as_str()
}

impl Environment {
    pub(super) async fn join(&self, client: &ApiClient, new: &NewNode<'_>) -> OperationResult {
        let NewNode { node, instance, place: (zone_letter, _), labels, bare } = *new;
        if !self.ec2.snapshot().instances.contains_key(instance) {
            self.ec2
                .run_instance(instance, &self.instance_type, &node_subnet(new.place)?)
                .map_err(|error| error.to_string())?;
        }
        let zone = zone(zone_letter);
        let mut labels = labels.clone();
        labels.insert("kubernetes.io/hostname".to_owned(), node.to_owned());
        if self.typed {
            labels.insert("node.kubernetes.io/instance-type".to_owned(), self.instance_type.clone());
        }
        let provider = format!("aws:///{zone}/{instance}");
        if bare {
            let taint = json!({ "key": UNINITIALIZED, "value": "true", "effect": "NoSchedule" });
            let object = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": node, "labels": labels, "annotations": { LATER_PROVIDER_ID: provider } },
                "spec": { "taints": [taint] },
            });
            client.create(&nodes(), &object).await?;
            return Ok(format!("Node {node} joins on {instance} in {zone}, without providerID"));
        }
        labels.insert(ZONE_LABEL.to_owned(), zone.clone());
        let object = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": node, "labels": labels },
            "spec": { "providerID": provider },
        });
        client.create(&nodes(), &object).await.map(|_| format!("Node {node} joins on {instance} in {zone}"))
    }

    /// The cloud provider writes the providerID and the zone of a Node, and removes the taint.
    pub(super) async fn initialize(&self, client: &ApiClient, node: &str) -> OperationResult {
        let object = self.api.get(&nodes(), "", node).ok_or_else(|| format!("there is no Node {node}"))?;
        let provider = later_provider_id(&object).ok_or_else(|| format!("Node {node} is initialized already"))?;
        let zone = provider.rsplit('/').nth(1).unwrap_or_default();
        let others: Vec<Value> = taints_of(&object).into_iter().filter(|taint| taint["key"] != UNINITIALIZED).collect();
        let taints = if others.is_empty() { Value::Null } else { json!(others) };
        let patch = json!({
            "metadata": { "labels": { ZONE_LABEL: zone } },
            "spec": { "providerID": provider, "taints": taints },
        });
        client.patch(&nodes(), node, &patch).await.map(|_| format!("Node {node} is initialized as {provider}"))
    }

    /// The instance of a Node reboots. Its kubelet reports the new boot, and its agent starts anew.
    pub(super) async fn reboot(&self, client: &ApiClient, node: &str) -> OperationResult {
        let said = Ok(format!("{node} reboots"));
        let Some(object) = self.api.get(&nodes(), "", node) else { return said };
        let instance = instance_in(&object).to_owned();
        if instance.is_empty() {
            return said;
        }
        let boot = boot_id(self.node_agents.reboot(&instance));
        let here = self.api.list(&nodes());
        for other in here.iter().filter(|other| instance_in(other) == instance) {
            let name = other.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let patch = json!({ "status": { "nodeInfo": { "bootID": boot } } });
            client.patch_status(&nodes(), name, &patch).await?;
        }
        said
    }

    /// A Node joins whose instance and primary interface EKS Auto Mode manages.
    pub(super) async fn join_managed(&self, client: &ApiClient, new: &NewNode<'_>) -> OperationResult {
        if self.ec2.snapshot().instances.contains_key(new.instance) {
            return Err(format!("{} exists already", new.instance));
        }
        self.ec2
            .run_instance(new.instance, &self.instance_type, &node_subnet(new.place)?)
            .map_err(|error| error.to_string())?;
        let enis: Vec<String> =
            self.ec2.snapshot().attached_to(new.instance).values().map(|eni| eni.id.clone()).collect();
        for eni in enis {
            self.ec2.hand_change(&eni, |eni| eni.managed = true).map_err(|error| error.to_string())?;
        }
        self.ec2
            .hand_change_instance(new.instance, |instance| instance.managed = true)
            .map_err(|error| error.to_string())?;
        let mut labels = new.labels.clone();
        labels.insert(COMPUTE_TYPE_LABEL.to_owned(), "auto".to_owned());
        self.join(client, &NewNode { labels: &labels, ..*new })
            .await
            .map(|joins| format!("{joins}, managed by Auto Mode"))
    }

    /// A Node joins that can never have an ENI.
    pub(super) async fn join_unsupported(
        &self,
        client: &ApiClient,
        node: &str,
        kind: UnsupportedKind,
        labels: &BTreeMap<String, String>,
    ) -> OperationResult {
        let zone = zone("a");
        let provider = match kind {
            UnsupportedKind::Fargate => format!("aws:///{zone}/3b8d1a2c4e-{node}/fargate-ip-10-0-0-1.ec2.internal"),
            UnsupportedKind::Hybrid => format!("eks-hybrid:///eu-west-1/cluster/{node}"),
            UnsupportedKind::HyperPod => format!("aws:///{zone}/sagemaker/cluster/hyperpod-{node}-i-00000000000000abc"),
        };
        let object = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": node, "labels": labels },
            "spec": { "providerID": provider },
        });
        client.create(&nodes(), &object).await.map(|_| format!("Node {node} joins as {provider}"))
    }
}

//! A user's operations on the API server, by kube's client: register a Node, apply, label, delete, list.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A user's client of the API server.
#[derive(Clone)]
pub struct Kubectl {
    nodes: Api<Node>,
    nodeenis: Api<NodeENI>,
    attachments: Api<ENIAttachment>,
}

impl Kubectl {
    /// Operates through this client.
    pub fn new(client: Client) -> Self {
        Self { nodes: Api::all(client.clone()), nodeenis: Api::all(client.clone()), attachments: Api::all(client) }
    }

    /// Registers a Node, as the kubelet and the cloud provider do.
    pub async fn register(&self, name: &str, instance: &str, kind: &str, zone: &str) -> Result<(), String> {
        let labels = json!({ "topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name,
            "node.kubernetes.io/instance-type": kind });
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": labels },
            "spec": { "providerID": format!("aws:///{zone}/{instance}") },
        }))
        .map_err(|error| error.to_string())?;
        self.nodes.create(&PostParams::default(), &node).await.map_err(message_of)?;
        let ready = json!({ "status": { "conditions": [
            { "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status" },
        ] } });
        self.nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(ready)).await.map(drop).map_err(message_of)
    }

    /// Applies a NodeENI as `kubectl apply` does. A refusal is returned with the API server's message.
    pub async fn apply(&self, object: &Value) -> Result<(), String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("sandbox")
        };
        self.nodeenis.patch(name, &params, &Patch::Apply(object)).await.map(drop).map_err(message_of)
    }

    /// Sets labels (Some) or removes them (None).
    pub async fn label(&self, node: &str, labels: &BTreeMap<String, Option<String>>) -> Result<(), String> {
        let patch = json!({ "metadata": { "labels": labels } });
        self.nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop).map_err(message_of)
    }

    /// Deletes a NodeENI.
    pub async fn delete(&self, name: &str) -> Result<(), String> {
        match self.nodeenis.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(message_of(error)),
        }
    }

    /// All NodeENIs, by name.
    pub async fn nodeenis(&self) -> Result<BTreeMap<String, NodeENI>, String> {
        let list = self.nodeenis.list(&ListParams::default()).await.map_err(message_of)?;
        Ok(list.into_iter().map(|object| (object.name_any(), object)).collect())
    }

    /// All ENIAttachments.
    pub async fn attachments(&self) -> Result<Vec<ENIAttachment>, String> {
        Ok(self.attachments.list(&ListParams::default()).await.map_err(message_of)?.items)
    }
}

fn message_of(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

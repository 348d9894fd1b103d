//! A user's operations on the API server, by kube's client: register a Node, apply, label, delete, list.

use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use multi_eni_api::{ENIAttachment, NodeENI};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The field manager of `kubectl apply --server-side`. Under another name, a later one would conflict.
const KUBECTL_MANAGER: &str = "kubectl";

/// Where `kubectl apply` keeps what it applied last. Without it the next `kubectl apply` warns.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

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

    /// Applies a NodeENI. Afterwards `kubectl apply` and `kubectl apply --server-side` change the object as if `kubectl apply` had
    /// made it. A refusal is returned with the API server's message.
    pub async fn apply(&self, object: &Value) -> Result<(), String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply(KUBECTL_MANAGER)
        };
        let object = with_last_applied(object)?;
        self.nodeenis.patch(name, &params, &Patch::Apply(object)).await.map(drop).map_err(message_of)
    }

    /// Sets labels (Some) or removes them (None).
    pub async fn label(&self, node: &str, labels: &BTreeMap<String, Option<String>>) -> Result<(), String> {
        let patch = json!({ "metadata": { "labels": labels } });
        self.nodes.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop).map_err(message_of)
    }

    /// The labels of all Nodes, by the name of the Node.
    pub async fn labels_of_nodes(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
        let list = self.nodes.list(&ListParams::default()).await.map_err(message_of)?;
        Ok(list.into_iter().map(|node| (node.name_any(), node.metadata.labels.unwrap_or_default())).collect())
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

/// The object with the annotation that `kubectl apply` writes: the object itself as JSON, without this annotation.
fn with_last_applied(object: &Value) -> Result<Value, String> {
    let mut applied = object.clone();
    let metadata = applied["metadata"].as_object_mut().ok_or("a NodeENI has no metadata")?;
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    // Annotations of another type are left for the API server to refuse.
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(LAST_APPLIED);
        let text = format!("{applied}\n");
        applied["metadata"]["annotations"][LAST_APPLIED] = Value::from(text);
    }
    Ok(applied)
}

fn message_of(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applied_object_carries_itself_as_kubectl_apply_writes_it() {
        let plain = json!({ "kind": "NodeENI", "metadata": { "name": "a" }, "spec": { "mtu": 1500 } });
        let text = "{\"kind\":\"NodeENI\",\"metadata\":{\"annotations\":{},\"name\":\"a\"},\"spec\":{\"mtu\":1500}}\n";
        let applied = with_last_applied(&plain).unwrap();
        assert_eq!(applied["metadata"]["annotations"], json!({ LAST_APPLIED: text }));
        assert_eq!(applied["spec"], plain["spec"]);
        // A file that `kubectl get -o yaml` has written carries an older one.
        assert_eq!(with_last_applied(&applied), Ok(applied.clone()));
        let noted = json!({ "metadata": { "name": "a", "annotations": { "team": "net" } } });
        let annotations = with_last_applied(&noted).unwrap()["metadata"]["annotations"].clone();
        assert_eq!(annotations["team"], "net");
        assert!(annotations[LAST_APPLIED].as_str().unwrap().contains("\"annotations\":{\"team\":\"net\"}"));
        let null = json!({ "metadata": { "name": "a", "annotations": null } });
        assert!(with_last_applied(&null).unwrap()["metadata"]["annotations"][LAST_APPLIED].is_string());
    }
}

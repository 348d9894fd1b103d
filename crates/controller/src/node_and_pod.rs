//! Converts Nodes and Pods to plain data. Only the fields that decisions use are kept.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use multi_eni_api::ids::InstanceId;
use multi_eni_api::names::STARTUP_TAINT;
use multi_eni_plan::observed::{NotOnEc2, ObservedNode, Unattachable};
use multi_eni_plan::pods::{self, ObservedPod};
use multi_eni_plan::string_map::StringMap;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// The fields of a Node that are read. The others, most of all its images, are far larger and are not even parsed.
#[derive(Debug, Clone, Serialize, Deserialize, Resource)]
#[resource(inherit = Node)]
pub struct NodeIdentity {
    /// Name, UID, version, labels and age; nothing else of it is kept.
    #[serde(deserialize_with = "kept_metadata")]
    pub metadata: ObjectMeta,
    /// The provider ID, which names the instance, and the taints.
    #[serde(default)]
    pub spec: NodeSpecFields,
    /// The boot. The rest of the status changes with each heartbeat, and is not parsed.
    #[serde(default)]
    pub status: NodeStatusFields,
}

/// Reads the metadata without `managedFields` and annotations: they are most of it, and each heartbeat brings them again.
fn kept_metadata<'de, D: Deserializer<'de>>(metadata: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kept {
        name: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
    }
    let Kept { name, uid, resource_version, labels, creation_timestamp, deletion_timestamp } =
        Kept::deserialize(metadata)?;
    let kept = ObjectMeta { name, uid, resource_version, labels, ..ObjectMeta::default() };
    Ok(ObjectMeta { creation_timestamp, deletion_timestamp, ..kept })
}

/// The fields of a Node's spec that are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpecFields {
    /// `spec.providerID`.
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    /// `spec.taints`, their keys only.
    #[serde(default)]
    pub taints: Vec<TaintKey>,
}

/// The fields of a Node's status that are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatusFields {
    /// `status.nodeInfo`.
    pub node_info: Option<NodeInfoFields>,
}

/// The field of `status.nodeInfo` that is read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NodeInfoFields {
    /// `bootID`; empty until the kubelet has reported it.
    #[serde(rename = "bootID")]
    pub boot_id: Option<Box<str>>,
}

/// The key of a taint. Its value and effect are not read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaintKey {
    /// `key`.
    #[serde(default)]
    pub key: String,
}

/// The taint of a Node that its cloud provider has not initialized: it has no providerID and no zone yet.
const UNINITIALIZED_TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// The taint of a Node that Karpenter has launched and not registered yet: it adds the labels of the NodePool when it does.
const UNREGISTERED_TAINT: &str = "karpenter.sh/unregistered";

/// The taint of a Node whose kubelet has not reported for a time: the cluster does not reach it.
const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";

/// Converts a Node.
pub fn node(object: &NodeIdentity) -> ObservedNode {
    let meta = &object.metadata;
    let labels: StringMap = meta.labels.iter().flatten().collect();
    let provider_id = object.spec.provider_id.as_deref().unwrap_or_default();
    let (zone, instance) = provider(provider_id);
    let taints = || object.spec.taints.iter().map(|taint| taint.key.as_str());
    ObservedNode {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        zone,
        instance_type: labels.get(TYPE_LABEL).map(str::to_owned),
        labels,
        instance,
        deleting: meta.deletion_timestamp.is_some(),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
        uninitialized: taints().any(|key| key == UNINITIALIZED_TAINT),
        unregistered: taints().any(|key| key == UNREGISTERED_TAINT),
        is_unreachable: taints().any(|key| key == UNREACHABLE_TAINT),
        boot_id: object.status.node_info.as_ref().and_then(|info| info.boot_id.clone()).filter(|id| !id.is_empty()),
        startup_taints: taints().enumerate().filter(|(_, key)| *key == STARTUP_TAINT).map(|(place, _)| place).collect(),
    }
}

/// Converts a Pod: the interfaces that it may use, by the annotation and by the resources that its containers request.
pub fn pod(object: &Pod, annotation: &str) -> ObservedPod {
    let meta = &object.metadata;
    let spec = object.spec.as_ref();
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
    let value = meta.annotations.as_ref().and_then(|annotations| annotations.get(annotation)).filter(|_| !has_ended);
    let containers =
        spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    // Extended resources have a domain in their name; cpu and memory have none.
    let extended = requests.flat_map(|requests| requests.keys()).filter(|name| name.contains('/') && !has_ended);
    ObservedPod {
        name: format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default()),
        uid: meta.uid.clone().unwrap_or_default(),
        node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        nodeenis: value.map(|value| pods::named(value)).unwrap_or_default(),
        resources: extended.cloned().collect::<BTreeSet<String>>(),
    }
}

/// Parses a provider ID `aws:///ZONE/INSTANCE`. Fargate, HyperPod and EKS Hybrid Nodes have provider IDs of other shapes.
fn provider(id: &str) -> (Option<String>, Result<InstanceId, NotOnEc2>) {
    if id.is_empty() {
        return (None, Err(NotOnEc2::NoProviderId));
    }
    let never = |why| (None, Err(NotOnEc2::Never(why)));
    let other = || NotOnEc2::Never(Unattachable::OtherProvider(id.to_owned()));
    if id.starts_with("eks-hybrid:") {
        return never(Unattachable::Hybrid);
    }
    let Some(path) = id.strip_prefix("aws://") else { return (None, Err(other())) };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [.., name] if name.starts_with("fargate-") => never(Unattachable::Fargate),
        [_, "sagemaker", ..] => never(Unattachable::HyperPod),
        [zone, instance] => (Some((*zone).to_owned()), InstanceId::parse(instance).map_err(|_| other())),
        [instance] => (None, InstanceId::parse(instance).map_err(|_| other())),
        _ => (None, Err(other())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_has_ended_uses_no_interface() {
        let mut object: Pod = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "upf", "namespace": "core", "annotations": { "example.com/enis": "fast" } },
            "spec": { "nodeName": "n1", "containers": [
                { "name": "c", "resources": { "requests": { "cpu": "1", "example.com/dpdk": "1" } } }] },
            "status": { "phase": "Running" },
        }))
        .unwrap();
        let observed = pod(&object, "example.com/enis");
        assert_eq!((observed.name.as_str(), observed.node.as_str()), ("core/upf", "n1"));
        assert!(observed.nodeenis.contains("fast") && observed.resources.iter().eq(["example.com/dpdk"]));
        assert!(pod(&object, "example.com/other").nodeenis.is_empty());
        object.status.as_mut().unwrap().phase = Some("Succeeded".into());
        assert!(!pod(&object, "example.com/enis").is_of_use());
    }

    #[test]
    fn of_the_metadata_of_a_node_only_what_decisions_use_is_kept() {
        let kept = serde_json::json!({
            "name": "n1", "uid": "u-1", "resourceVersion": "7", "labels": { "pool": "a" },
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
        });
        let mut shown = kept.clone();
        shown["annotations"] = serde_json::json!({ "node.alpha.kubernetes.io/ttl": "0" });
        shown["managedFields"] = serde_json::json!([{ "manager": "kubelet", "fieldsV1": { "f:status": {} } }]);
        let object: NodeIdentity = serde_json::from_value(serde_json::json!({ "metadata": shown })).unwrap();
        assert_eq!(serde_json::to_value(&object.metadata).unwrap(), kept);
    }

    #[test]
    fn the_taint_of_the_cloud_provider_makes_a_node_join_for_as_long_as_it_stands() {
        let mut object: NodeIdentity = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "n1", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "taints": [{ "key": UNINITIALIZED_TAINT, "value": "true", "effect": "NoSchedule" }] },
        }))
        .unwrap();
        assert_eq!(node(&object).joins_until(), Timestamp::MAX);
        object.spec.taints.clear();
        assert_eq!(node(&object).joins_until(), "2026-01-01T00:05:00Z".parse().unwrap());
    }

    #[test]
    fn a_heartbeat_changes_nothing_of_a_node_and_a_reboot_and_a_lost_kubelet_do() {
        let shown = |boot: &str, heartbeat: &str, taints: serde_json::Value| {
            let conditions = serde_json::json!([{ "type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat }]);
            let info = serde_json::json!({ "bootID": boot, "kernelVersion": heartbeat });
            let object: NodeIdentity = serde_json::from_value(serde_json::json!({
                "metadata": { "name": "n1", "resourceVersion": heartbeat },
                "spec": { "taints": taints },
                "status": { "conditions": conditions, "nodeInfo": info, "images": [{ "names": ["a"] }] },
            }))
            .unwrap();
            node(&object)
        };
        let first = shown("b-1", "1", serde_json::json!([]));
        assert_eq!(first.boot_id.as_deref(), Some("b-1"));
        assert_eq!(first, shown("b-1", "2", serde_json::json!([])));
        assert_ne!(first, shown("b-2", "3", serde_json::json!([])));
        assert_eq!(shown("", "1", serde_json::json!([])).boot_id, None);
        let lost = shown("b-1", "4", serde_json::json!([{ "key": UNREACHABLE_TAINT, "effect": "NoExecute" }]));
        assert!(lost.is_unreachable && !first.is_unreachable);
        let bare: NodeIdentity = serde_json::from_value(serde_json::json!({ "metadata": { "name": "n1" } })).unwrap();
        assert_eq!(node(&bare).boot_id, None);
    }

    #[test]
    fn provider_ids_of_ec2_and_of_others() {
        let (zone, instance) = provider("aws:///eu-west-1a/i-0123456789abcdef0");
        assert_eq!((zone.as_deref(), instance.unwrap().as_str()), (Some("eu-west-1a"), "i-0123456789abcdef0"));
        let never = |id: &str| match provider(id).1 {
            Err(NotOnEc2::Never(why)) => why,
            other => panic!("{id}: {other:?}"),
        };
        for bad in ["gce://p/z/n", "aws:///eu-west-1a/i-nonsense", "aws:///a/b/c/d"] {
            assert_eq!(never(bad), Unattachable::OtherProvider(bad.into()));
        }
        assert_eq!(never("aws:///us-west-2a/8c6e6b5f2a/fargate-ip-10-0-0-1.compute.internal"), Unattachable::Fargate);
        assert_eq!(never("eks-hybrid:///eu-west-1/c1/mi-0123456789abcdef0"), Unattachable::Hybrid);
        let hyperpod = "aws:///usw2-az2/sagemaker/cluster/hyperpod-0abc-i-0123456789abcdef0";
        assert_eq!(never(hyperpod), Unattachable::HyperPod);
        assert_eq!(provider("").1, Err(NotOnEc2::NoProviderId));
    }
}

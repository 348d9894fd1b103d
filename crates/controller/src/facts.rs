//! Nodes into facts: only the fields that decisions use are kept.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use multi_eni_api::ids::InstanceId;
use multi_eni_plan::facts::{NodeFacts, NotOnEc2};

const TYPE_LABEL: &str = "node.kubernetes.io/instance-type";
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// Reads a Node.
pub fn node(object: &Node) -> NodeFacts {
    let meta = &object.metadata;
    let labels = meta.labels.clone().unwrap_or_default();
    let provider_id = object.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).unwrap_or_default();
    let (zone, instance) = provider(provider_id);
    NodeFacts {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        zone: labels.get(ZONE_LABEL).cloned().or(zone),
        instance_type: labels.get(TYPE_LABEL).cloned(),
        labels,
        instance,
        deleting: meta.deletion_timestamp.is_some(),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
    }
}

/// `aws:///ZONE/INSTANCE`; Fargate has more parts and no instance ID at the end.
fn provider(id: &str) -> (Option<String>, Result<InstanceId, NotOnEc2>) {
    if id.is_empty() {
        return (None, Err(NotOnEc2::NoProviderId));
    }
    let other = || NotOnEc2::OtherProvider(id.to_owned());
    let Some(path) = id.strip_prefix("aws://") else { return (None, Err(other())) };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [zone, instance] => (Some((*zone).to_owned()), InstanceId::parse(instance).map_err(|_| other())),
        [instance] => (None, InstanceId::parse(instance).map_err(|_| other())),
        _ => (None, Err(other())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_ids_of_ec2_and_of_others() {
        let (zone, instance) = provider("aws:///eu-west-1a/i-0123456789abcdef0");
        assert_eq!((zone.as_deref(), instance.unwrap().as_str()), (Some("eu-west-1a"), "i-0123456789abcdef0"));
        for bad in ["gce://p/z/n", "aws:///eu-west-1a/fargate-ip-10-0-0-1", "eks-hybrid:///x", "aws:///a/b/c/d"] {
            assert_eq!(provider(bad).1, Err(NotOnEc2::OtherProvider(bad.into())));
        }
        assert_eq!(provider("").1, Err(NotOnEc2::NoProviderId));
    }
}

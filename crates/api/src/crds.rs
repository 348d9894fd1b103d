//! The CRDs, generated from the types of this crate.

use crate::{ENIAttachment, NodeENI};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Both CRDs, in the order in which the chart has them.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![NodeENI::crd(), ENIAttachment::crd()]
}

/// Both CRDs as one YAML stream, as `multi-eni crds` prints them and the chart contains them.
///
/// # Errors
/// If a CRD cannot be written as YAML, which would be a defect of this crate.
pub fn yaml() -> Result<String, serde_yaml::Error> {
    let mut out = String::new();
    for crd in all() {
        out.push_str("---\n");
        out.push_str(&serde_yaml::to_string(&crd)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_chart_ships_these() {
        let shipped = include_str!("../../../charts/multi-eni/crds/networking.k8s.aws.yaml");
        assert!(shipped == super::yaml().unwrap(), "the chart's CRDs differ from the code: run tools/update-crds");
    }

    #[test]
    fn both_crds_are_structural_enough_to_print() {
        let yaml = super::yaml().unwrap();
        assert!(
            yaml.contains("name: nodeenis.networking.k8s.aws")
                && yaml.contains("name: eniattachments.networking.k8s.aws")
        );
        assert!(yaml.contains("x-kubernetes-list-type: map"));
    }
}

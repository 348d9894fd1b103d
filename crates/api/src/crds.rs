//! The CRDs, generated from the types of this crate.

use crate::{ENIAttachment, NodeENI};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Both CRDs, in the order in which the chart has them.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![labelled(NodeENI::crd()), labelled(ENIAttachment::crd())]
}

/// The CRD with the recommended labels. `helm upgrade` does not change CRDs, so the version shows which release they are from.
fn labelled(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let labels = [
        ("app.kubernetes.io/name", "multi-eni"),
        ("app.kubernetes.io/part-of", "multi-eni"),
        ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
    ];
    crd.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    crd
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
    use serde_json::Value;

    /// The path and the schema of each list.
    fn lists<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        if schema["type"] == "array" {
            found.push((path.to_owned(), schema));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            lists(&format!("{path}.{name}"), field, found);
        }
        for below in [&schema["items"], &schema["additionalProperties"]] {
            if below.is_object() {
                lists(&format!("{path}[]"), below, found);
            }
        }
    }

    /// Conditions have two writers and merge by type. The order of the other lists matters or they have one writer, and duplicates
    /// in them are stored already, so they are atomic: `set` would refuse these.
    #[test]
    fn each_list_says_how_it_merges() {
        for crd in super::all() {
            let crd = serde_json::to_value(crd).unwrap();
            let mut found = Vec::new();
            lists("", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
            assert!(found.len() >= 6, "{found:?}");
            for (path, list) in found {
                let expected = if path == ".status.conditions" { "map" } else { "atomic" };
                assert_eq!(list["x-kubernetes-list-type"], expected, "{path}");
            }
        }
    }

    #[test]
    fn both_crds_have_labels_and_the_category() {
        for crd in super::all() {
            assert_eq!(crd.spec.names.categories, Some(vec!["multi-eni".to_owned()]));
            let labels = crd.metadata.labels.unwrap();
            assert_eq!(labels["app.kubernetes.io/part-of"], "multi-eni");
            assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
        }
    }

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

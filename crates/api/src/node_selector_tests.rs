//! Which labels the schema accepts in `nodeSelector`: those that a Node can have, and no others.

use crate::NodeENI;
use kube::CustomResourceExt;
use kube_cel::{Validator, compile_schema};
use serde_json::{Value, json};

/// The messages with which the rules of the schema refuse this nodeSelector.
fn refusals(selector: &Value) -> Vec<String> {
    let crd = serde_json::to_value(NodeENI::crd()).unwrap();
    let schema = compile_schema(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    let object = json!({
        "apiVersion": "networking.k8s.aws/v1alpha1",
        "kind": "NodeENI",
        "metadata": {"name": "a"},
        "spec": {"subnetID": "subnet-0f59b4f14737be9ad", "deviceIndex": 1, "nodeSelector": selector},
    });
    let refused = Validator::new().validate_compiled(&schema, &object, None);
    refused.err().into_iter().flatten().map(|refusal| refusal.message).collect()
}

#[test]
fn labels_that_a_node_can_have_are_accepted() {
    let longest_key = format!("{}/{}", "a".repeat(253), "b".repeat(63));
    for selector in [
        json!({"ng": "multi-eni"}),
        json!({"node-role.kubernetes.io/worker": ""}),
        json!({"topology.kubernetes.io/zone": "us-west-2a", "example.com/Pool_1.a-b": "A1_b.c-d"}),
        json!({longest_key: "c".repeat(63)}),
    ] {
        assert_eq!(refusals(&selector), Vec::<String>::new(), "{selector}");
    }
}

#[test]
fn labels_that_no_node_can_have_are_refused() {
    let message = "nodeSelector must have label keys such as example.com/pool and label values such as storage-1";
    let long_name = "b".repeat(64);
    for key in ["bad key!", "-a", "a-", "/a", "a/", "a/b/c", "Example.com/a", long_name.as_str()] {
        assert_eq!(refusals(&json!({"ng": "multi-eni", key: "b"})), [message], "{key}");
    }
    for value in ["bad value!", "-a", "a-", long_name.as_str()] {
        assert_eq!(refusals(&json!({"ng": value})), [message], "{value}");
    }
}

//! The stored words of the policy are those of the schema.

use crate::DeviceIndexPolicy;
use crate::NodeENI;
use kube::CustomResourceExt;
use serde_json::json;

#[test]
fn the_schema_permits_exactly_the_words_of_the_type() {
    let words = [DeviceIndexPolicy::Exact, DeviceIndexPolicy::HighestFree].map(|policy| json!(policy));
    let crd = serde_json::to_value(NodeENI::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    assert_eq!(schema["deviceIndexPolicy"]["enum"], json!(words));
    assert_eq!(schema["deviceIndexPolicy"]["type"], "string");
}

//! Generates the table of docs/reference/nodeeni.md from the CRD. `MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-api` writes
//! it.

use crate::NodeENI;
use kube::CustomResourceExt;
use serde_json::Value;
use std::fmt::Write as _;

const BEGIN: &str = "<!-- the table is made from the CRD: MULTI_ENI_UPDATE_DOCS=1 cargo test -p multi-eni-api -->\n";

/// The effect of a change of each field on existing ENIs.
const CHANGE: &[(&str, &str)] = &[
    ("connectionTracking.tcpEstablishedTimeoutSeconds", TIMEOUT),
    ("connectionTracking.udpStreamTimeoutSeconds", TIMEOUT),
    ("connectionTracking.udpTimeoutSeconds", TIMEOUT),
    ("deleteOnTermination", IN_PLACE),
    ("description", "in place; if it is removed from the spec, the old description stays"),
    ("deviceIndex", REPLACED),
    (
        "deviceIndexPolicy",
        "to `highestFree`: no ENI in use changes its index; to `exact`: the ENIs at another index are replaced, at most \
         `rollout.maxUnavailable` nodes at a time",
    ),
    ("dpdkDriver", NODE),
    ("dpdkPCIAddress", NODE),
    ("dpdkResourceName", NODE),
    ("enableDPDK", NODE),
    ("interfaceType", "nothing: `interface` is the only one"),
    ("ipv4PrefixCount", REPLACED),
    ("ipv6AddressCount", REPLACED),
    ("ipv6PrefixCount", REPLACED),
    ("mtu", NODE),
    ("networkCardIndex", REPLACED),
    ("nodeConfig.interfaceName", NODE),
    ("nodeConfig.mode", NODE),
    ("nodeConfig.routes", NODE),
    ("nodeSelector", SELECTION),
    ("nodeSelectorTerms", SELECTION),
    ("privateIPCount", REPLACED),
    ("rollout.maxRemovals", "applies to the next removals"),
    ("rollout.maxUnavailable", "applies to the next replacements"),
    ("securityGroupIDs", "in place; if no group is left, the old groups stay"),
    ("securityGroupNames", "in place; if no group is left, the old groups stay"),
    (
        "securityGroupSelectorTerms",
        "in place, also when the tags of security groups change; if no group matches, the old groups stay",
    ),
    ("sourceDestCheck", IN_PLACE),
    ("subnetID", SUBNETS),
    ("subnetIDs", SUBNETS),
    ("subnetName", SUBNETS),
    ("subnetNames", SUBNETS),
    (
        "subnetSelectorTerms",
        "an ENI whose subnet no term matches any more is replaced, at most `rollout.maxUnavailable` nodes at a time, or removed if \
         only subnets of other zones match; if no subnet at all matches, all ENIs stay",
    ),
    ("tags", "in place; a tag that is removed here is removed from the ENI"),
];
const SELECTION: &str = "nodes that match now get ENIs; nodes that no longer match lose their ENIs after the label grace, or \
                         when the pods that use them have ended if the controller waits for pods";
const IN_PLACE: &str = "in place";
const TIMEOUT: &str = "in place; if it is removed from the spec, the old value stays";
const REPLACED: &str = "the ENIs are replaced, at most `rollout.maxUnavailable` nodes at a time";
const NODE: &str = "copied to the ENIAttachment (`spec.nodeSettings`) for the node agent; no EC2 call";
const SUBNETS: &str = "a subnet of the zone is added: one more ENI; it is removed: its ENI is removed; another subnet or \
                       another order: the ENIs are replaced, at most `rollout.maxUnavailable` nodes at a time";

/// All fields in the order of their names: the dotted name and the schema.
fn fields(schema: &Value, prefix: &str, required: &mut Vec<String>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        if field["properties"].is_object() {
            found.extend(fields(field, &format!("{name}."), required));
        } else {
            found.push((name, field.clone()));
        }
    }
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    found
}

/// The bounds of a field: the messages of its rules, and the limits of the schema that have no message.
fn bounds(field: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
        words.extend(rule["message"].as_str().map(str::to_owned));
    }
    for (key, what) in [("maxItems", "entries"), ("maxProperties", "keys")] {
        words.extend(field[key].as_i64().map(|most| format!("at most {most} {what}")));
    }
    // A length in the schema limits the cost of a rule. If the field has rules, their messages state the real limit.
    if field["x-kubernetes-validations"].is_null() {
        words.extend(field["maxLength"].as_i64().map(|most| format!("at most {most} characters")));
    }
    for inner in [&field["items"], &field["additionalProperties"]] {
        words.extend(inner["maxLength"].as_i64().map(|most| format!("each at most {most} characters")));
    }
    words.join("; ").replace('|', "\\|")
}

fn kind(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or percentage".to_owned();
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}s", field["items"]["type"].as_str().unwrap_or("value")),
        Some("object") if field["additionalProperties"]["type"] == "string" => "map of strings".to_owned(),
        other => other.unwrap_or("object").to_owned(),
    }
}

/// The messages of the rules about several fields: those of the object and of the objects in it.
fn across(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let own = rules.map(|rule| rule["message"].as_str().unwrap().to_owned());
    let inner = schema["properties"].as_object().into_iter().flatten().map(|(_, field)| field);
    own.chain(inner.filter(|field| field["properties"].is_object()).flat_map(across)).collect()
}

fn table() -> String {
    let crd = serde_json::to_value(NodeENI::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut required = Vec::new();
    let fields = fields(schema, "", &mut required);
    let mut out = "| field | what | default | bounds | a change |\n|---|---|---|---|---|\n".to_owned();
    for (name, field) in &fields {
        let (_, change) = CHANGE
            .iter()
            .find(|(field, _)| field == name)
            .unwrap_or_else(|| panic!("{name} is new: add a row that says what a change of it does"));
        let default = match &field["default"] {
            Value::Null if required.contains(name) => "required".to_owned(),
            Value::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        let what = field["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(
            out,
            "| `{name}`: {} | {} | {default} | {} | {change} |",
            kind(field),
            what.replace('|', "\\|"),
            bounds(field)
        )
        .unwrap();
    }
    assert_eq!(fields.len(), CHANGE.len(), "CHANGE has a row for a field that does not exist");
    out.push_str("\nAnd for the whole spec:\n\n");
    across(schema).iter().for_each(|message| writeln!(out, "- {message}").unwrap());
    out
}

#[test]
fn the_reference_has_every_field_as_the_crd_has_it() {
    multi_eni_generated_docs::compare_or_write("docs/reference/nodeeni.md", BEGIN, &table()).unwrap();
}

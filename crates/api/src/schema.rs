//! Parts of the schema that schemars cannot derive.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Conditions as a list map by their type, for server-side apply.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut condition = generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>();
    condition.remove("description");
    json_schema!({
        "type": "array",
        "description": "Conditions, at most one of each type.",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// An object with any content. With `additionalProperties: true` beside preserve-unknown-fields the API server would prune
/// everything below the first level.
pub fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A policy of the device index, or nothing.
pub fn device_index_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["exact", "highestFree"], "nullable": true })
}

/// A mode of the node agent, or nothing.
pub fn node_mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["none", "link", "addresses"], "nullable": true })
}

/// A route table of the node, or nothing.
pub fn route_table(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["own", "main"], "nullable": true })
}

/// A number or a percentage, as in a Deployment's `maxUnavailable`. The length limits the cost of the rules, and is longer than each
/// value that they permit: the API server evaluates no rule of a text that is too long.
pub fn int_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 64 })
}

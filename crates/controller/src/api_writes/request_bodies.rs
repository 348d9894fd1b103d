//! The parts of which the bodies of writes are made: metadata with a precondition, owner references, differences of settings and the
//! parameters of requests. It sends nothing.

use jiff::Unit;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::api::{PatchParams, PostParams};
use multi_eni_api::EniAttachmentStatus;
use multi_eni_api::conditions::types;
use multi_eni_api::names::{FIELD_MANAGER, GROUP, VERSION};
use serde_json::{Value, json};

/// The owner reference of an ENIAttachment to its NodeENI.
pub(super) fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: "NodeENI".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// A time in whole seconds, as the API server keeps times.
pub(super) fn whole_seconds(at: jiff::Timestamp) -> Time {
    Time(at.round(Unit::Second).unwrap_or(at))
}

/// The UID and version that the object must still have.
pub(super) fn precondition(uid: &str, version: &str) -> Value {
    json!({ "uid": uid, "resourceVersion": version })
}

/// The merge patch (RFC 7386) from `old` to `new`: a key that `new` lacks is null.
pub(super) fn difference(old: &Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(mut new)) => {
            for (key, was) in old {
                let is = new.remove(key).map_or(Value::Null, |is| difference(was, is));
                new.insert(key.clone(), is);
            }
            Value::Object(new)
        }
        (_, new) => new,
    }
}

/// The node agent writes its part with a field manager of its own. A copy of it here would make it the controller's, and old.
pub(super) fn without_the_agents_part(mut status: EniAttachmentStatus) -> EniAttachmentStatus {
    status.node = None;
    status.conditions.retain(|condition| condition.type_ != types::CONFIGURED);
    status
}

/// Creates as the controller.
pub(super) fn post() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

/// Applies as the controller, also what another manager has written.
pub(super) fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::conditions::{self, ConditionUpdate};

    #[test]
    fn the_controller_does_not_write_what_the_node_agent_reports() {
        let mut status = EniAttachmentStatus { node: Some(Box::default()), ..EniAttachmentStatus::default() };
        for kind in [types::CONFIGURED, types::READY] {
            let update = ConditionUpdate::new(kind, true, "Done", "done");
            conditions::set(&mut status.conditions, update, None, jiff::Timestamp::UNIX_EPOCH);
        }
        let written = without_the_agents_part(status);
        assert_eq!(written.node, None);
        let kinds: Vec<&str> = written.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(kinds, [types::READY]);
    }

    #[test]
    fn a_difference_has_null_for_each_missing_key_at_every_depth() {
        let old = json!({ "mtu": 9001, "nodeConfig": { "routes": { "a": 1, "b": 2 }, "kept": true } });
        let new = json!({ "dpdkDriver": "vfio-pci", "nodeConfig": { "routes": { "b": 3 }, "kept": true } });
        let expected = json!({ "mtu": null, "dpdkDriver": "vfio-pci",
            "nodeConfig": { "routes": { "a": null, "b": 3 }, "kept": true } });
        assert_eq!(difference(&old, new), expected);
        assert_eq!(difference(&json!({ "nodeConfig": { "a": 1 } }), json!({})), json!({ "nodeConfig": null }));
    }
}

//! Adds the NodeENIs of a file to the store, as if they had been applied. The API server validates them by a dry run, so its own
//! schema, defaults and admission decide. Nothing is stored in the cluster.

use super::cluster::{as_if_guarded, is_not_found};
use crate::cli::api_error::{Command, is_right_missing, said, with_url_advice};
use crate::cli::missing_kind;
use crate::nodeeni_values;
use crate::store::{NodeEniEntry, Store};
use crate::watch::{Change, Watched};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::{Api, Client};
use multi_eni_api::NodeENI;
use multi_eni_plan::unknown_fields::unknown_fields;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The field manager of a dry run.
const FIELD_MANAGER: &str = "multi-eni-plan";

/// Adds the NodeENIs to the store. Returns those that the API server would refuse, by name, with its message.
pub(in crate::cli) async fn apply_to_store(
    kube: &Client,
    store: &mut Store,
    objects: Vec<Value>,
) -> Result<BTreeMap<String, String>, String> {
    let now = jiff::Timestamp::now();
    let mut refused = BTreeMap::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let plain = nodeeni_values::sentences(&object);
        match dry_run(kube, &name, object).await? {
            Ok(taken) => {
                let entry = as_if_guarded(applied(store, taken, now));
                store.take(Change::NodeEni(Watched::Apply(entry.into())));
            }
            Err(message) => drop(refused.insert(name, refusal(&plain, &message))),
        }
    }
    Ok(refused)
}

/// Why the API server would refuse a NodeENI. `plain`: what its message does not say plainly.
fn refusal(plain: &[String], message: &str) -> String {
    match plain {
        [] => match unknown_fields(message).as_slice() {
            [] => format!("would be refused: {message}"),
            [field] => format!("would be refused: unknown field {field}"),
            fields => format!("would be refused: unknown fields {}", fields.join(", ")),
        },
        [..] => format!("would be refused: {}. The API server's message: {message}", plain.join("; ")),
    }
}

/// The object as the API server would store it, with its defaults, or the API server's message. The API server runs its schema and
/// its admission and stores nothing.
async fn dry_run(kube: &Client, name: &str, object: Value) -> Result<Result<NodeENI, String>, String> {
    let api: Api<DynamicObject> = Api::all_with(kube.clone(), &ApiResource::erase::<NodeENI>(&()));
    let params =
        PatchParams { dry_run: true, field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let there = api.get_opt(name).await.map_err(|error| cannot("get", name, &error))?;
    let answer = match there {
        None => {
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..params };
            api.patch(name, &params, &Patch::Apply(&object)).await
        }
        Some(there) => api.patch(name, &params, &Patch::<Value>::Json(replacement(&there, &object)?)).await,
    };
    match answer {
        Ok(taken) => match taken.try_parse() {
            Ok(taken) => Ok(Ok(taken)),
            Err(error) => Ok(Err(error.to_string())),
        },
        Err(error) if is_not_found(&error) && is_without_crd(kube, &cannot("patch", name, &error)).await? => {
            eprintln!(
                "Warning: NodeENI {name} is not validated: the CRDs are not installed. To install them: \
                 multi-eni crds | kubectl apply -f -"
            );
            Ok(serde_json::from_value(object).map_err(|error| error.to_string()))
        }
        Err(error @ kube::Error::Api(_)) if is_forbidden(&error) => Err(cannot("patch", name, &error)),
        Err(kube::Error::Api(status)) => Ok(Err(status.message)),
        Err(error) => Err(cannot("patch", name, &error)),
    }
}

/// After an answer 404: whether the CRD is missing. `said`: the failure of the request.
async fn is_without_crd(kube: &Client, said: &str) -> Result<bool, String> {
    let missing = missing_kind::is_missing(Command::Plan, kube, "nodeenis").await;
    missing.map_err(|why| with_url_advice(said, &why))
}

/// The JSON patch that replaces the spec and sets the labels and annotations of the file. Other labels and annotations stay.
fn replacement(there: &DynamicObject, object: &Value) -> Result<json_patch::Patch, String> {
    let merged = |before: &Option<BTreeMap<String, String>>, key: &str| {
        let mut all = before.clone().unwrap_or_default();
        let set = object["metadata"][key].as_object().into_iter().flatten();
        all.extend(set.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
        all
    };
    let operations = json!([
        { "op": "add", "path": "/spec", "value": object["spec"] },
        { "op": "add", "path": "/metadata/labels", "value": merged(&there.metadata.labels, "labels") },
        { "op": "add", "path": "/metadata/annotations", "value": merged(&there.metadata.annotations, "annotations") },
    ]);
    serde_json::from_value(operations).map_err(|error| error.to_string())
}

/// The API server refuses the request itself: it says nothing about the object.
fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 401) || is_right_missing(error)
}

/// Why a NodeENI of the file cannot be validated.
fn cannot(verb: &str, name: &str, error: &kube::Error) -> String {
    said(Command::Plan, &format!("{verb} NodeENI {name} to validate it by a dry run"), error)
}

/// The object as it would be in the cluster. An existing NodeENI keeps its identity and its status.
fn applied(store: &Store, mut object: NodeENI, now: jiff::Timestamp) -> NodeEniEntry {
    let name = object.metadata.name.clone().unwrap_or_default();
    match store.nodeeni(&name) {
        Some(there) => {
            let nodeeni = &there.nodeeni;
            object.metadata.uid = Some(nodeeni.uid.clone());
            object.metadata.generation = Some(nodeeni.generation.saturating_add(1));
            object.metadata.creation_timestamp = Some(Time(nodeeni.created));
            object.metadata.deletion_timestamp = nodeeni.deleting.then_some(Time(now));
            object.metadata.finalizers = Some(there.finalizers.clone());
            object.status = Some(there.status.clone());
            object.metadata.resource_version = Some(there.version.clone());
        }
        None => {
            object.metadata.creation_timestamp = Some(Time(now));
            // Without the CRDs no API server has given it a UID, and the decisions tell NodeENIs apart by it.
            object.metadata.uid.get_or_insert_with(|| format!("planned-{name}"));
        }
    }
    NodeEniEntry::read(&Ok(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_begins_with_what_the_api_server_does_not_say_plainly() {
        let plain = ["spec.deviceIndex is 18446744073709551615, and its maximum is 2147483647".to_owned()];
        let words = refusal(&plain, "NodeENI a is invalid");
        assert!(words.starts_with("would be refused: spec.deviceIndex is 18446744073709551615, and"), "{words}");
        assert!(words.ends_with("The API server's message: NodeENI a is invalid"), "{words}");
        assert_eq!(refusal(&[], "no"), "would be refused: no");
        let unknown = "strict decoding error: unknown field \"spec.a\"";
        assert_eq!(refusal(&[], unknown), "would be refused: unknown field spec.a");
        let unknown = format!("{unknown}, unknown field \"spec.b\"");
        assert_eq!(refusal(&[], &unknown), "would be refused: unknown fields spec.a, spec.b");
    }

    #[test]
    fn nodeenis_that_no_api_server_has_seen_have_different_uids() {
        let uid = |name: &str| {
            let object = NodeENI::new(name, multi_eni_api::NodeEniSpec::default());
            applied(&Store::default(), object, jiff::Timestamp::UNIX_EPOCH).nodeeni.uid
        };
        assert_ne!(uid("a"), uid("b"));
    }
}

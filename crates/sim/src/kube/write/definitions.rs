//! Writes with their consequences for CustomResourceDefinitions.
//!
//! The server establishes and serves a CRD once it is written. The deletion of a CRD first deletes the objects of its resource,
//! and the CRD is removed with the last of them.
//! Both consequences are writes themselves, so they are in one file with the functions that cause them.

use serde_json::{Value, json};

use super::{
    options::{Deleted, Edit, Preconditions, Target, WriteOptions, Written},
    store,
};
use crate::kube::{
    crd::{self, FINALIZER, is_crd, text_at},
    metadata,
    resource::{GroupResource, Resource},
    state::State,
    status::StatusError,
};

/// POST: creates an object.
pub fn create(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    body: Value,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let written = store::create(state, res, namespace, body, options)?;
    Ok(with_consequences(state, res, namespace, written))
}

/// PUT, PATCH and apply: changes an object, or creates one where the request allows that.
pub fn update(
    state: &mut State,
    target: &Target<'_>,
    edit: Edit,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let written = store::update(state, target, edit, options)?;
    Ok(with_consequences(state, target.res, target.namespace, written))
}

/// DELETE of one object.
pub fn delete(
    state: &mut State,
    target: &Target<'_>,
    preconditions: &Preconditions,
    dry_run: bool,
) -> Result<Deleted, StatusError> {
    let (deleted, stored) = store::delete(state, target, preconditions, dry_run)?;
    if stored {
        after_delete(state, target.res, target.name);
    }
    Ok(deleted)
}

/// Applies the consequences of a write. The result has the object as it is stored after them.
fn with_consequences(state: &mut State, res: &Resource, namespace: &str, mut written: Written) -> Written {
    if written.stored {
        let name = metadata::text(&written.object, "name").to_owned();
        after_write(state, res, &name);
        if let Some(stored) = state.storage.get(&res.storage, &(namespace.to_owned(), name)) {
            written.object = stored.object.clone();
        }
    }
    written
}

/// After a create or update: establishes and serves a CRD. If finalizers were removed from the last object of a terminating
/// CRD, removes the CRD.
fn after_write(state: &mut State, res: &Resource, name: &str) {
    if !is_crd(res) {
        return after_delete(state, res, name);
    }
    let key = (String::new(), name.to_owned());
    let Some(definition) = state.storage.get(&crd::storage(), &key).map(|s| s.object.clone()) else {
        return unserve(state, name);
    };
    if metadata::is_terminating(&definition) {
        return after_delete(state, res, name);
    }
    let Ok(resources) = crd::resources(&definition) else {
        return;
    };
    let group = text_at(&definition, "/spec/group");
    state.unregister(&GroupResource::new(group, text_at(&definition, "/spec/names/plural")));
    resources.into_iter().for_each(|r| state.register(r));
    if definition.pointer("/status/conditions").is_some()
        && definition.pointer("/status/acceptedNames") == definition.pointer("/spec/names")
    {
        return;
    }
    let now = state.now();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now });
    let mut object = Value::clone(&definition);
    let stored = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let stored: Vec<&str> = stored
        .filter(|v| v.get("storage").and_then(Value::as_bool) == Some(true))
        .map(|v| text_at(v, "/name"))
        .collect();
    if let Some(map) = object.as_object_mut() {
        let status = json!({
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "acceptedNames": definition.pointer("/spec/names"),
            "storedVersions": stored,
        });
        map.insert("status".into(), status);
    }
    let options = WriteOptions { status: true, ..WriteOptions::new("kube-apiserver") };
    // The update cannot fail: the CRD was just stored, and no rule concerns its status.
    let _ = update(state, &Target { res, namespace: "", name }, Edit::Replace(object), &options);
}

/// After a deletion: deletes the objects of a terminating CRD, and the CRD itself once no object is left.
fn after_delete(state: &mut State, res: &Resource, name: &str) {
    let crd_name = if is_crd(res) {
        name.to_owned()
    } else if res.custom {
        res.storage.to_string()
    } else {
        return;
    };
    let key = (String::new(), crd_name.clone());
    let Some(definition) = state.storage.get(&crd::storage(), &key).map(|s| s.object.clone()) else {
        return;
    };
    if !metadata::is_terminating(&definition) || !metadata::finalizers(&definition).contains(&FINALIZER) {
        return;
    }
    let custom = GroupResource::new(text_at(&definition, "/spec/group"), text_at(&definition, "/spec/names/plural"));
    if is_crd(res)
        && let Some(served) = state.any_version(&custom)
    {
        let keys: Vec<_> = state.storage.objects(&custom).map(|(key, _)| key.clone()).collect();
        for (namespace, name) in keys {
            let target = Target { res: &served, namespace: &namespace, name: &name };
            let _ = delete(state, &target, &Preconditions::default(), false);
        }
    }
    if state.storage.objects(&custom).next().is_some() {
        return;
    }
    // The deletion of the last object may have removed the CRD already.
    let Some(definition) = state.storage.get(&crd::storage(), &key).map(|s| s.object.clone()) else {
        return;
    };
    let mut object = Value::clone(&definition);
    let rest: Vec<&str> = metadata::finalizers(&definition).into_iter().filter(|f| *f != FINALIZER).collect();
    metadata::set(&mut object, "finalizers", json!(rest));
    if let Some(definitions) = state.any_version(&crd::storage()) {
        let options = WriteOptions::new("kube-apiserver");
        let target = Target { res: &definitions, namespace: "", name: &crd_name };
        let _ = update(state, &target, Edit::Replace(object), &options);
    }
}

/// Stops serving the custom resource of a CRD that is gone, and drops its objects.
fn unserve(state: &mut State, name: &str) {
    let Some((plural, group)) = name.split_once('.') else {
        return;
    };
    let custom = GroupResource::new(group, plural);
    state.unregister(&custom);
    state.storage.drop_collection(&custom);
}

//! The write of one object: create, replace, patch, apply and delete, up to the storage.
//!
//! A write is checked, merged with the stored object, admitted and stored with its field ownership. Consequences for other
//! objects are in `definitions`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::options::{Deleted, Edit, Preconditions, Target, WriteOptions, Written};
use crate::kube::{
    builtin,
    cause::Cause,
    crd, events, metadata,
    ownership::{self, Applier, ManagerKey, Managers, Operation},
    prepare::{self, Admitted},
    resource::Resource,
    state::State,
    status::StatusError,
    storage::{Key, Stored},
};

/// POST: creates an object.
pub fn create(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    body: Value,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    insert(state, (res, namespace), body, options, Operation::Update)
}

fn insert(
    state: &mut State,
    (res, namespace): (&Resource, &str),
    mut object: Value,
    options: &WriteOptions,
    operation: Operation,
) -> Result<Written, StatusError> {
    prepare::check_type(res, &object)?;
    if res.namespaced && !state.has_namespace(namespace) {
        return Err(match state.resource("", "v1", "namespaces") {
            Some(namespaces) => StatusError::not_found(&namespaces, namespace),
            None => StatusError::no_such_path(),
        });
    }
    let versioned = operation == Operation::Update && !metadata::text(&object, "resourceVersion").is_empty();
    prepare::place(res, namespace, &mut object)?;
    let generated = metadata::text(&object, "generateName").to_owned();
    if metadata::text(&object, "name").is_empty() {
        if generated.is_empty() {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(StatusError::invalid(&res.kind, &res.group, "", &[cause]));
        }
        let suffix = state.name_suffix();
        metadata::set(&mut object, "name", json!(format!("{generated}{suffix}")));
    }
    let name = metadata::text(&object, "name").to_owned();
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "resourceVersion", "selfLink"] {
        metadata::set(&mut object, field, Value::Null);
    }
    let (uid, now) = (state.new_uid(), state.now());
    metadata::set(&mut object, "uid", json!(uid));
    metadata::set(&mut object, "creationTimestamp", json!(now));
    metadata::set(&mut object, "generation", if res.generation { json!(1) } else { Value::Null });
    if res.custom
        && res.status
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    if operation == Operation::Apply {
        prepare::declared_fields(res, &mut object)?;
    }
    // An applier owns the fields of its configuration, not the defaulted ones.
    let config = (operation == Operation::Apply).then(|| object.clone());
    let Admitted { object, warnings } = prepare::admit(state, res, prepare::with_type(object, res), None, options)?;
    if versioned {
        return Err(StatusError::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    let key: Key = (namespace.to_owned(), name.clone());
    if let Some(existing) = state.storage.get(&res.storage, &key) {
        let mut error = StatusError::already_exists(res, &name);
        if metadata::is_terminating(&existing.object) {
            error.message = format!("object is being deleted: {}", error.message);
        }
        return Err(error);
    }
    let empty = builtin::zero(res);
    let api_version = res.api_version();
    let applier = applier(res, (&api_version, &now), options, operation);
    let no_managers = Arc::new(Managers::default());
    let managers = match operation {
        Operation::Update => ownership::record_update(empty, &object, &no_managers, &applier),
        Operation::Apply => {
            let config = config.as_ref().unwrap_or(&object);
            ownership::apply(empty, &no_managers, config, &applier).map(|applied| applied.managers).unwrap_or_default()
        }
    };
    let object = commit(state, (res, &key), object, managers, options.dry_run);
    Ok(Written { object, created: true, stored: !options.dry_run, warnings })
}

/// PUT, PATCH and apply: changes an object, or creates one where the request allows that.
pub fn update(
    state: &mut State,
    target: &Target<'_>,
    edit: Edit,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let Target { res, namespace, name } = *target;
    let key: Key = (namespace.to_owned(), name.to_owned());
    let Some(live) = state.storage.get(&res.storage, &key).cloned() else {
        return match edit {
            Edit::Replace(object) if res.create_on_update && !options.status => {
                prepare::named(&object, name)?;
                create(state, res, namespace, object, options)
            }
            Edit::Apply(object) if !options.status => {
                prepare::named(&object, name)?;
                prepare::not_of_another(res, &object, name)?;
                insert(state, (res, namespace), object, options, Operation::Apply)
            }
            Edit::Replace(_) | Edit::Apply(_) | Edit::Patch(_) => Err(StatusError::not_found(res, name)),
        };
    };
    let old = live.object.clone();
    let now = state.now();
    let api_version = res.api_version();
    let mut applied = None;
    let mut put = false;
    let new = match edit {
        Edit::Replace(object) => {
            prepare::check_type(res, &object)?;
            prepare::named(&object, name)?;
            if metadata::text(&object, "resourceVersion").is_empty() && !res.unconditional_update {
                let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
                return Err(StatusError::invalid(&res.plural, &res.group, name, &[cause]));
            }
            put = true;
            object
        }
        Edit::Patch(patch) => {
            let patched = patch.apply(&old, &res.schema)?;
            prepare::check_type(res, &patched)?;
            prepare::same_name(&patched, name)?;
            patched
        }
        Edit::Apply(mut config) => {
            prepare::check_type(res, &config)?;
            prepare::same_name(&config, name)?;
            prepare::check_versions(res, &config, &old, name, false)?;
            metadata::set(&mut config, "resourceVersion", Value::Null);
            metadata::set(&mut config, "uid", Value::Null);
            prepare::declared_fields(res, &mut config)?;
            let applier = applier(res, (&api_version, &now), options, Operation::Apply);
            let outcome = ownership::apply(&old, &live.managers, &config, &applier)
                .map_err(|conflicts| prepare::apply_conflict(&conflicts))?;
            applied = Some(outcome.managers);
            outcome.object
        }
    };
    let mut new = prepare::with_type(new, res);
    prepare::check_versions(res, &new, &old, name, put)?;
    prepare::keep_unwritten(res, &mut new, &old, options.status);
    metadata::keep_system_fields(&mut new, &old);
    metadata::set(&mut new, "resourceVersion", json!(metadata::text(&old, "resourceVersion")));
    metadata::set(&mut new, "name", json!(name));
    metadata::set(&mut new, "namespace", if namespace.is_empty() { Value::Null } else { json!(namespace) });
    let Admitted { object: mut new, warnings } = prepare::admit(state, res, new, Some(&old), options)?;

    let managers = match applied {
        Some(managers) => managers,
        None => {
            let applier = applier(res, (&api_version, &now), options, Operation::Update);
            ownership::record_update(&old, &new, &live.managers, &applier)
        }
    };
    if new == *old && (Arc::ptr_eq(&managers, &live.managers) || managers == live.managers) {
        return Ok(Written { object: old, created: false, stored: false, warnings });
    }
    if res.generation && prepare::spec_changed(res, &old, &new) {
        bump_generation(&mut new);
    }
    let gone = metadata::is_terminating(&new) && metadata::finalizers(&new).is_empty();
    let object = if gone && !metadata::finalizers(&old).is_empty() {
        // The answer shows the written object, which is never stored, with the former version. Watches get the former object.
        show_managers(state, res, &mut new, &managers);
        remove(state, res, &key, Value::clone(&old), options.dry_run);
        Arc::new(new)
    } else {
        commit(state, (res, &key), new, managers, options.dry_run)
    };
    Ok(Written { object, created: false, stored: !options.dry_run, warnings })
}

/// DELETE of one object. The boolean says whether the store changed.
pub fn delete(
    state: &mut State,
    target: &Target<'_>,
    preconditions: &Preconditions,
    dry_run: bool,
) -> Result<(Deleted, bool), StatusError> {
    let Target { res, namespace, name } = *target;
    let key: Key = (namespace.to_owned(), name.to_owned());
    let Some(live) = state.storage.get(&res.storage, &key).cloned() else {
        return Err(StatusError::not_found(res, name));
    };
    prepare::check_preconditions(res, &live.object, name, preconditions)?;
    let mut object = Value::clone(&live.object);
    crd::before_delete(res, &mut object);
    if metadata::finalizers(&object).is_empty() {
        let last = remove(state, res, &key, object, dry_run);
        return Ok((Deleted::Gone(last), !dry_run));
    }
    if metadata::is_terminating(&object) {
        return Ok((Deleted::Terminating(live.object), false));
    }
    let now = state.now();
    metadata::set(&mut object, "deletionTimestamp", json!(now));
    metadata::set(&mut object, "deletionGracePeriodSeconds", json!(0));
    if res.generation {
        bump_generation(&mut object);
    }
    let object = commit(state, (res, &key), object, live.managers.clone(), dry_run);
    Ok((Deleted::Terminating(object), !dry_run))
}

fn bump_generation(object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(0);
    metadata::set(object, "generation", json!(generation + 1));
}

/// Who writes, in which version and when, and which fields the endpoint does not write.
fn applier<'a>(
    res: &'a Resource,
    (api_version, now): (&'a str, &'a str),
    options: &WriteOptions,
    operation: Operation,
) -> Applier<'a> {
    let subresource = if options.status { "status" } else { "" };
    let key = ManagerKey { name: options.field_manager.clone(), operation, subresource: subresource.to_owned() };
    let ignored = prepare::unwritten(res, options.status);
    Applier { key, api_version, now, force: options.force, schema: &res.schema, ignored }
}

/// Stores an object with the next version, unless the write is a dry run.
fn commit(
    state: &mut State,
    (res, key): (&Resource, &Key),
    mut object: Value,
    managers: Arc<Managers>,
    dry_run: bool,
) -> Arc<Value> {
    show_managers(state, res, &mut object, &managers);
    if dry_run {
        return Arc::new(object);
    }
    metadata::set(&mut object, "resourceVersion", json!(state.storage.next_version().to_string()));
    let object = Arc::new(object);
    let stored = Stored { object: object.clone(), managers };
    state.storage.put(&res.storage, key.clone(), stored);
    object
}

/// Sets `metadata.managedFields`, if the server shows the field.
fn show_managers(state: &State, res: &Resource, object: &mut Value, managers: &Managers) {
    if !state.managed_fields {
        return;
    }
    let mut shown = if managers.0.is_empty() { Value::Null } else { managers.to_value() };
    if res.storage.resource == "events" && !res.custom {
        events::name_owned(&mut shown);
    }
    metadata::set(object, "managedFields", shown);
}

/// Removes an object from the storage, unless the write is a dry run. Returns its last state, with the next version.
fn remove(state: &mut State, res: &Resource, key: &Key, mut last: Value, dry_run: bool) -> Arc<Value> {
    if dry_run {
        return Arc::new(last);
    }
    metadata::set(&mut last, "resourceVersion", json!(state.storage.next_version().to_string()));
    let last = Arc::new(last);
    state.storage.remove(&res.storage, key, last.clone());
    last
}

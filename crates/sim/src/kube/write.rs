//! Writes: create, replace, patch and apply, delete. Every change of an object goes through here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    admit::{self, Admitted},
    builtin, crd, events, metadata,
    ownership::{self, Applier, ManagerKey, Managers, Operation},
    patch::Patch,
    resource::Resource,
    state::{State, with_type},
    status::{Cause, StatusError},
    storage::{Key, Stored},
};

/// What `fieldValidation` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// Unknown fields are dropped in silence.
    Ignore,
    /// Unknown fields are dropped with a warning.
    Warn,
    /// Unknown fields are refused.
    Strict,
}

/// The options of a write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Who writes.
    pub field_manager: String,
    /// Do everything but store.
    pub dry_run: bool,
    /// Take fields over in an apply.
    pub force: bool,
    /// What to do with unknown fields.
    pub field_validation: FieldValidation,
    /// Whether `/status` is written.
    pub status: bool,
}

impl WriteOptions {
    /// Those of a manager that asks for nothing special.
    pub fn new(field_manager: &str) -> Self {
        Self {
            field_manager: field_manager.to_owned(),
            dry_run: false,
            force: false,
            field_validation: FieldValidation::Warn,
            status: false,
        }
    }
}

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as stored, or as it was last.
    pub object: Arc<Value>,
    /// Whether it is new.
    pub created: bool,
    /// What a `Warning` header says.
    pub warnings: Vec<String>,
}

/// What to do to an object that is there.
#[derive(Clone, Debug)]
pub enum Edit {
    /// PUT.
    Replace(Value),
    /// PATCH.
    Patch(Patch),
    /// Server-side apply.
    Apply(Value),
}

/// What must hold for a delete.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// The object's UID.
    pub uid: Option<String>,
    /// The object's version.
    pub resource_version: Option<String>,
}

/// POST.
pub fn create(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    body: Value,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    insert(state, res, namespace, body, options, Operation::Update)
}

fn insert(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    mut object: Value,
    options: &WriteOptions,
    operation: Operation,
) -> Result<Written, StatusError> {
    admit::check_type(res, &object)?;
    if res.namespaced && !state.has_namespace(namespace) {
        return Err(match state.resource("", "v1", "namespaces") {
            Some(namespaces) => StatusError::not_found(&namespaces, namespace),
            None => StatusError::no_such_path(),
        });
    }
    let versioned = operation == Operation::Update && !metadata::text(&object, "resourceVersion").is_empty();
    admit::place(res, namespace, &mut object)?;
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
        admit::declared_fields(res, &mut object)?;
    }
    // Who applies owns what it wrote, not what was defaulted.
    let config = (operation == Operation::Apply).then(|| object.clone());
    let Admitted { object, warnings } = admit::admit(state, res, with_type(object, res), None, options)?;
    if versioned {
        return Err(StatusError::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    let key: Key = (namespace.to_owned(), name.clone());
    if let Some(there) = state.storage.get(&res.storage, &key) {
        let mut error = StatusError::already_exists(res, &name);
        if metadata::is_terminating(&there.object) {
            error.message = format!("object is being deleted: {}", error.message);
        }
        return Err(error);
    }
    let empty = builtin::zero(res);
    let api_version = res.api_version();
    let applier = applier(&api_version, &now, options, operation);
    let nobody = Arc::new(Managers::default());
    let managers = match operation {
        Operation::Update => {
            ownership::record_update(empty, &object, &nobody, &res.schema, admit::unwritten(res, false), &applier)
        }
        Operation::Apply => {
            let unwritten = admit::unwritten(res, false);
            let config = config.as_ref().unwrap_or(&object);
            ownership::apply(empty, &nobody, config, &res.schema, unwritten, &applier)
                .map(|applied| applied.managers)
                .unwrap_or_default()
        }
    };
    let object = commit(state, res, &key, object, managers, options.dry_run);
    if !options.dry_run {
        crd::after_write(state, res, &name);
    }
    let object = state.storage.get(&res.storage, &key).map_or(object, |s| s.object.clone());
    Ok(Written { object, created: true, warnings })
}

/// PUT, PATCH and apply.
pub fn update(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    name: &str,
    edit: Edit,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let key: Key = (namespace.to_owned(), name.to_owned());
    let Some(live) = state.storage.get(&res.storage, &key).cloned() else {
        return match edit {
            Edit::Replace(object) if res.create_on_update && !options.status => {
                admit::named(&object, name)?;
                create(state, res, namespace, object, options)
            }
            Edit::Apply(object) if !options.status => {
                admit::named(&object, name)?;
                admit::not_of_another(res, &object, name)?;
                insert(state, res, namespace, object, options, Operation::Apply)
            }
            Edit::Replace(_) | Edit::Apply(_) | Edit::Patch(_) => Err(StatusError::not_found(res, name)),
        };
    };
    let old = live.object.clone();
    let now = state.now();
    let api_version = res.api_version();
    let unwritten = admit::unwritten(res, options.status);
    let mut applied = None;
    let mut put = false;
    let new = match edit {
        Edit::Replace(object) => {
            admit::check_type(res, &object)?;
            admit::named(&object, name)?;
            if metadata::text(&object, "resourceVersion").is_empty() && !res.unconditional_update {
                let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
                return Err(StatusError::invalid(&res.plural, &res.group, name, &[cause]));
            }
            put = true;
            object
        }
        Edit::Patch(patch) => {
            let patched = patch.apply(&old, &res.schema)?;
            admit::check_type(res, &patched)?;
            admit::same_name(&patched, name)?;
            patched
        }
        Edit::Apply(mut config) => {
            admit::check_type(res, &config)?;
            admit::same_name(&config, name)?;
            admit::check_versions(res, &config, &old, name, false)?;
            metadata::set(&mut config, "resourceVersion", Value::Null);
            metadata::set(&mut config, "uid", Value::Null);
            admit::declared_fields(res, &mut config)?;
            let applier = applier(&api_version, &now, options, Operation::Apply);
            let outcome = ownership::apply(&old, &live.managers, &config, &res.schema, unwritten, &applier)
                .map_err(|conflicts| admit::apply_conflict(&conflicts))?;
            applied = Some(outcome.managers);
            outcome.object
        }
    };
    let mut new = with_type(new, res);
    admit::check_versions(res, &new, &old, name, put)?;
    admit::keep_unwritten(res, &mut new, &old, options.status);
    metadata::keep_system_fields(&mut new, &old);
    metadata::set(&mut new, "resourceVersion", json!(metadata::text(&old, "resourceVersion")));
    metadata::set(&mut new, "name", json!(name));
    metadata::set(&mut new, "namespace", if namespace.is_empty() { Value::Null } else { json!(namespace) });
    let Admitted { object: mut new, warnings } = admit::admit(state, res, new, Some(&old), options)?;

    let managers = match applied {
        Some(managers) => managers,
        None => {
            let applier = applier(&api_version, &now, options, Operation::Update);
            ownership::record_update(&old, &new, &live.managers, &res.schema, unwritten, &applier)
        }
    };
    if new == *old && (Arc::ptr_eq(&managers, &live.managers) || managers == live.managers) {
        return Ok(Written { object: old, created: false, warnings });
    }
    if res.generation && admit::spec_changed(res, &old, &new) {
        bump_generation(&mut new);
    }
    let gone = metadata::is_terminating(&new) && metadata::finalizers(&new).is_empty();
    let object = if gone && !metadata::finalizers(&old).is_empty() {
        // What is answered was never stored: it has the version of what was, and that is what watches are told.
        show_managers(state, res, &mut new, &managers);
        remove(state, res, &key, Value::clone(&old), options.dry_run);
        Arc::new(new)
    } else {
        commit(state, res, &key, new, managers, options.dry_run)
    };
    if options.dry_run {
        return Ok(Written { object, created: false, warnings });
    }
    crd::after_write(state, res, name);
    let object = state.storage.get(&res.storage, &key).map_or(object, |s| s.object.clone());
    Ok(Written { object, created: false, warnings })
}

/// What a DELETE came to.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone; this was its last state.
    Gone(Arc<Value>),
    /// Finalizers hold it.
    Terminating(Arc<Value>),
}

/// DELETE of one object.
pub fn delete(
    state: &mut State,
    res: &Resource,
    namespace: &str,
    name: &str,
    preconditions: &Preconditions,
    dry_run: bool,
) -> Result<Deleted, StatusError> {
    let key: Key = (namespace.to_owned(), name.to_owned());
    let Some(live) = state.storage.get(&res.storage, &key).cloned() else {
        return Err(StatusError::not_found(res, name));
    };
    admit::check_preconditions(res, &live.object, name, preconditions)?;
    let mut object = Value::clone(&live.object);
    crd::before_delete(res, &mut object);
    if metadata::finalizers(&object).is_empty() {
        let last = remove(state, res, &key, object, dry_run);
        if !dry_run {
            crd::after_delete(state, res, name);
        }
        return Ok(Deleted::Gone(last));
    }
    if metadata::is_terminating(&object) {
        return Ok(Deleted::Terminating(live.object));
    }
    let now = state.now();
    metadata::set(&mut object, "deletionTimestamp", json!(now));
    metadata::set(&mut object, "deletionGracePeriodSeconds", json!(0));
    if res.generation {
        bump_generation(&mut object);
    }
    let object = commit(state, res, &key, object, live.managers.clone(), dry_run);
    if !dry_run {
        crd::after_delete(state, res, name);
    }
    Ok(Deleted::Terminating(object))
}

fn bump_generation(object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or(0);
    metadata::set(object, "generation", json!(generation + 1));
}

fn applier<'a>(api_version: &'a str, now: &'a str, options: &WriteOptions, operation: Operation) -> Applier<'a> {
    let subresource = if options.status { "status" } else { "" };
    let key = ManagerKey { name: options.field_manager.clone(), operation, subresource: subresource.to_owned() };
    Applier { key, api_version, now, force: options.force }
}

fn commit(
    state: &mut State,
    res: &Resource,
    key: &Key,
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

fn remove(state: &mut State, res: &Resource, key: &Key, mut last: Value, dry_run: bool) -> Arc<Value> {
    if dry_run {
        return Arc::new(last);
    }
    metadata::set(&mut last, "resourceVersion", json!(state.storage.next_version().to_string()));
    let last = Arc::new(last);
    state.storage.remove(&res.storage, key, last.clone());
    last
}

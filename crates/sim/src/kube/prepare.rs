//! Admission: the checks and changes of a request's object before it is stored.
//!
//! Types, names, versions and preconditions are compared; unknown fields are dropped; defaults are set; the object is validated.
//! Nothing is stored here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    builtin,
    cause::Cause,
    crd, metadata,
    ownership::{Conflict, Operation},
    prune,
    resource::Resource,
    state::State,
    status::StatusError,
    validate,
    write::{FieldValidation, Preconditions, WriteOptions},
};

/// An object that may be stored.
#[derive(Debug)]
pub struct Admitted {
    /// The object, pruned, defaulted and validated.
    pub object: Value,
    /// The warnings for the client.
    pub warnings: Vec<String>,
}

/// Prunes, defaults and validates an object.
pub fn admit(
    state: &State,
    res: &Resource,
    mut object: Value,
    old: Option<&Value>,
    options: &WriteOptions,
) -> Result<Admitted, StatusError> {
    let warnings = known_fields(res, &mut object, options)?;
    if res.custom {
        prune::default(&res.schema, &mut object);
    }
    builtin::default(res, &mut object);
    crd::default(res, &mut object);

    let mut causes = metadata::validate(res, &object, old);
    causes.extend(builtin::validate(res, &object, old));
    causes.extend(crd::validate(res, &object));
    if res.custom {
        if old.is_none() && crd::is_terminating(state, res) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(StatusError::new(405, "MethodNotAllowed", message));
        }
        let structural = validate::validate(&res.schema, &object, old);
        let blocking = structural.iter().any(|c| c.reason != "FieldValueInvalid");
        causes.extend(structural);
        if let Some(rules) = &res.cel {
            if blocking {
                causes.push(Cause {
                    reason: "FieldValueInvalid",
                    field: "<nil>".into(),
                    message: "Invalid value: null: some validation rules were not checked because the object was \
                              invalid; correct the existing errors to complete validation"
                        .into(),
                });
            } else {
                causes.extend(rules.check(&object, old));
            }
        }
    }
    if causes.is_empty() {
        Ok(Admitted { object, warnings })
    } else {
        let name = metadata::text(&object, "name");
        Err(StatusError::invalid(&res.kind, &res.group, name, &causes))
    }
}

/// Drops unknown fields, with warnings or an error as `fieldValidation` requires.
pub fn known_fields(res: &Resource, object: &mut Value, options: &WriteOptions) -> Result<Vec<String>, StatusError> {
    let mut unknown = metadata::normalise(object);
    if res.custom {
        unknown.extend(prune::prune(&res.schema, object));
    }
    let lines = unknown.iter().map(|path| format!("unknown field {path:?}"));
    match options.field_validation {
        FieldValidation::Strict if !unknown.is_empty() => {
            let list = lines.collect::<Vec<_>>().join(", ");
            let (kind, version) = (&res.kind, &res.version);
            Err(StatusError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {list}"
            )))
        }
        FieldValidation::Warn => Ok(lines.collect()),
        FieldValidation::Ignore | FieldValidation::Strict => Ok(Vec::new()),
    }
}

/// Checks that `apiVersion` and `kind`, if they are given, are those of the path.
pub fn check_type(res: &Resource, object: &Value) -> Result<(), StatusError> {
    if !object.is_object() {
        return Err(StatusError::bad_request("the body of the request is no object"));
    }
    let given = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (given("apiVersion"), given("kind"));
    let expected = res.stored_version();
    if !version.is_empty() && version != expected {
        return Err(StatusError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if !kind.is_empty() && kind != res.kind {
        if res.custom {
            let cause = Cause::invalid("kind", &json!(kind), &format!("must be {}", res.kind));
            return Err(StatusError::invalid(kind, &res.group, metadata::text(object, "name"), &[cause]));
        }
        return Err(StatusError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: converting ({kind}) to ({}): unknown conversion",
            res.version, res.kind, res.kind
        )));
    }
    Ok(())
}

/// Sets the `apiVersion` and `kind` with which the object is stored.
pub fn with_type(mut object: Value, res: &Resource) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), json!(res.stored_version()));
        map.insert("kind".into(), json!(res.kind));
    }
    object
}

/// Sets the namespace of a new object to that of the path. A different namespace in the object is refused.
pub fn place(res: &Resource, namespace: &str, object: &mut Value) -> Result<(), StatusError> {
    let given = metadata::text(object, "namespace");
    if res.namespaced && !given.is_empty() && given != namespace {
        return Err(StatusError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata::set(object, "namespace", if res.namespaced { json!(namespace) } else { Value::Null });
    Ok(())
}

/// Checks that the name in the object, if it is given, is that of the path.
pub fn same_name(object: &Value, name: &str) -> Result<(), StatusError> {
    let given = metadata::text(object, "name");
    if given.is_empty() || given == name {
        return Ok(());
    }
    Err(StatusError::bad_request(format!(
        "the name of the object ({given}) does not match the name on the URL ({name})"
    )))
}

/// Checks that the object has the name of the path, as a PUT and a creating apply require.
pub fn named(object: &Value, name: &str) -> Result<(), StatusError> {
    if metadata::text(object, "name").is_empty() {
        let why = "was undeterminable: name must be provided";
        return Err(StatusError::bad_request(format!("the name of the object ({name} based on URL) {why}")));
    }
    same_name(object, name)
}

/// Refuses a UID in an apply that creates an object. A `resourceVersion` is ignored.
pub fn not_of_another(res: &Resource, object: &Value, name: &str) -> Result<(), StatusError> {
    let uid = metadata::text(object, "uid");
    if !uid.is_empty() {
        let why = "and no existing object was found";
        let why = format!("uid mismatch: the provided object specified uid {uid}, {why}");
        return Err(StatusError::conflict(res, name, &why));
    }
    Ok(())
}

/// Checks that a UID or `resourceVersion` in the written object is the stored one.
///
/// In a PUT, the UID is a precondition and is checked first. In a patch, the UID is an immutable field and is checked after the
/// version.
pub fn check_versions(res: &Resource, new: &Value, old: &Value, name: &str, put: bool) -> Result<(), StatusError> {
    let (uid, stored) = (metadata::text(new, "uid"), metadata::text(old, "uid"));
    let uid_differs = !uid.is_empty() && uid != stored;
    if put && uid_differs {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}");
        return Err(StatusError::conflict(res, name, &why));
    }
    let version = metadata::text(new, "resourceVersion");
    if !version.is_empty() && version != "0" && version != metadata::text(old, "resourceVersion") {
        return Err(StatusError::modified(res, name));
    }
    if uid_differs {
        let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
        return Err(StatusError::invalid(&res.kind, &res.group, name, &[cause]));
    }
    Ok(())
}

/// Checks the preconditions of a delete.
pub fn check_preconditions(
    res: &Resource,
    object: &Value,
    name: &str,
    preconditions: &Preconditions,
) -> Result<(), StatusError> {
    let Preconditions { uid, resource_version } = preconditions;
    let checks = [
        ("UID", uid, "uid", "The object might have been deleted and then recreated"),
        ("ResourceVersion", resource_version, "resourceVersion", "The object might have been modified"),
    ];
    for (shown, required, field, perhaps) in checks {
        let stored = metadata::text(object, field);
        if let Some(required) = required.as_deref().filter(|r| !r.is_empty() && *r != stored) {
            let why = format!(
                "the {shown} in the precondition ({required}) does not match the {shown} in record ({stored}). {perhaps}"
            );
            return Err(StatusError::conflict_of_kind(res, name, &why));
        }
    }
    Ok(())
}

/// Refuses fields that the schema does not declare in a server-side apply, whatever `fieldValidation` is.
pub fn declared_fields(res: &Resource, config: &mut Value) -> Result<(), StatusError> {
    let (namespace, name) = (metadata::text(config, "namespace").to_owned(), metadata::text(config, "name").to_owned());
    let mut unknown = metadata::normalise(config);
    if res.custom {
        unknown.extend(prune::prune(&res.schema, config));
    }
    let lines: Vec<String> = unknown.iter().map(|path| format!(".{path}: field not declared in schema")).collect();
    let list = match lines.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (version, kind) = (res.api_version(), &res.kind);
    let message = format!("failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {list}");
    Err(StatusError::new(500, "", message))
}

/// The paths that an endpoint, the object's or its `/status`, does not write.
pub fn unwritten(res: &Resource, status: bool) -> &'static [&'static [&'static str]] {
    match (status, res.status, res.custom) {
        (true, _, true) => &[&["spec"], &["metadata"]],
        (true, _, false) => &[&["spec"]],
        (false, true, _) => &[&["status"]],
        (false, false, _) => &[],
    }
}

/// Copies the fields that the endpoint does not write from `old`.
pub fn keep_unwritten(res: &Resource, new: &mut Value, old: &Value, status: bool) {
    let field = |object: &Value, name: &str| object.get(name).cloned();
    if status && res.custom {
        let written = field(new, "status");
        *new = old.clone();
        put(new, "status", written);
    } else if status {
        put(new, "spec", field(old, "spec"));
    } else if res.status {
        put(new, "status", field(old, "status"));
    }
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    match value {
        Some(value) => map.insert(field.to_owned(), value),
        None => map.remove(field),
    };
}

/// Whether a field other than `metadata` changed. With the status subresource, `status` does not count either.
pub fn spec_changed(res: &Resource, old: &Value, new: &Value) -> bool {
    fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
        object.as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata")
    }
    let counts = |(name, _): &(&String, &Value)| !(*name == "status" && res.status);
    !fields(old).filter(counts).eq(fields(new).filter(counts))
}

/// 409 of an apply, with one cause per field that another manager owns.
pub fn apply_conflict(conflicts: &[Conflict]) -> StatusError {
    let mut causes = Vec::new();
    let mut by_owner: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        let owner = shown_owner(conflict);
        let message = format!("conflict with {owner}");
        causes.push(json!({ "reason": "FieldManagerConflict", "message": message, "field": conflict.path }));
        by_owner.entry(owner).or_default().push(&conflict.path);
    }
    let list = match conflicts {
        [one] => format!("conflict with {}: {}", shown_owner(one), one.path),
        _ => {
            let of =
                |(owner, paths): (&String, &Vec<&str>)| format!("conflicts with {owner}:\n- {}", paths.join("\n- "));
            by_owner.iter().map(of).collect::<Vec<_>>().join("\n")
        }
    };
    let (count, plural) = (conflicts.len(), if conflicts.len() == 1 { "" } else { "s" });
    let message = format!("Apply failed with {count} conflict{plural}: {list}");
    let mut error = StatusError::new(409, "Conflict", message);
    error.details = Some(json!({ "causes": causes }));
    error
}

fn shown_owner(conflict: &Conflict) -> String {
    let owner = &conflict.owner;
    let mut shown = format!("{:?}", owner.name);
    if !owner.subresource.is_empty() {
        shown.push_str(&format!(" with subresource {:?}", owner.subresource));
    }
    if owner.operation == Operation::Update {
        shown.push_str(&format!(" using {}", conflict.api_version));
    }
    shown
}

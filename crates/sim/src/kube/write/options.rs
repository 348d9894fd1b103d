//! What a write is given and what it returns: options, edits, preconditions and results.

use std::sync::Arc;

use serde_json::Value;

use crate::kube::{patch::Patch, resource::Resource};

/// The object that a write addresses.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The resource.
    pub res: &'a Resource,
    /// The namespace, or empty.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
}

/// What to do with unknown fields: the parameter `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them without a warning.
    Ignore,
    /// Drop them with a warning.
    Warn,
    /// Refuse the request.
    Strict,
}

/// The options of a write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// The field manager.
    pub field_manager: String,
    /// Do everything except storing.
    pub dry_run: bool,
    /// In an apply, take fields over from other managers instead of refusing.
    pub force: bool,
    /// What to do with unknown fields.
    pub field_validation: FieldValidation,
    /// Whether the request writes `/status`.
    pub status: bool,
}

impl WriteOptions {
    /// The default options, for this field manager.
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

/// The result of a create, replace, patch or apply.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is stored, or its last state if it is gone.
    pub object: Arc<Value>,
    /// Whether the object is new.
    pub created: bool,
    /// Whether the store changed. A dry run and a write without a difference change nothing.
    pub stored: bool,
    /// The texts of the `Warning` headers.
    pub warnings: Vec<String>,
}

/// A change of an existing object.
#[derive(Clone, Debug)]
pub enum Edit {
    /// PUT: replaces the object.
    Replace(Value),
    /// PATCH with a merge, JSON or strategic merge patch.
    Patch(Patch),
    /// Server-side apply of a configuration.
    Apply(Value),
}

/// The preconditions of a delete.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// The UID that the object must have.
    pub uid: Option<String>,
    /// The version that the object must have.
    pub resource_version: Option<String>,
}

/// The result of a delete.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone. The value is its last state.
    Gone(Arc<Value>),
    /// The object has finalizers, so it is marked for deletion and stays.
    Terminating(Arc<Value>),
}

//! The field managers of one object and the fields that each owns.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fieldset::FieldSet;

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// The identity of an entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerKey {
    /// The field manager's name.
    pub name: String,
    /// How the manager writes.
    pub operation: Operation,
    /// `status`, or empty.
    pub subresource: String,
}

/// The fields of a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// The API version in which the manager wrote.
    pub api_version: String,
    /// The time of the last change.
    pub time: String,
    /// The owned fields.
    pub fields: Arc<FieldSet>,
}

/// All field managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(pub BTreeMap<ManagerKey, Manager>);

impl Managers {
    /// The fields that managers other than `key` own.
    pub fn others(&self, key: &ManagerKey) -> FieldSet {
        let mut all = FieldSet::default();
        self.0.iter().filter(|(k, _)| *k != key).for_each(|(_, m)| all.union(&m.fields));
        all
    }

    /// Takes these paths from all managers except `key`.
    pub fn take(&mut self, key: &ManagerKey, paths: &FieldSet) {
        for (_, manager) in self.0.iter_mut().filter(|(k, _)| *k != key) {
            if manager.fields.meets(paths) {
                Arc::make_mut(&mut manager.fields).subtract(paths);
            }
        }
        self.0.retain(|_, m| !m.fields.is_empty());
    }

    /// Sets the fields of `key`. With an empty `now`, the former time stays.
    pub fn set(&mut self, key: ManagerKey, fields: FieldSet, api_version: &str, now: &str) {
        if fields.is_empty() {
            self.0.remove(&key);
            return;
        }
        let before = self.0.get(&key);
        if now.is_empty() && before.is_some_and(|m| *m.fields == fields) {
            return;
        }
        let time = before.map(|m| m.time.clone()).filter(|_| now.is_empty()).unwrap_or_else(|| now.into());
        self.0.insert(key, Manager { api_version: api_version.into(), time, fields: Arc::new(fields) });
    }

    /// The managers in the format of `metadata.managedFields`.
    pub fn to_value(&self) -> Value {
        let entries = self.0.iter().map(|(key, manager)| {
            let mut entry = json!({
                "manager": key.name,
                "operation": match key.operation { Operation::Apply => "Apply", Operation::Update => "Update" },
                "apiVersion": manager.api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": manager.fields.to_v1(),
            });
            for (name, text) in [("subresource", &key.subresource), ("time", &manager.time)] {
                if let (Some(map), false) = (entry.as_object_mut(), text.is_empty()) {
                    map.insert(name.into(), json!(text));
                }
            }
            entry
        });
        entries.collect()
    }
}

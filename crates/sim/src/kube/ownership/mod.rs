//! Field ownership: the part of structured merge and diff that server-side apply needs.
//!
//! A `FieldSet` is a tree of paths. `compare` finds the difference between two objects. `apply` merges a manager's
//! configuration into an object. `Managers` is the content of `metadata.managedFields`.

mod apply;
mod compare;
mod fieldset;
mod managers;

pub use apply::{Applier, Conflict, apply, record_update};
pub use managers::{ManagerKey, Managers, Operation};

//! Writes. Every change of an object goes through here.
//!
//! - [`options`]: what a write is given and what it returns.
//! - [`store`]: the write of one object, from the check of the request to the storage.
//! - [`definitions`]: the writes as the rest of the server uses them, with their consequences for CRDs.

mod definitions;
mod options;
mod store;

pub use definitions::{create, delete, update};
pub use options::{Deleted, Edit, FieldValidation, Preconditions, Target, WriteOptions, Written};

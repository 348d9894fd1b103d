//! IAM as far as policies of our own form need it: whether a policy document allows a request, by action, resource and the values
//! of the condition keys. It is pure, and knows nothing of EC2.
//!
//! It reads only what it evaluates exactly: an element or an operator that it does not know is an error, and never a permission.

mod document;
mod operator;
mod request;
mod wildcard;

pub use document::{Policy, Unsupported};
pub use request::Request;

//! A request as IAM sees it: one action on one resource. A call on several resources is several requests, and each must be allowed.

use std::collections::BTreeMap;

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The action, such as `ec2:CreateTags`.
    pub action: String,
    /// The ARN of the resource, or `*` for an action without resources.
    pub resource: String,
    /// The condition keys that the request has, each with its values. A key with several values is one of IAM's arrays, such as
    /// `aws:TagKeys`.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Request {
    /// A request without condition keys.
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// The same with this value of a key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.context.entry(key.to_owned()).or_default().push(value.to_owned());
        self
    }

    /// The values of a key. IAM does not distinguish upper and lower case in the names of keys.
    pub fn values(&self, key: &str) -> &[String] {
        self.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map_or(&[], |(_, values)| values)
    }
}

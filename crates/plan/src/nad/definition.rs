//! One NetworkAttachmentDefinition as plain data.

use super::ascii_json::pretty;
use super::cni::{CniPlugin, Config};

/// One NetworkAttachmentDefinition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The resource of which Multus takes the device.
    pub resource: Option<String>,
    /// What a reader should know, a line each.
    pub comments: Vec<String>,
    /// The CNI configuration, as JSON in ASCII.
    pub config: String,
}

impl Definition {
    /// A definition with these plugins.
    pub(super) fn new(name: &str, namespace: &str, plugins: Vec<CniPlugin>, mut comments: Vec<String>) -> Self {
        if name.contains('.') {
            comments.push("Multus takes a name with a dot only in the JSON form of the annotation.".to_owned());
        }
        let config = pretty(&Config::new(name, plugins));
        Self { name: name.to_owned(), namespace: namespace.to_owned(), resource: None, comments, config }
    }
}

//! Decides which Pods use an ENI. A node that a NodeENI no longer selects keeps an ENI while such a Pod runs, if the controller
//! is configured to wait for Pods. This file is given the observed Pods and deletes nothing.

use crate::attachment::Attachment;
use multi_eni_api::names::full_resource_name;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a Pod that the decision needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPod {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Name of the Node on which the Pod runs.
    pub node: String,
    /// The names in the Pod's annotation, of NodeENIs or of ENIAttachments.
    pub nodeenis: BTreeSet<String>,
    /// Extended resources that the Pod's containers request.
    pub resources: BTreeSet<String>,
}

impl ObservedPod {
    /// Whether the Pod can use an interface at all: it has a Node, and its annotation has a name or it requests an extended resource.
    /// A Pod that has ended is converted without names and resources.
    pub fn is_of_use(&self) -> bool {
        let names_none = self.nodeenis.is_empty() && self.resources.is_empty();
        !(self.node.is_empty() || names_none)
    }

    /// Whether the Pod uses this ENI: it names the NodeENI or the ENIAttachment, or requests the resource under which the interface
    /// is offered.
    pub fn uses(&self, attachment: &Attachment) -> bool {
        let offered = attachment.node_settings.dpdk_resource_name.as_ref();
        self.node == attachment.node
            && (self.nodeenis.contains(&attachment.nodeeni)
                || self.nodeenis.contains(&attachment.name)
                || offered.is_some_and(|name| self.resources.contains(full_resource_name(name).as_ref())))
    }
}

/// Parses the names in an annotation's value, in the two forms of Multus. As Multus does, it takes a value with `[`, `{` or `"` for
/// JSON, and any other for names that are separated by commas.
pub fn named(value: &str) -> BTreeSet<String> {
    if value.contains(['[', '{', '"']) { named_in_json(value) } else { named_in_text(value) }
}

/// Each name may have the form `NAMESPACE/NAME@INTERFACE`.
fn named_in_text(value: &str) -> BTreeSet<String> {
    let name = |item: &str| {
        let item = item.trim();
        let item = item.rsplit_once('/').map_or(item, |(_, name)| name);
        item.split_once('@').map_or(item, |(name, _)| name).to_owned()
    };
    value.split(',').map(name).filter(|name| !name.is_empty()).collect()
}

/// A list of objects with the field `name`; Multus' parser ignores the case of a field's letters, and an entry null. Multus refuses
/// the Pod for any other value, so such a value names nothing.
fn named_in_json(value: &str) -> BTreeSet<String> {
    let networks: Vec<Option<BTreeMap<String, Value>>> = serde_json::from_str(value).unwrap_or_default();
    let fields = networks.into_iter().flatten().flatten();
    let names = fields.filter(|(field, _)| field.eq_ignore_ascii_case("name"));
    names.filter_map(|(_, name)| name.as_str().map(str::to_owned)).filter(|name| !name.is_empty()).collect()
}

/// What is known about the Pods of a Node.
#[derive(Debug, Clone, Copy)]
pub enum Pods<'a> {
    /// The controller is not configured to wait for Pods.
    Unasked,
    /// The Pods have not been listed yet, or the list is not permitted.
    Unknown,
    /// The Pods that may use an interface.
    Known(&'a [&'a ObservedPod]),
}

impl Pods<'_> {
    /// The names of the Pods that use this ENI; None if they are not known.
    pub fn users_of(&self, attachment: &Attachment) -> Option<Vec<String>> {
        match self {
            Self::Unasked => Some(Vec::new()),
            Self::Unknown => None,
            Self::Known(pods) => {
                Some(pods.iter().filter(|pod| pod.uses(attachment)).map(|pod| pod.name.clone()).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(value: &str) -> Vec<String> {
        named(value).into_iter().collect()
    }

    #[test]
    fn names_with_commas_and_in_the_form_of_multus_are_parsed() {
        assert_eq!(names("fast, default/slow@net1,,"), ["fast", "slow"]);
        assert_eq!(names(" "), Vec::<String>::new());
    }

    #[test]
    fn names_in_the_json_form_of_multus_are_parsed() {
        let json = r#"
            [ { "name": "fast", "namespace": "core", "interface": "net1", "ips": ["10.0.2.17/24"], "cni-args": { "name": "x" } },
              { "Name": "slow" }, null, { "interface": "net2" } ]"#;
        assert_eq!(names(json), ["fast", "slow"]);
        assert_eq!(names("[]"), Vec::<String>::new());
    }

    #[test]
    fn json_that_multus_refuses_names_nothing() {
        for json in [r#"[{ "name": "fast" }"#, r#"{ "name": "fast" }"#, r#"["fast"]"#, r#""fast""#, "fast, [slow", "[["]
        {
            assert_eq!(names(json), Vec::<String>::new(), "{json}");
        }
    }
}

//! Pods that use interfaces: for them a node that is no longer selected may keep its ENIs a while.

use crate::attachment::Attachment;
use std::collections::BTreeSet;

/// What is kept of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPod {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The Node on which it is.
    pub node: String,
    /// NodeENIs that its annotation names.
    pub nodeenis: BTreeSet<String>,
    /// Extended resources that its containers ask for.
    pub resources: BTreeSet<String>,
}

impl ObservedPod {
    /// Whether it can use an interface at all: one that has ended, or names none, cannot.
    pub fn is_of_use(&self) -> bool {
        let names_none = self.nodeenis.is_empty() && self.resources.is_empty();
        !(self.node.is_empty() || names_none)
    }

    /// Whether it uses this one: it names the NodeENI, or asks for the resource under which the interface is offered.
    pub fn uses(&self, attachment: &Attachment) -> bool {
        let offered = attachment.node_settings.dpdk_resource_name.as_ref();
        self.node == attachment.node
            && (self.nodeenis.contains(&attachment.nodeeni)
                || offered.is_some_and(|name| self.resources.contains(name)))
    }
}

/// The names in an annotation's value: separated by commas, and each perhaps as Multus writes it, `NAMESPACE/NAME@INTERFACE`.
pub fn named(value: &str) -> BTreeSet<String> {
    let name = |item: &str| {
        let item = item.trim();
        let item = item.rsplit_once('/').map_or(item, |(_, name)| name);
        item.split_once('@').map_or(item, |(name, _)| name).to_owned()
    };
    value.split(',').map(name).filter(|name| !name.is_empty()).collect()
}

/// The Pods of a Node, as far as anything waits for them.
#[derive(Debug, Clone, Copy)]
pub enum Pods<'a> {
    /// Nothing waits for Pods.
    Unasked,
    /// They have not been listed yet, or may not be.
    Unknown,
    /// Those that may use an interface.
    Known(&'a [&'a ObservedPod]),
}

impl Pods<'_> {
    /// Who uses this interface, by name; None if that is not known.
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

    #[test]
    fn names_as_people_and_as_multus_write_them() {
        let names = |value: &str| named(value).into_iter().collect::<Vec<_>>();
        assert_eq!(names("fast, default/slow@net1,,"), ["fast", "slow"]);
        assert_eq!(names(" "), Vec::<String>::new());
    }
}

//! The Pods that may use interfaces, by Node. All other Pods are dropped as they arrive.

use super::cache::{Cache, Cached, ItemChange};
use super::change::StoreChange;
use super::name_lists::remove_from_set;
use crate::watch::change::Watched;
use multi_eni_plan::pods::ObservedPod;
use std::collections::{BTreeMap, BTreeSet};

impl Cached for ObservedPod {
    fn name(&self) -> &str {
        &self.name
    }
    fn uid(&self) -> &str {
        &self.uid
    }
    fn version(&self) -> &str {
        ""
    }
}

/// The cache of these Pods, with their index by Node.
#[derive(Debug, Default)]
pub(super) struct PodCache {
    cache: Cache<ObservedPod>,
    by_node: BTreeMap<String, BTreeSet<String>>,
}

impl PodCache {
    /// Takes one change. Returns the Nodes whose Pods with interfaces changed, and whether the first list is complete now.
    pub fn take(&mut self, change: Watched<ObservedPod>) -> Vec<StoreChange> {
        if matches!(&change, Watched::InitApply(pod) if !pod.is_of_use()) {
            // An object that a list does not bring is removed from the cache, so this one need not be added.
            return Vec::new();
        }
        let was_warm = self.cache.warm;
        let changes = self.cache.take(change);
        let first = (self.cache.warm && !was_warm).then_some(StoreChange::PodsListed);
        changes.into_iter().flat_map(|change| self.set(change)).map(StoreChange::Pods).chain(first).collect()
    }

    fn set(&mut self, change: ItemChange<ObservedPod>) -> BTreeSet<String> {
        let (name, next) = match change {
            ItemChange::Apply(pod) if !self.cache.is_change(&pod) => return BTreeSet::new(),
            ItemChange::Apply(pod) => (pod.name.clone(), Some(pod).filter(ObservedPod::is_of_use)),
            ItemChange::Delete { name, uid } if !self.cache.has(&name, &uid) => return BTreeSet::new(),
            ItemChange::Delete { name, .. } => (name, None),
        };
        let old = self.cache.items.remove(&name);
        if let Some(old) = &old {
            remove_from_set(&mut self.by_node, &old.node, &name);
        }
        let nodes = old.iter().chain(&next).map(|pod| pod.node.clone()).collect();
        if let Some(pod) = next {
            self.by_node.entry(pod.node.clone()).or_default().insert(name.clone());
            self.cache.items.insert(name, pod);
        }
        nodes
    }

    /// The Pods of a Node. None until the first list is complete.
    pub fn on(&self, node: &str) -> Option<Vec<&ObservedPod>> {
        let names = self.by_node.get(node).into_iter().flatten();
        self.cache.warm.then(|| names.filter_map(|name| self.cache.items.get(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: &str, nodeenis: &str) -> ObservedPod {
        let nodeenis = multi_eni_plan::pods::named(nodeenis);
        ObservedPod { name: name.into(), uid: name.into(), node: node.into(), nodeenis, resources: BTreeSet::new() }
    }

    #[test]
    fn only_pods_that_use_interfaces_are_kept_and_their_changes_affect_the_node() {
        let mut pods = PodCache::default();
        assert_eq!(pods.on("n1"), None, "not listed yet");
        pods.take(Watched::Init);
        pods.take(Watched::InitApply(pod("ns/user", "n1", "fast")));
        pods.take(Watched::InitApply(pod("ns/other", "n1", "")));
        assert_eq!(pods.take(Watched::InitDone), [StoreChange::Pods("n1".into()), StoreChange::PodsListed]);
        assert_eq!(pods.on("n1").unwrap().len(), 1);
        // An update of a Pod's status that changes none of these fields.
        assert_eq!(pods.take(Watched::Apply(pod("ns/user", "n1", "fast"))), []);
        // The Pod has ended and uses no interface any more.
        assert_eq!(pods.take(Watched::Apply(pod("ns/user", "n1", ""))), [StoreChange::Pods("n1".into())]);
        assert_eq!(pods.on("n1").unwrap().len(), 0);
        assert_eq!(
            pods.take(Watched::Delete { name: "ns/user".into(), uid: "ns/user".into(), version: String::new() }),
            []
        );
    }
}

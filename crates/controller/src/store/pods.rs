//! Pods that may use interfaces, by Node. The others are not kept.

use super::cache::{Cache, Cached, Single};
use super::{StoreChange, forget};
use crate::watch::Watched;
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

/// The Pods.
#[derive(Debug, Default)]
pub(super) struct PodCache {
    cache: Cache<ObservedPod>,
    by_node: BTreeMap<String, BTreeSet<String>>,
}

impl PodCache {
    /// Takes a change; answers the Nodes whose users of interfaces changed, and whether this was the first whole list.
    pub fn take(&mut self, change: Watched<ObservedPod>) -> Vec<StoreChange> {
        if matches!(&change, Watched::Seed(pod) if !pod.is_of_use()) {
            // What a list does not bring is gone.
            return Vec::new();
        }
        let was_warm = self.cache.warm;
        let singles = self.cache.take(change);
        let first = (self.cache.warm && !was_warm).then_some(StoreChange::PodsListed);
        singles.into_iter().flat_map(|single| self.set(single)).map(StoreChange::Pods).chain(first).collect()
    }

    fn set(&mut self, single: Single<ObservedPod>) -> BTreeSet<String> {
        let (name, next) = match single {
            Single::Is(pod) if !self.cache.is_news(&pod) => return BTreeSet::new(),
            Single::Is(pod) => (pod.name.clone(), Some(pod).filter(ObservedPod::is_of_use)),
            Single::Gone { name, uid } if !self.cache.has(&name, &uid) => return BTreeSet::new(),
            Single::Gone { name, .. } => (name, None),
        };
        let old = self.cache.items.remove(&name);
        if let Some(old) = &old {
            forget(&mut self.by_node, &old.node, &name);
        }
        let nodes = old.iter().chain(&next).map(|pod| pod.node.clone()).collect();
        if let Some(pod) = next {
            self.by_node.entry(pod.node.clone()).or_default().insert(name.clone());
            self.cache.items.insert(name, pod);
        }
        nodes
    }

    /// Those of a Node; None before they have all been listed once.
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
    fn only_users_are_kept_and_their_node_is_woken_when_they_come_and_go() {
        let mut pods = PodCache::default();
        assert_eq!(pods.on("n1"), None, "not listed yet");
        pods.take(Watched::Begin);
        pods.take(Watched::Seed(pod("ns/user", "n1", "fast")));
        pods.take(Watched::Seed(pod("ns/other", "n1", "")));
        assert_eq!(pods.take(Watched::End), [StoreChange::Pods("n1".into()), StoreChange::PodsListed]);
        assert_eq!(pods.on("n1").unwrap().len(), 1);
        // The same again, as with every change of a Pod's status.
        assert_eq!(pods.take(Watched::Apply(pod("ns/user", "n1", "fast"))), []);
        // It has ended: it uses nothing any more.
        assert_eq!(pods.take(Watched::Apply(pod("ns/user", "n1", ""))), [StoreChange::Pods("n1".into())]);
        assert_eq!(pods.on("n1").unwrap().len(), 0);
        assert_eq!(
            pods.take(Watched::Gone { name: "ns/user".into(), uid: "ns/user".into(), version: String::new() }),
            []
        );
    }
}

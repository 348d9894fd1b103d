//! The reasons for which it was published that a Node keeps its startup taint: each is published once.

use std::collections::{BTreeMap, BTreeSet};

/// UID of the Node and published reasons, by name of the Node.
#[derive(Debug, Default)]
pub(super) struct KeptTaints(BTreeMap<String, (String, BTreeSet<String>)>);

impl KeptTaints {
    /// Whether this reason was not published for this Node before. Another Node may have had the name.
    pub fn is_news(&mut self, node: &str, uid: &str, reason: &str) -> bool {
        let said = self.0.entry(node.to_owned()).or_default();
        if said.0 != uid {
            *said = (uid.to_owned(), BTreeSet::new());
        }
        said.1.insert(reason.to_owned())
    }

    /// The Node has no taint, or is gone.
    pub fn forget(&mut self, node: &str) {
        self.0.remove(node);
    }

    /// Keeps the Nodes that still exist.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|node, _| exists(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_for_each_node() {
        let mut kept = KeptTaints::default();
        let mut news = |uid: &str, reason: &str| kept.is_news("n0", uid, reason);
        assert_eq!([news("u", "A"), news("u", "A"), news("u", "B"), news("u", "A")], [true, false, true, false]);
        assert!(news("v", "A"), "another Node has the name");
        kept.forget("n0");
        assert!(kept.is_news("n0", "v", "A"));
        kept.retain(|_| false);
        assert!(kept.is_news("n0", "v", "A"));
    }
}

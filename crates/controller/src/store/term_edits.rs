//! Edits of `subnetSelectorTerms`, as the store finds them in its NodeENIs. They wait here until the reconciler takes them.

use super::Store;
use super::entries::NodeEniEntry;
use multi_eni_plan::ec2_terms::SubnetTerm;

impl Store {
    /// The NodeENIs (by UID) whose subnet terms were edited since the last call.
    pub fn take_term_edits(&mut self) -> Vec<String> {
        std::mem::take(&mut self.term_edits)
    }

    /// Notes an edit of the subnet terms, if the new state of the NodeENI has other terms than the known one.
    pub(super) fn note_term_edit(&mut self, entry: &NodeEniEntry) {
        let nodeeni = &entry.nodeeni;
        let before = self.nodeeni(&nodeeni.name).filter(|before| before.nodeeni.uid == nodeeni.uid);
        if before.is_some_and(|before| terms_of(before) != terms_of(entry)) {
            self.term_edits.push(nodeeni.uid.clone());
        }
    }
}

fn terms_of(entry: &NodeEniEntry) -> &[SubnetTerm] {
    entry.nodeeni.spec.as_ref().map_or(&[], |spec| &spec.subnet_terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::change::{Change, Watched};
    use multi_eni_api::{NodeENI, NodeEniSpec, SubnetSelectorTerm};

    fn edits(store: &mut Store, uid: &str, version: &str, name: &str, mtu: i32) -> Vec<String> {
        let term = SubnetSelectorTerm { id: None, name: Some(name.to_owned()), tags: None };
        let spec = NodeEniSpec {
            node_selector: [("a".to_owned(), "b".to_owned())].into(),
            subnet_selector_terms: Some(vec![term]),
            device_index: 1,
            mtu: Some(mtu),
            ..NodeEniSpec::default()
        };
        let mut object = NodeENI::new("a", spec);
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        store.take(Change::NodeEni(Watched::Apply(NodeEniEntry::read(&Ok(object)).into())));
        store.take_term_edits()
    }

    #[test]
    fn an_edit_of_the_subnet_terms_is_noted_once_and_no_other_edit_is() {
        let mut store = Store::default();
        assert_eq!(edits(&mut store, "u", "1", "db", 1500), [""; 0], "it was there before this process");
        assert_eq!(edits(&mut store, "u", "2", "db", 9000), [""; 0], "another field");
        assert_eq!(edits(&mut store, "u", "3", "web", 9000), ["u"]);
        assert_eq!(edits(&mut store, "u", "2", "db", 9000), [""; 0], "an old state");
        assert_eq!(edits(&mut store, "v", "4", "db", 9000), [""; 0], "another NodeENI of that name");
    }
}

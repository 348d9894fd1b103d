//! Which ENIAttachments asked for a new description of their subnet. An answer that shows the same again is no change of the cache,
//! but they decide anew with it: the description is younger.

use multi_eni_api::ids::SubnetId;
use std::collections::{BTreeMap, BTreeSet};

/// Names of ENIAttachments, by the subnet that each waits for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AwaitedSubnets(BTreeMap<SubnetId, BTreeSet<String>>);

impl AwaitedSubnets {
    /// Records that the ENIAttachment with this name asked for the subnet.
    pub fn asked(&mut self, subnet: &SubnetId, name: &str) {
        self.0.entry(subnet.clone()).or_default().insert(name.to_owned());
    }

    /// The names that asked for these subnets. They have their answer, and are forgotten.
    pub fn answered(&mut self, subnets: &BTreeSet<SubnetId>) -> BTreeSet<String> {
        subnets.iter().filter_map(|subnet| self.0.remove(subnet)).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_wakes_those_that_asked_for_the_subnet_once() {
        let [a, b] = ["subnet-0000000a", "subnet-0000000b"].map(|id| SubnetId::parse(id).unwrap());
        let mut awaited = AwaitedSubnets::default();
        awaited.asked(&a, "x");
        awaited.asked(&a, "y");
        awaited.asked(&a, "x");
        awaited.asked(&b, "z");
        assert_eq!(awaited.answered(&[a.clone()].into()), ["x", "y"].map(str::to_owned).into());
        assert_eq!(awaited.answered(&[a, b].into()), ["z".to_owned()].into());
        assert_eq!(awaited, AwaitedSubnets::default());
    }
}

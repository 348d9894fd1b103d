//! Which nodes may have their ENIs replaced now: keyed by NodeENI, since `maxUnavailable` belongs to one.

use crate::held::Held;
use multi_eni_api::conditions::{self, types};
use std::collections::{BTreeMap, BTreeSet};

/// For each NodeENI (by UID) the nodes on which `assign` may remove an outdated ENI.
pub type Permits = BTreeMap<String, BTreeSet<String>>;

/// The nodes of one NodeENI on which replacement may go on or begin.
///
/// `outdated` are the nodes that have an attachment which the spec no longer describes. Nodes where something is
/// already away (being removed, or not ready) use up the allowance first: a replacement never takes down more than
/// `max_unavailable` nodes at a time, and one that was begun is always finished.
pub fn permits(attachments: &[&Held], outdated: &BTreeSet<String>, max_unavailable: usize) -> BTreeSet<String> {
    let away: BTreeSet<&String> = attachments
        .iter()
        .filter(|held| held.deleting.is_some() || !conditions::is_true(&held.status.conditions, types::READY))
        .map(|held| &held.node)
        .collect();
    // An outdated node that is away already loses nothing by being replaced.
    let begun = outdated.iter().filter(|node| away.contains(node));
    let room = max_unavailable.saturating_sub(away.len());
    let next = outdated.iter().filter(|node| !away.contains(node)).take(room);
    begun.chain(next).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assign::tests::held;

    #[test]
    fn at_most_max_unavailable_nodes_are_away_and_a_begun_one_goes_on() {
        let ready: Vec<Held> = (0..4).map(|n| held(&format!("n{n}"), 1, true)).collect();
        let refs: Vec<&Held> = ready.iter().collect();
        let outdated: BTreeSet<String> = ready.iter().map(|h| h.node.clone()).collect();
        assert_eq!(permits(&refs, &outdated, 1), BTreeSet::from(["n0".to_owned()]));
        assert_eq!(permits(&refs, &outdated, 2), BTreeSet::from(["n0".to_owned(), "n1".to_owned()]));

        let mut some_away = ready.clone();
        some_away[2] = held("n2", 1, false);
        let refs: Vec<&Held> = some_away.iter().collect();
        assert_eq!(permits(&refs, &outdated, 1), BTreeSet::from(["n2".to_owned()]));
    }
}

//! Records when EC2 showed something of this cluster: an ENI or an instance. Credentials for another account or Region show
//! nothing of this cluster. So an ENI that a lookup does not show is absent only if EC2 showed something of this cluster before
//! the lookup began. Such a showing is called evidence here.

use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// The number of showings that are kept. A lookup that takes seconds may end after several others that began later.
const SIGNS: usize = 32;

/// The start times of the latest Describes that showed something of this cluster, in ascending order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home(VecDeque<Timestamp>);

impl Home {
    /// Records that a Describe that began at `at` showed something of this cluster, or other proof of the account and Region at
    /// `at`.
    pub fn shown(&mut self, at: Timestamp) {
        if self.latest().is_some_and(|latest| at <= latest) {
            return;
        }
        if self.0.len() >= SIGNS {
            self.0.pop_front();
        }
        self.0.push_back(at);
    }

    /// The time of the latest evidence.
    pub fn latest(&self) -> Option<Timestamp> {
        self.0.back().copied()
    }

    /// The time of the latest evidence that existed when a lookup began at `began`.
    pub fn at(&self, began: Timestamp) -> Option<Timestamp> {
        self.0.iter().rev().find(|shown| **shown <= began).copied()
    }
}

/// A complete lookup or resync that did not show an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lookup {
    /// When the lookup began.
    pub began: Timestamp,
    /// The time of the latest evidence that existed then.
    pub home: Option<Timestamp>,
}

/// The latest lookup by tag, by UID of the ENIAttachment.
pub(crate) type LookupsByTag = BTreeMap<String, Lookup>;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_lookup_gets_the_evidence_that_existed_when_it_began() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut home = Home::default();
        assert_eq!(home.at(at(5)), None);
        home.shown(at(10));
        home.shown(at(20));
        home.shown(at(15));
        assert_eq!((home.latest(), home.at(at(9)), home.at(at(12))), (Some(at(20)), None, Some(at(10))));
        assert_eq!(home.at(at(20)), Some(at(20)));
    }
}

//! When EC2 showed something of this cluster: an ENI or an instance. Another account shows nothing, so what a look does not show is
//! absent only if that look came after such a sign.

use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// So many signs are remembered: looks that take seconds end after several that began later.
const SIGNS: usize = 32;

/// Starts of the latest Describes that showed something, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home(VecDeque<Timestamp>);

impl Home {
    /// A Describe that began at `at` showed something of this cluster, or the account and Region are proven as of then.
    pub fn shown(&mut self, at: Timestamp) {
        if self.latest().is_some_and(|latest| at <= latest) {
            return;
        }
        if self.0.len() >= SIGNS {
            self.0.pop_front();
        }
        self.0.push_back(at);
    }

    /// The latest sign.
    pub fn latest(&self) -> Option<Timestamp> {
        self.0.back().copied()
    }

    /// The latest sign that was there when a look began.
    pub fn at(&self, began: Timestamp) -> Option<Timestamp> {
        self.0.iter().rev().find(|shown| **shown <= began).copied()
    }
}

/// A whole look that did not show an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lookup {
    /// When it began.
    pub began: Timestamp,
    /// The latest sign that was there then.
    pub home: Option<Timestamp>,
}

/// By UID of the ENIAttachment: the latest look by tag.
pub(crate) type Looks = BTreeMap<String, Lookup>;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_look_knows_the_sign_that_was_there_when_it_began() {
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

//! Parses `rollout.maxUnavailable`, a number or a percentage of nodes, and computes how many nodes it permits. It decides about
//! no node.

use crate::max_removals::MaxRemovals;
use std::fmt;

/// The value of `rollout.maxUnavailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxUnavailable {
    /// A number of nodes, at least 1.
    Nodes(usize),
    /// A percentage of the nodes that the NodeENI matches, 1 to 100.
    Percent(usize),
}

impl MaxUnavailable {
    /// Parses a number such as `5` or a percentage such as `25%`. None if the text is neither or out of bounds.
    pub fn parse(text: &str) -> Option<Self> {
        MaxRemovals::parse(text).map(|parsed| match parsed {
            MaxRemovals::Nodes(number) => Self::Nodes(number),
            MaxRemovals::Percent(percent) => Self::Percent(percent),
        })
    }

    /// How many of the `matched` nodes may be without their ENIs at a time. A percentage is rounded up, as in a DaemonSet's
    /// `maxUnavailable`. The result is at least 1, so a rollout always goes on.
    pub fn of(self, matched: usize) -> usize {
        match self {
            Self::Nodes(number) => number.max(1),
            Self::Percent(percent) => matched.saturating_mul(percent).div_ceil(100).max(1),
        }
    }
}

impl Default for MaxUnavailable {
    fn default() -> Self {
        Self::Nodes(1)
    }
}

impl fmt::Display for MaxUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_up_and_is_at_least_one_node() {
        let of = |text: &str, matched| MaxUnavailable::parse(text).map(|max| max.of(matched));
        assert_eq!(of("3", 30), Some(3));
        assert_eq!(of("3", 0), Some(3), "a number does not depend on the nodes");
        assert_eq!(of("25%", 8), Some(2));
        assert_eq!(of("25%", 9), Some(3), "2.25 nodes are rounded up");
        assert_eq!(of("1%", 30), Some(1));
        assert_eq!(of("50%", 0), Some(1), "a rollout never stands still");
        assert_eq!(of("100%", 30), Some(30));
        for bad in ["0", "-1", "0%", "101%", "", "%", "ten", "1.5", "1.5%"] {
            assert_eq!(of(bad, 30), None, "{bad:?}");
        }
    }
}

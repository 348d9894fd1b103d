//! Parses `rollout.maxRemovals`, a number or a percentage of nodes, and computes the limit of one window from it. It decides
//! about no node.

/// The default limit without `rollout.maxRemovals` is a tenth of the nodes, and at least this many.
const AT_LEAST: usize = 10;

/// The value of `rollout.maxRemovals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxRemovals {
    /// A number of nodes, at least 1.
    Nodes(usize),
    /// A percentage of the NodeENI's nodes, 1 to 100; the result is at least one node.
    Percent(usize),
}

impl MaxRemovals {
    /// Parses a number such as `5` or a percentage such as `25%`. None if the text is neither or out of bounds.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, kind): (&str, fn(usize) -> Self) = match text.strip_suffix('%') {
            Some(number) => (number, Self::Percent),
            None => (text, Self::Nodes),
        };
        let number = number.parse().ok().filter(|number| *number > 0)?;
        Some(kind(number)).filter(|max| !matches!(max, Self::Percent(101..)))
    }

    /// How many of `nodes` may lose ENIs within a window. `max`: None for the default.
    pub(crate) fn of(max: Option<Self>, nodes: usize) -> usize {
        match max {
            None => (nodes / 10).max(AT_LEAST),
            Some(Self::Nodes(number)) => number,
            Some(Self::Percent(percent)) => (nodes.saturating_mul(percent) / 100).max(1),
        }
    }
}

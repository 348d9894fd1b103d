//! `rollout.maxRemovals`: a number or a percentage of nodes.

/// Nodes on which every NodeENI may lose ENIs, without `rollout.maxRemovals`: at least so many.
const AT_LEAST: usize = 10;

/// `rollout.maxRemovals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxRemovals {
    /// So many nodes.
    Nodes(usize),
    /// So many of a hundred of its nodes, at least one.
    Percent(usize),
}

impl MaxRemovals {
    /// Reads `5` or `"25%"`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, kind): (&str, fn(usize) -> Self) = match text.strip_suffix('%') {
            Some(number) => (number, Self::Percent),
            None => (text, Self::Nodes),
        };
        let number = number.parse().ok().filter(|number| *number > 0)?;
        Some(kind(number)).filter(|max| !matches!(max, Self::Percent(101..)))
    }

    /// How many of `nodes` may lose ENIs within a window.
    pub(crate) fn of(max: Option<Self>, nodes: usize) -> usize {
        match max {
            None => (nodes / 10).max(AT_LEAST),
            Some(Self::Nodes(number)) => number,
            Some(Self::Percent(percent)) => (nodes.saturating_mul(percent) / 100).max(1),
        }
    }
}

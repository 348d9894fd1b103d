//! A problem of a NodeENI as a whole, in addition to the ENIs that its nodes do not get. It is found by the controller,
//! or by a decision that is not about one Node. `status` reports it in the conditions Degraded and Ready.

/// One problem. It stands until the component that found it no longer reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// CamelCase reason of the condition.
    pub reason: &'static str,
    /// What is wrong, since when, and what to do, as one sentence or more.
    pub message: String,
    /// The Node that the problem concerns. None: all Nodes.
    pub node: Option<String>,
}

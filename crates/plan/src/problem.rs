//! What is wrong with a NodeENI as a whole, beside the ENIs that its nodes do not get: found by the shell or by a decision
//! that is not about one Node. `status` says it in Degraded and Ready.

/// One thing that is wrong. It stands until whoever found it no longer reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// CamelCase reason of the condition.
    pub reason: &'static str,
    /// What is wrong, since when, and what to do: a sentence.
    pub message: String,
    /// The Node that it concerns; None: all.
    pub node: Option<String>,
}

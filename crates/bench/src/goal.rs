//! One goal of the design, and the result that was measured for it.

use serde::Serialize;
use std::fmt;

/// A goal of the design, and whether it is met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Goal {
    /// The goal, in words.
    pub goal: &'static str,
    /// The worst measured value, and the most that is allowed. None: this run did not measure it.
    pub measured: Option<[f64; 2]>,
    /// The command that measures it.
    pub by: &'static str,
    /// What the measured value consists of.
    pub made_of: &'static str,
}

impl Goal {
    /// Whether the goal is met. None if it was not measured.
    pub fn is_met(&self) -> Option<bool> {
        self.measured.map(|[measured, most]| measured <= most)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goal, measured, by, made_of } = self;
        match measured {
            None => write!(f, "  -       {goal}: not measured by this run, but by {by}"),
            Some([measured, most]) if measured <= most => write!(f, "  met     {goal}: {}", number(*measured)),
            Some([measured, most]) => {
                write!(f, "  MISSED  {goal}: {}, {} too much; {made_of}", number(*measured), number(measured - most))
            }
        }
    }
}

fn number(of: f64) -> String {
    let text = format!("{of:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

//! The trace: what happened, a line each.

use super::invariant::seconds;
use crate::script::Millis;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing: the fastest.
    None,
    /// What a person wants to read: acts, faults, processes, calls that change something, writes.
    Story,
    /// All requests, all answers.
    Everything,
}

/// The lines.
#[derive(Debug)]
pub struct Trace {
    detail: Detail,
    lines: Vec<String>,
}

impl Trace {
    /// Keeps this much.
    pub fn new(detail: Detail) -> Self {
        Self { detail, lines: Vec::new() }
    }

    /// Whether lines of this detail are kept: do not make them otherwise.
    pub fn keeps(&self, detail: Detail) -> bool {
        self.detail >= detail
    }

    /// Adds a line if its detail is kept.
    pub fn line(&mut self, detail: Detail, at: Millis, who: &str, what: impl FnOnce() -> String) {
        if self.keeps(detail) {
            self.lines.push(format!("{:>9.3} {who:<6} {}", seconds(at), what()));
        }
    }

    /// All lines so far.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

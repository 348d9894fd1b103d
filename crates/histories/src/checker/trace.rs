//! The trace of a history: one line for each event.

use super::invariant::seconds;
use crate::script::Millis;

/// How much of a history the trace keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// No lines. This is the fastest.
    None,
    /// The operations, faults, processes, changing calls and writes: what golden traces contain.
    Story,
    /// Also all requests, answers and stored objects.
    Everything,
}

/// The lines that are kept.
#[derive(Debug)]
pub struct Trace {
    detail: Detail,
    lines: Vec<String>,
}

impl Trace {
    /// An empty trace that keeps lines of this detail.
    pub fn new(detail: Detail) -> Self {
        Self { detail, lines: Vec::new() }
    }

    /// Whether lines of this detail are kept. Callers check it before they build an expensive line.
    pub fn keeps(&self, detail: Detail) -> bool {
        self.detail >= detail
    }

    /// Adds a line if its detail is kept.
    pub fn line(&mut self, detail: Detail, at: Millis, actor: &str, what: impl FnOnce() -> String) {
        if self.keeps(detail) {
            self.lines.push(format!("{:>9.3} {actor:<6} {}", seconds(at), what()));
        }
    }

    /// Takes all lines so far.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

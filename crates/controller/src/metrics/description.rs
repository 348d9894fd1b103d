//! The description of a metric: what is registered for it, and what the reference says about it.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, without the suffix `_total` of a counter.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it shows, without a full stop at the end.
    pub help: &'static str,
    /// Whether its name and labels may change.
    pub stability: Stability,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process or the term of leadership ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of durations between bounds.
    Histogram,
}

/// Whether a metric may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// Its name and its labels stay.
    Stable,
    /// Its name and its labels may change in any release.
    Alpha,
}

impl Metric {
    /// An alpha metric.
    pub const fn alpha(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind, labels, help, stability: Stability::Alpha }
    }

    /// A stable metric.
    pub const fn stable(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind, labels, help, stability: Stability::Stable }
    }

    /// The name without its unit, and the unit, if the name ends in one.
    pub fn unit(&self) -> Option<(&'static str, &'static str)> {
        ["seconds", "bytes"].into_iter().find_map(|unit| {
            let base = self.name.strip_suffix(unit)?.strip_suffix('_')?;
            Some((base, unit))
        })
    }
}

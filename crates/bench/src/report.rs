//! Formats the results: the tables for the terminal, and the JSON.

use crate::real::{labels, measure::RealMeasurement};
use crate::results::Results;
use crate::workload::{Latecomers, Measurement};
use std::fmt::Write;

/// The actions that have a column, with its heading.
const COLUMNS: [(&str, &str); 6] = [
    ("CreateNetworkInterface", "Create"),
    ("AttachNetworkInterface", "Attach"),
    ("ModifyNetworkInterfaceAttribute", "Modify"),
    ("DetachNetworkInterface", "Detach"),
    ("DeleteNetworkInterface", "Delete"),
    ("DescribeNetworkInterfaces", "Describe"),
];

/// The heading of the table for virtual time.
pub fn heading() -> String {
    let columns: String = COLUMNS.iter().map(|(_, name)| format!("{name:>9}")).collect();
    format!(
        "{:<44}{:>9}{:>9}{:>7}{columns}{:>7}{:>8}{:>9}{:>9}",
        "", "seconds", "floor", "ratio", "other", "refused", "writes", "per ENI"
    )
}

/// A line of the table for virtual time.
pub fn line(measured: &Measurement) -> String {
    let Measurement { scale, piece, seconds, floor, enis, .. } = measured;
    let name = format!("{scale}: {piece}");
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let mut line = format!("{name:<44}{seconds:>9.1}{:>9}{:>7}", shown(*floor, 1), shown(measured.ratio(), 3));
    for (action, _) in COLUMNS {
        let _ = write!(line, "{:>9}", measured.count(action));
    }
    let known = |action: &String| COLUMNS.iter().any(|(name, _)| name == action);
    let other: u64 = measured.calls.iter().filter(|(action, _)| !known(action)).map(|(_, count)| count).sum();
    let refused: u64 = measured.refused.values().sum();
    let writes = measured.all_writes();
    #[allow(clippy::cast_precision_loss, reason = "a count of calls")]
    let each = (*enis > 0).then(|| measured.tried_mutations() as f64 / f64::from(*enis));
    let _ = write!(line, "{other:>7}{refused:>8}{writes:>9}{:>9}", shown(each, 2));
    line
}

/// The heading of the table for real time.
pub fn real_heading() -> String {
    format!(
        "{:<12}{:<38}{:>12}{:>9}{:>9}{:>7}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}",
        "", "", "done", "seconds", "floor", "ratio", "changes", "Describe", "refused", "writes", "peak MiB", "CPU s"
    )
}

/// A line of the table for real time.
pub fn real_line(took: &RealMeasurement) -> String {
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let ratio = took.floor.filter(|floor| *floor > 0.0 && took.done == took.enis).map(|floor| took.seconds / floor);
    let calls = |reads: bool| -> u64 {
        took.calls.iter().filter(|(name, _)| name.starts_with("Describe") == reads).map(|(_, count)| count).sum()
    };
    let (refused, writes): (u64, u64) = (took.refused.values().sum(), took.writes.values().sum());
    let added = took.added_ms.map_or_else(String::new, |[half, most]| {
        let slowest = labels::slowest(&took.labels).map_or_else(String::new, |line| format!("\n{:<12}  {line}", ""));
        format!(
            "\n{:<12}  from a label to Attach, without the time of EC2's answers: median {half:.1} ms, 99th percentile \
             {most:.1} ms{slowest}",
            ""
        )
    });
    format!(
        "{:<12}{:<38}{:>12}{:>9.1}{:>9}{:>7}{:>9}{:>9}{refused:>8}{writes:>8}{:>9.1}{:>9.2}{added}",
        took.candidate,
        format!("{}: {}", took.scale, took.piece),
        format!("{} of {}", took.done, took.enis),
        took.seconds,
        shown(took.floor, 1),
        shown(ratio, 3),
        calls(false),
        calls(true),
        took.peak_mib,
        took.cpu_seconds
    )
}

/// A line about the nodes that join during a burst.
pub fn late(nodes: u32, late: &Latecomers) -> String {
    let Latecomers { node, nodeeni, burst } = late;
    format!(
        "{:<44}{node:>9.1}  with a NodeENI of its own {nodeeni:.1}; the whole burst takes {burst:.1}",
        format!("{nodes} × 1: a node that joins after 20 s")
    )
}

/// All results as JSON.
///
/// # Errors
/// If a result cannot be written as JSON, which would be a defect of this crate.
pub fn json(all: &Results) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(all)
}

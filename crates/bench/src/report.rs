//! What was measured, for people and for programs.

use crate::goals::Goal;
use crate::real::measure::Took;
use crate::scenes::{Latecomers, Measured};
use serde::Serialize;
use std::fmt::Write;

/// All that a run measured.
#[derive(Debug, Default, Serialize)]
pub struct All {
    /// The pieces of work, world by world.
    pub work: Vec<Measured>,
    /// Who came during a burst, world by world.
    pub latecomers: Vec<Latecomers>,
    /// What was done in real time, candidate by candidate.
    pub real: Vec<Took>,
    /// What came of the design's goals.
    pub goals: Vec<Goal>,
    /// Ctrl-C came before the end.
    pub interrupted: bool,
}

/// The actions that have a column, with what the column is called.
const COLUMNS: [(&str, &str); 6] = [
    ("CreateNetworkInterface", "Create"),
    ("AttachNetworkInterface", "Attach"),
    ("ModifyNetworkInterfaceAttribute", "Modify"),
    ("DetachNetworkInterface", "Detach"),
    ("DeleteNetworkInterface", "Delete"),
    ("DescribeNetworkInterfaces", "Describe"),
];

/// The heading of the table.
pub fn heading() -> String {
    let columns: String = COLUMNS.iter().map(|(_, name)| format!("{name:>9}")).collect();
    format!(
        "{:<44}{:>9}{:>9}{:>7}{columns}{:>7}{:>8}{:>9}{:>9}",
        "", "seconds", "floor", "ratio", "other", "refused", "writes", "per ENI"
    )
}

/// A line of the table.
pub fn line(measured: &Measured) -> String {
    let Measured { scale, piece, seconds, floor, enis, .. } = measured;
    let scene = format!("{scale}: {piece}");
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let mut line = format!("{scene:<44}{seconds:>9.1}{:>9}{:>7}", shown(*floor, 1), shown(measured.ratio(), 3));
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

/// The heading of the table of real time.
pub fn real_heading() -> String {
    format!(
        "{:<12}{:<38}{:>12}{:>9}{:>9}{:>7}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}",
        "", "", "done", "seconds", "floor", "ratio", "changes", "Describe", "refused", "writes", "peak MiB", "CPU s"
    )
}

/// A line of it.
pub fn real_line(took: &Took) -> String {
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let ratio = took.floor.filter(|floor| *floor > 0.0 && took.done == took.enis).map(|floor| took.seconds / floor);
    let calls = |reads: bool| -> u64 {
        took.calls.iter().filter(|(name, _)| name.starts_with("Describe") == reads).map(|(_, count)| count).sum()
    };
    let (refused, writes): (u64, u64) = (took.refused.values().sum(), took.writes.values().sum());
    let added = took.added_ms.map_or_else(String::new, |[half, most]| {
        format!("\n{:<12}  from a label to Attach, beyond EC2's answers: {half:.1} ms for half of them, {most:.1} ms for 99 %", "")
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

/// A line about those who came during a burst.
pub fn late(nodes: u32, late: &Latecomers) -> String {
    let Latecomers { node, nodeeni, burst } = late;
    format!(
        "{:<44}{node:>9.1}  with a NodeENI of its own {nodeeni:.1}; the whole burst takes {burst:.1}",
        format!("{nodes} × 1: a node that joins after 20 s")
    )
}

/// Everything, as JSON.
///
/// # Errors
/// None that a number could cause.
pub fn json(all: &All) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(all)
}

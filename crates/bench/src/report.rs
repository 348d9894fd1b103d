//! What was measured, for people and for programs.

use crate::scenes::Measured;
use std::fmt::Write;

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
    let Measured { scene, seconds, floor, enis, .. } = measured;
    let shown = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let mut line = format!("{scene:<44}{seconds:>9.1}{:>9}{:>7}", shown(*floor, 1), shown(measured.ratio(), 3));
    for (action, _) in COLUMNS {
        let _ = write!(line, "{:>9}", measured.count(action));
    }
    let known = |action: &String| COLUMNS.iter().any(|(name, _)| name == action);
    let other: u64 = measured.calls.iter().filter(|(action, _)| !known(action)).map(|(_, count)| count).sum();
    let refused: u64 = measured.refused.values().sum();
    let writes: u64 = measured.writes.values().sum();
    #[allow(clippy::cast_precision_loss, reason = "a count of calls")]
    let each = (*enis > 0).then(|| measured.mutations() as f64 / f64::from(*enis));
    let _ = write!(line, "{other:>7}{refused:>8}{writes:>9}{:>9}", shown(each, 2));
    line
}

/// Everything, as JSON.
///
/// # Errors
/// None that a number could cause.
pub fn json(all: &[Measured]) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(all)
}

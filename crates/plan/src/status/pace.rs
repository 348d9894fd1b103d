//! How often the status of a NodeENI is computed and written. A long list of ENIs costs tens of milliseconds of CPU here and in the
//! API server.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::NodeEniStatus;

/// A list with more entries than this is long.
const LONG_LIST: usize = 50;

fn is_long(status: &NodeEniStatus) -> bool {
    status.attachments.len() > LONG_LIST
}

/// When the next status may be written after one at `last`: one second later, or five seconds if the list is long.
pub fn next_write(last: Timestamp, status: &NodeEniStatus) -> Timestamp {
    let pause = SignedDuration::from_secs(if is_long(status) { 5 } else { 1 });
    last.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// When the status is computed after the first change that it does not show, at `changed`: at once, or a quarter of a second later
/// if the list is long. The calls for the ENI that the change asks for go first.
pub fn settles(changed: Timestamp, status: &NodeEniStatus) -> Timestamp {
    let pause = SignedDuration::from_millis(if is_long(status) { 250 } else { 0 });
    changed.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::nodeeni_status::AttachmentEntry;

    fn of(entries: usize) -> NodeEniStatus {
        NodeEniStatus { attachments: vec![AttachmentEntry::default(); entries], ..NodeEniStatus::default() }
    }

    #[test]
    fn a_long_list_is_written_less_often_and_after_the_calls() {
        let at = Timestamp::UNIX_EPOCH;
        let after = |time: Timestamp| time.duration_since(at).as_millis();
        let paces =
            [0, 50, 51, 500].map(|entries| (after(next_write(at, &of(entries))), after(settles(at, &of(entries)))));
        assert_eq!(paces, [(1_000, 0), (1_000, 0), (5_000, 250), (5_000, 250)]);
    }
}

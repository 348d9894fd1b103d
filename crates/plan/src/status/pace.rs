//! How often the status of a NodeENI is computed and written. A long list of ENIs costs tens of milliseconds of CPU here and in the
//! API server.

use jiff::{SignedDuration, Timestamp};
use multi_eni_api::NodeEniStatus;

/// A list with more entries than this is long.
const LONG_LIST: usize = 50;

/// How long no ENI must have been decided in another way before a long list is computed.
const QUIET: SignedDuration = SignedDuration::from_millis(250);
/// For how long a long list waits for that at most.
const MAX_WAIT: SignedDuration = SignedDuration::from_secs(1);

fn is_long(status: &NodeEniStatus) -> bool {
    status.attachments.len() > LONG_LIST
}

/// When the next status may be written after one at `last`: one second later, or five seconds if the list is long.
pub fn next_write(last: Timestamp, status: &NodeEniStatus) -> Timestamp {
    let pause = SignedDuration::from_secs(if is_long(status) { 5 } else { 1 });
    last.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// What the next status of a NodeENI waits for.
#[derive(Debug, Clone, Copy)]
pub struct PendingStatus {
    /// When this process wrote the last one, if it did.
    pub written: Option<Timestamp>,
    /// When the first change came that it does not show.
    pub changed: Timestamp,
    /// When its ENIs on a Node were last decided in another way than before.
    pub decided: Option<Timestamp>,
}

impl PendingStatus {
    /// When the status is computed: at once, if the list is short. A long list waits for a quarter of a second after the first change, and
    /// as long after each later decision, but not for more than a second in all: the API server takes tens of milliseconds for the
    /// write, and the requests for the ENIs that were decided go first.
    pub fn due_at(self, status: &NodeEniStatus) -> Timestamp {
        let after = |time: Timestamp, pause| time.saturating_add(pause).unwrap_or(Timestamp::MAX);
        let quiet = if is_long(status) { QUIET } else { SignedDuration::ZERO };
        let paced = self.written.map(|last| next_write(last, status));
        let ready = paced.into_iter().chain([after(self.changed, quiet)]).max().unwrap_or(self.changed);
        let calm = self.decided.filter(|_| is_long(status)).map(|decided| after(decided, quiet));
        calm.map_or(ready, |calm| ready.max(calm.min(after(ready, MAX_WAIT))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::nodeeni_status::AttachmentEntry;

    fn of(entries: usize) -> NodeEniStatus {
        NodeEniStatus { attachments: vec![AttachmentEntry::default(); entries], ..NodeEniStatus::default() }
    }

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn ms(at: i64) -> Timestamp {
        AT + SignedDuration::from_millis(at)
    }

    fn since(time: Timestamp) -> i128 {
        time.duration_since(AT).as_millis()
    }

    #[test]
    fn a_long_list_is_written_less_often_and_after_the_calls() {
        let pending = PendingStatus { written: None, changed: AT, decided: None };
        let paces =
            [0, 50, 51, 500].map(|entries| (since(next_write(AT, &of(entries))), since(pending.due_at(&of(entries)))));
        assert_eq!(paces, [(1_000, 0), (1_000, 0), (5_000, 250), (5_000, 250)]);
    }

    /// The requests for the ENIs that are decided now meet no write of a long status, unless ENIs are decided all the time.
    #[test]
    fn a_decision_delays_a_long_list_for_a_while_and_a_second_at_most() {
        let due = |decided, entries| {
            let pending = PendingStatus { written: Some(AT), changed: ms(100), decided: Some(ms(decided)) };
            since(pending.due_at(&of(entries)))
        };
        let long = [100, 4_700, 4_750, 4_990, 5_700, 5_750, 6_500].map(|decided| due(decided, 51));
        assert_eq!(long, [5_000, 5_000, 5_000, 5_240, 5_950, 6_000, 6_000]);
        assert_eq!([100, 990, 6_500].map(|decided| due(decided, 50)), [1_000; 3]);
    }
}

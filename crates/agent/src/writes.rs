//! Which statuses may be written now. A write goes on while the agent looks at the node, and one that failed waits by itself: an
//! ENIAttachment that the API server refuses does not delay the others.

use crate::pace::back_off;
use std::collections::BTreeMap;
use std::time::Duration;

/// The writes, by the UID of the ENIAttachment. Times are since the start of the process.
#[derive(Debug, Default)]
pub struct Writes(BTreeMap<String, Write>);

#[derive(Debug)]
struct Write {
    /// How often in a row it failed.
    failures: u32,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The request is on its way.
    Sent,
    /// The request is on its way, and what it says is old by now.
    SentAndOld,
    /// It failed, and is due again at this time.
    Failed(Duration),
}

impl Writes {
    /// Whether a write may start now. If so, it counts as sent.
    pub fn start(&mut self, uid: &str, now: Duration) -> bool {
        let write = self.0.entry(uid.to_owned()).or_insert(Write { failures: 0, state: State::Failed(now) });
        match write.state {
            State::Failed(due) if due <= now => write.state = State::Sent,
            State::Failed(_) => return false,
            State::Sent | State::SentAndOld => {
                write.state = State::SentAndOld;
                return false;
            }
        }
        true
    }

    /// Notes the end of a write. The result is whether the reports must be looked at again at once.
    pub fn done(&mut self, uid: &str, is_written: bool, now: Duration) -> bool {
        if is_written {
            return self.0.remove(uid).is_some_and(|write| write.state == State::SentAndOld);
        }
        if let Some(write) = self.0.get_mut(uid) {
            write.failures = write.failures.saturating_add(1);
            write.state = State::Failed(now.saturating_add(back_off(write.failures)));
        }
        false
    }

    /// How many ENIAttachments have a last write that failed.
    pub fn failed(&self) -> usize {
        self.0.values().filter(|write| write.failures > 0).count()
    }

    /// How long it is until a write that failed is due again. One whose time has passed waits for the next look: nobody may want it.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let due = self.0.values().filter_map(|write| match write.state {
            State::Failed(due) => due.checked_sub(now).filter(|wait| !wait.is_zero()),
            State::Sent | State::SentAndOld => None,
        });
        due.min()
    }

    /// Forgets ENIAttachments that are gone.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_write_that_failed_waits_longer_each_time_and_delays_no_other() {
        let mut writes = Writes::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert!(writes.start("a", now));
            assert!(!writes.done("a", false, now));
            assert!(!writes.start("a", now) && writes.start("b", now));
            assert!(!writes.done("b", true, now));
            let wait = writes.next_due(now).unwrap();
            assert_eq!(writes.next_due(now + wait), None);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(writes.failed(), 1);
        assert!(writes.start("a", now));
        writes.done("a", true, now);
        assert_eq!((writes.next_due(now), writes.failed()), (None, 0));
    }

    #[test]
    fn a_report_that_changes_during_its_write_is_written_after_it() {
        let mut writes = Writes::default();
        assert!(writes.start("a", at(0)));
        assert!(!writes.start("a", at(1)));
        assert!(writes.done("a", true, at(2)), "the newer report is still to be written");
        assert!(writes.start("a", at(2)));
    }
}

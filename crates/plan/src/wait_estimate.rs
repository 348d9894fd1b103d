//! How long what waits for EC2's request rates will wait.

use std::collections::BTreeMap;

/// Calls of one action that wait for their turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallQueue {
    /// How many wait, by the NodeENI (by UID) whose ENIs they are for.
    pub waiting: BTreeMap<String, usize>,
    /// Calls a second that EC2 is sent at most.
    pub rate: f64,
}

/// What waits to be created, and what to be attached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallQueues {
    /// CreateNetworkInterface.
    pub create: CallQueue,
    /// AttachNetworkInterface.
    pub attach: CallQueue,
}

/// When a NodeENI's last ENI will have had its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The action that takes longest.
    pub action: &'static str,
    /// ENIs of this NodeENI that wait for it.
    pub waiting: usize,
    /// Seconds from now.
    pub seconds: u64,
}

/// What takes less is not worth a word: it is over before it is read.
const WORTH_SAYING: u64 = 10;

impl CallQueues {
    /// What one NodeENI has to expect; None if it waits for no turn, or only for moments. NodeENIs take turns, so until the last
    /// of its calls each other one has had as many turns at most. What waits to be created will wait to be attached.
    pub fn expected(&self, nodeeni_uid: &str) -> Option<Expected> {
        let mut both = self.attach.waiting.clone();
        for (uid, count) in &self.create.waiting {
            *both.entry(uid.clone()).or_default() += count;
        }
        let attach = CallQueue { waiting: both, rate: self.attach.rate };
        // Of two that take as long the later one counts.
        [("CreateNetworkInterface", &self.create), ("AttachNetworkInterface", &attach)]
            .into_iter()
            .filter_map(|(action, queue)| {
                let (waiting, seconds) = queue.until_the_last_of(nodeeni_uid)?;
                Some(Expected { action, waiting, seconds })
            })
            .max_by_key(|expected| expected.seconds)
            .filter(|expected| expected.seconds >= WORTH_SAYING)
    }
}

impl CallQueue {
    fn until_the_last_of(&self, uid: &str) -> Option<(usize, u64)> {
        let mine = *self.waiting.get(uid)?;
        let turns: usize = self.waiting.values().map(|others| mine.min(*others)).sum();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rough number, for people"
        )]
        let seconds = (turns as f64 / self.rate.max(0.01)).ceil() as u64;
        Some((mine, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(of: &[(&str, usize)], rate: f64) -> CallQueue {
        CallQueue { waiting: of.iter().map(|(uid, count)| ((*uid).to_owned(), *count)).collect(), rate }
    }

    #[test]
    fn as_many_as_wait_at_the_rate_that_there_is() {
        let lines = CallQueues { create: line(&[], 5.0), attach: line(&[("a", 370)], 5.0) };
        let expected = Expected { action: "AttachNetworkInterface", waiting: 370, seconds: 74 };
        assert_eq!(lines.expected("a"), Some(expected));
        assert_eq!(lines.expected("b"), None);
        let moments = CallQueues { attach: line(&[("a", 40)], 5.0), ..CallQueues::default() };
        assert_eq!(moments.expected("a"), None);
    }

    #[test]
    fn what_waits_to_be_created_will_wait_to_be_attached() {
        let lines = CallQueues { create: line(&[("a", 1000)], 5.0), attach: line(&[("a", 50)], 5.0) };
        let expected = lines.expected("a").unwrap();
        assert_eq!((expected.action, expected.waiting, expected.seconds), ("AttachNetworkInterface", 1050, 210));
        // Unless creating is what takes longest.
        let throttled = CallQueues { create: line(&[("a", 1000)], 0.5), ..lines };
        let expected = throttled.expected("a").unwrap();
        assert_eq!((expected.action, expected.waiting, expected.seconds), ("CreateNetworkInterface", 1000, 2000));
    }

    #[test]
    fn a_small_one_waits_for_no_more_of_a_large_one_than_its_own() {
        let lines = CallQueues { create: line(&[], 5.0), attach: line(&[("large", 5000), ("small", 100)], 5.0) };
        assert_eq!(lines.expected("small").unwrap().seconds, 40);
        assert_eq!(lines.expected("large").unwrap().seconds, 1020);
    }
}

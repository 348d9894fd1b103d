//! An estimate of how long calls will wait for EC2's request rates. It is given the number of waiting calls and the
//! rates.

use std::collections::BTreeMap;

/// The calls of one action that wait for the rate limiter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallQueue {
    /// Number of waiting calls, by the UID of the NodeENI whose ENIs the calls are for.
    pub waiting: BTreeMap<String, usize>,
    /// The rate limit, in calls per second.
    pub rate: f64,
}

/// The calls that wait to create an ENI, and those that wait to attach one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallQueues {
    /// CreateNetworkInterface.
    pub create: CallQueue,
    /// AttachNetworkInterface.
    pub attach: CallQueue,
}

/// When the last waiting call of a NodeENI will be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitEstimate {
    /// The action with the longest wait.
    pub action: &'static str,
    /// Number of ENIs of this NodeENI that wait for the action.
    pub waiting: usize,
    /// Seconds from now.
    pub seconds: u64,
}

/// A shorter wait, in seconds, is not reported: it is over before a user reads it.
const WORTH_SAYING: u64 = 10;

impl CallQueues {
    /// The wait that one NodeENI can expect. None: it waits for no call, or for less than 10 s. Waiting calls are queued
    /// fairly by NodeENI, so until this NodeENI's last call is sent, each other NodeENI has sent at most as many. An ENI
    /// that waits to be created will wait to be attached too.
    pub fn expected(&self, nodeeni_uid: &str) -> Option<WaitEstimate> {
        let mut both = self.attach.waiting.clone();
        for (uid, count) in &self.create.waiting {
            *both.entry(uid.clone()).or_default() += count;
        }
        let attach = CallQueue { waiting: both, rate: self.attach.rate };
        // If both actions take equally long, the later action counts.
        [("CreateNetworkInterface", &self.create), ("AttachNetworkInterface", &attach)]
            .into_iter()
            .filter_map(|(action, queue)| {
                let (waiting, seconds) = queue.until_the_last_of(nodeeni_uid)?;
                Some(WaitEstimate { action, waiting, seconds })
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

    fn queue(of: &[(&str, usize)], rate: f64) -> CallQueue {
        CallQueue { waiting: of.iter().map(|(uid, count)| ((*uid).to_owned(), *count)).collect(), rate }
    }

    #[test]
    fn the_wait_is_the_number_of_calls_divided_by_the_rate() {
        let queues = CallQueues { create: queue(&[], 5.0), attach: queue(&[("a", 370)], 5.0) };
        let expected = WaitEstimate { action: "AttachNetworkInterface", waiting: 370, seconds: 74 };
        assert_eq!(queues.expected("a"), Some(expected));
        assert_eq!(queues.expected("b"), None);
        let moments = CallQueues { attach: queue(&[("a", 40)], 5.0), ..CallQueues::default() };
        assert_eq!(moments.expected("a"), None);
    }

    #[test]
    fn waiting_creates_count_as_waiting_attaches() {
        let queues = CallQueues { create: queue(&[("a", 1000)], 5.0), attach: queue(&[("a", 50)], 5.0) };
        let expected = queues.expected("a").unwrap();
        assert_eq!((expected.action, expected.waiting, expected.seconds), ("AttachNetworkInterface", 1050, 210));
        // Unless the Creates take longest.
        let throttled = CallQueues { create: queue(&[("a", 1000)], 0.5), ..queues };
        let expected = throttled.expected("a").unwrap();
        assert_eq!((expected.action, expected.waiting, expected.seconds), ("CreateNetworkInterface", 1000, 2000));
    }

    #[test]
    fn a_small_nodeeni_waits_for_at_most_as_many_calls_of_a_large_one() {
        let queues = CallQueues { create: queue(&[], 5.0), attach: queue(&[("large", 5000), ("small", 100)], 5.0) };
        assert_eq!(queues.expected("small").unwrap().seconds, 40);
        assert_eq!(queues.expected("large").unwrap().seconds, 1020);
    }
}

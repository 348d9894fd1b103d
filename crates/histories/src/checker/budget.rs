//! `budget`: no process calls an EC2 action faster than its share of EC2's token bucket, and none sends the very same request
//! again and again.

use crate::script::Millis;
use multi_eni_sim::ec2::Buckets;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The share of EC2's rates that the controller may use.
const SHARE: f64 = 0.8;

/// How often a process may send EC2 the very same call within a second: a poll and a lookup may both be due twice.
pub const SAME_CALLS_A_SECOND: usize = 4;
/// How often a process may write one object within a second: a new ENIAttachment gets a new status in quick succession.
pub const WRITES_A_SECOND: usize = 8;

/// How long a process must remember that the quota of ENIs is used up, minus some seconds.
const QUOTA_STANDS: Millis = 580_000;
/// How long Creates may still be on their way after a refusal for the quota.
const ON_THE_WIRE: Millis = 60_000;
/// How long the answer to a call may be on its way.
const ANSWERED: Millis = 10_000;

/// A token bucket for each process and action, and the requests of the last second.
#[derive(Debug)]
pub struct Budgets {
    burst: f64,
    rules: Buckets,
    /// By process and action: the tokens that are left, and when that was.
    left: BTreeMap<(String, String), (f64, Millis)>,
    quota_stands: Millis,
    /// By process: when a refusal first showed that the quota is used up.
    refused: BTreeMap<String, Millis>,
    /// How often somebody asked for a new try. A process may answer each request with one more Create.
    requests: usize,
    /// By process: how many of the requests it has answered, with a Create that the quota forbids.
    answered: BTreeMap<String, usize>,
    /// When a Delete of a process last took effect.
    deleted: BTreeMap<String, Millis>,
    frozen: Vec<Range<Millis>>,
    sent: VecDeque<SentRequest>,
}

/// A request, its process, and when it was sent.
#[derive(Debug)]
struct SentRequest {
    at: Millis,
    process: String,
    what: String,
}

impl Budgets {
    /// EC2's default buckets, with `percent` of their sizes. `frozen`: when some process is frozen.
    pub fn new(percent: u32, clocks_differ: Millis, frozen: Vec<Range<Millis>>) -> Self {
        Self {
            burst: f64::from(percent) / 100.0,
            rules: Buckets::default(),
            left: BTreeMap::new(),
            quota_stands: QUOTA_STANDS.saturating_sub(clocks_differ),
            refused: BTreeMap::new(),
            requests: 0,
            answered: BTreeMap::new(),
            deleted: BTreeMap::new(),
            frozen,
            sent: VecDeque::new(),
        }
    }

    /// A process sends a call. Returns false if it is faster than the budget allows.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a history")]
    pub fn spends(&mut self, process: &str, action: &str, at: Millis) -> bool {
        let (capacity, refill) = self.rules.actions.get(action).copied().unwrap_or(self.rules.filtered);
        let full = (f64::from(capacity) * self.burst).max(1.0);
        let bucket = self.left.entry((process.to_owned(), action.to_owned())).or_insert((full, at));
        let gained = at.saturating_sub(bucket.1) as f64 / 1000.0 * f64::from(refill) * SHARE;
        *bucket = ((bucket.0 + gained).min(full) - 1.0, at);
        // One call of slack, because the controller's clock and this one differ.
        bucket.0 >= -1.0
    }

    /// EC2 refuses a Create because the quota is used up. Returns false if the process knew that and nothing has changed since.
    pub fn quota_refuses(&mut self, process: &str, at: Millis) -> bool {
        let Some(first) = self.refused.get(process).copied().filter(|first| at < first + self.quota_stands) else {
            // The answer to a Delete that took effect just before may come after this one. Then the process may try once more.
            if self.deleted.get(process).is_none_or(|deleted| at >= deleted + ANSWERED) {
                self.refused.insert(process.to_owned(), at);
            }
            return true;
        };
        if at < first + ON_THE_WIRE {
            return true;
        }
        // A process that is frozen when the answer comes may have timed out before it runs again.
        let unheard = self.frozen.iter().any(|span| span.contains(&first));
        if unheard {
            self.refused.insert(process.to_owned(), at);
        }
        unheard || self.answers_a_request(process)
    }

    /// Somebody asks for a new try of an object.
    pub fn new_try_is_requested(&mut self) {
        self.requests += 1;
    }

    fn answers_a_request(&mut self, process: &str) -> bool {
        let answered = self.answered.entry(process.to_owned()).or_default();
        let is_open = *answered < self.requests;
        *answered += usize::from(is_open);
        is_open
    }

    /// A process has created or deleted an ENI, or begun another term. It may create ENIs again.
    pub fn quota_eases(&mut self, process: &str) {
        self.refused.remove(process);
    }

    /// A Delete of the process has taken effect. Its answer is still on the way.
    pub fn deletes(&mut self, process: &str, at: Millis) {
        self.quota_eases(process);
        self.deleted.insert(process.to_owned(), at);
    }

    /// A process sends a request. Returns false if it has just sent the very same request `most` times.
    pub fn may_repeat(&mut self, process: &str, what: String, at: Millis, most: usize) -> bool {
        while self.sent.front().is_some_and(|sent| sent.at + 1_000 <= at) {
            self.sent.pop_front();
        }
        let before = self.sent.iter().filter(|sent| sent.process == process && sent.what == what).count();
        self.sent.push_back(SentRequest { at, process: process.to_owned(), what });
        before < most
    }
}

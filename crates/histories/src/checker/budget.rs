//! `budget`: no process calls an EC2 action faster than its share of EC2's bucket, nor sends anybody the very same over and
//! over.

use crate::script::Millis;
use multi_eni_sim::ec2::Buckets;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The share of EC2's rates that the controller may use.
const SHARE: f64 = 0.8;

/// How often a process may send EC2 the very same within a second: the poll and a look may both be due twice.
pub const SAME_CALLS_A_SECOND: usize = 4;
/// How often a process may write one object within a second: on the way in it says something new each time.
pub const WRITES_A_SECOND: usize = 8;

/// How long a refusal for the quota of ENIs holds, less some seconds; and how long Creates may have been on their way when it
/// came.
const QUOTA_STANDS: Millis = 580_000;
const ON_THE_WIRE: Millis = 60_000;

/// A bucket for each process and action, and what was sent of late.
#[derive(Debug)]
pub struct Budgets {
    burst: f64,
    rules: Buckets,
    left: BTreeMap<(String, String), (f64, Millis)>,
    quota_stands: Millis,
    refused: BTreeMap<String, Millis>,
    frozen: Vec<Range<Millis>>,
    sent: VecDeque<Sent>,
}

/// A request, whose it was, and when.
#[derive(Debug)]
struct Sent {
    at: Millis,
    life: String,
    what: String,
}

impl Budgets {
    /// EC2's default buckets, their sizes cut to `percent`. `frozen`: when some process stands still.
    pub fn new(percent: u32, clocks_differ: Millis, frozen: Vec<Range<Millis>>) -> Self {
        Self {
            burst: f64::from(percent) / 100.0,
            rules: Buckets::default(),
            left: BTreeMap::new(),
            quota_stands: QUOTA_STANDS.saturating_sub(clocks_differ),
            refused: BTreeMap::new(),
            frozen,
            sent: VecDeque::new(),
        }
    }

    /// A call is sent. False: faster than the budget allows.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a history")]
    pub fn spends(&mut self, life: &str, action: &str, at: Millis) -> bool {
        let (capacity, refill) = self.rules.actions.get(action).copied().unwrap_or(self.rules.filtered);
        let full = (f64::from(capacity) * self.burst).max(1.0);
        let bucket = self.left.entry((life.to_owned(), action.to_owned())).or_insert((full, at));
        let gained = at.saturating_sub(bucket.1) as f64 / 1000.0 * f64::from(refill) * SHARE;
        *bucket = ((bucket.0 + gained).min(full) - 1.0, at);
        // One call of slack: the controller's clock and this one tick differently.
        bucket.0 >= -1.0
    }

    /// EC2 answers a process that the quota of ENIs is used up. False: it knew that, and nothing has changed since.
    pub fn quota_refuses(&mut self, life: &str, at: Millis) -> bool {
        let Some(first) = self.refused.get(life).copied().filter(|first| at < first + self.quota_stands) else {
            self.refused.insert(life.to_owned(), at);
            return true;
        };
        if at < first + ON_THE_WIRE {
            return true;
        }
        // Who is frozen when the answer comes may have given it up before waking.
        let unheard = self.frozen.iter().any(|span| span.contains(&first));
        if unheard {
            self.refused.insert(life.to_owned(), at);
        }
        unheard
    }

    /// A process has made or deleted an ENI, or begun another term: it may try again.
    pub fn quota_eases(&mut self, life: &str) {
        self.refused.remove(life);
    }

    /// A process sends a request. False: it has just sent the very same too often.
    pub fn may_repeat(&mut self, life: &str, what: String, at: Millis, most: usize) -> bool {
        while self.sent.front().is_some_and(|sent| sent.at + 1_000 <= at) {
            self.sent.pop_front();
        }
        let before = self.sent.iter().filter(|sent| sent.life == life && sent.what == what).count();
        self.sent.push_back(Sent { at, life: life.to_owned(), what });
        before < most
    }
}

//! A token bucket that lowers its rate when EC2 throttles, and raises it again slowly. Pure: the time is an argument, and the
//! bucket never sleeps.

use std::time::Duration;
use tokio::time::Instant;

/// The rate never falls below this many calls a second.
const FLOOR: f64 = 0.2;
/// How long the bucket gives no token after a throttling answer.
const PAUSE: Duration = Duration::from_secs(1);
/// What the rate regains each second without throttling, as a share of the configured rate.
const REGAIN: f64 = 0.05;

/// Size and rate of a bucket, in calls and calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// Calls that a full bucket permits at once.
    pub capacity: f64,
    /// Calls a second that the bucket permits in the long run.
    pub refill: f64,
}

/// The bucket of one action.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    rate: f64,
    tokens: f64,
    at: Instant,
    paused_until: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(limit: Limit, now: Instant) -> Self {
        let limit = Limit { capacity: limit.capacity.max(1.0), refill: limit.refill.max(FLOOR) };
        Self { limit, rate: limit.refill, tokens: limit.capacity, at: now, paused_until: None }
    }

    /// Takes a token, or returns how long to wait before the next try.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Err(until - now);
            }
            // The bucket does not refill during a pause.
            self.at = self.at.max(until);
            self.paused_until = None;
        }
        self.refill(now);
        // A rounding error must not make a call wait again for a billionth of a token.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            return Ok(());
        }
        let missing = (1.0 - self.tokens) / self.rate;
        Err(Duration::from_secs_f64(missing).max(Duration::from_millis(1)))
    }

    /// The current refill rate, in calls a second.
    pub fn rate(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.rate
    }

    /// EC2 throttled a call: the rate is halved, the bucket is emptied, and the action pauses. Throttling answers during the
    /// pause are ignored, because they answer calls that were already under way when the pause began.
    pub fn throttled(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.refill(now);
        self.rate = (self.rate / 2.0).max(FLOOR.min(self.limit.refill));
        self.tokens = 0.0;
        self.paused_until = Some(now + PAUSE);
    }

    /// Adds the tokens gained since the last refill, while the rate grows back to the configured rate.
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let slope = self.limit.refill * REGAIN;
        let growing = elapsed.min((self.limit.refill - self.rate) / slope);
        let gained = self.rate * growing + slope * growing * growing / 2.0 + self.limit.refill * (elapsed - growing);
        self.rate = (self.rate + slope * growing).min(self.limit.refill);
        self.tokens = (self.tokens + gained).min(self.limit.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { capacity: 10.0, refill: 4.0 };

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    /// The number of calls that get a token from `from` for `length`, if each waits exactly as long as `take` returns.
    fn run(bucket: &mut Bucket, from: Instant, length: Duration) -> u32 {
        let (mut now, mut taken) = (from, 0);
        loop {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(wait) => now += wait,
            }
            if now > from + length {
                return taken;
            }
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(LIMIT, start);
        let taken = run(&mut bucket, start, seconds(10.0));
        assert!((49..=51).contains(&taken), "{taken}");
    }

    #[test]
    fn throttling_pauses_halves_and_grows_back() {
        let start = Instant::now();
        let mut bucket = Bucket::new(LIMIT, start);
        bucket.throttled(start);
        assert_eq!(bucket.take(start), Err(PAUSE));
        assert_eq!(bucket.rate, 2.0);
        // Several throttling answers to one burst halve the rate once.
        bucket.throttled(start + seconds(0.5));
        assert_eq!(bucket.rate, 2.0);
        // The bucket is empty after the pause.
        assert!(bucket.take(start + PAUSE).is_err());
        // The rate regains 5 % of 4/s each second, so it regains 2/s in 10 s.
        bucket.refill(start + PAUSE + seconds(5.0));
        assert!((bucket.rate - 3.0).abs() < 1e-9, "{}", bucket.rate);
        bucket.refill(start + PAUSE + seconds(60.0));
        assert_eq!(bucket.rate, 4.0);
        assert_eq!(bucket.tokens, 10.0);
    }

    #[test]
    fn the_rate_has_a_floor() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(LIMIT, now);
        for _ in 0..40 {
            bucket.throttled(now);
            now += PAUSE;
            bucket.at = now;
        }
        assert_eq!(bucket.rate, FLOOR);
        assert!(bucket.take(now).is_err_and(|wait| wait <= seconds(5.0)));
    }
}
